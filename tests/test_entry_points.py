"""Every entry point starts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pe.cli import ADDERS

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = tuple(ADDERS)
TOOLS = sorted(ROOT.glob("tools/**/*.py"))


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_help_for_every_flag(command: str):
    text = run("-m", "pe.cli", command, "--help")
    assert f"usage: pe {command}" in text


def test_pe_lists_its_commands():
    text = run("-m", "pe.cli", "--help")
    listed = re.findall(r"^    (\S+)", text, re.MULTILINE)
    assert listed == list(COMMANDS)


def test_help_of_a_command_lists_its_gin_names():
    assert "--gin.RuleQueryConfig.short_words=(1, 5)" in run("-m", "pe.cli", "build", "--help")
    assert "--gin.T5Config.d_model=256" in run("-m", "pe.cli", "train", "--help")


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS, ids=lambda path: path.name)
def test_a_tool_has_help(tool: Path):
    assert "usage:" in run(str(tool), "--help")


def test_the_command_line_loads_no_heavy_library_to_print_help():
    code = (
        "import sys, pe.cli\n"
        "try: pe.cli.main(['expand', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'jax', 'pyarrow', 'grain', 'rich'} & set(sys.modules)))"
    )
    assert run("-c", code).strip().endswith("[]")

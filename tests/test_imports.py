"""The import rule: a module sees its own folder and lower layers, never sideways, never up."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {
    "axes": 0, "config": 0, "device_error": 0,
    "records": 1, "prefixes": 1,
    "text": 2, "pairs": 2.5, "shards": 2, "models": 2,
    "weights": 3, "stages": 3, "data": 3,
    "train": 4, "decode": 4.5,
    "engines": 5,
    "studio": 6, "metrics": 6,
    "eval": 7, "refine": 7, "serve": 7,
    "console": 8, "commands": 8.5, "cli": 9,
}  # fmt: skip
BUILDER_SEES = ("axes", "config", "records", "prefixes", "text", "pairs", "shards", "models",
                "weights", "stages", "data", "decode", "engines", "studio", "metrics")  # fmt: skip
HEAVY = ("torch", "diffusers", "tensorflow", "gradio", "ray", "ctranslate2", "transformers")
FILES = sorted([*ROOT.glob("pe/**/*.py"), *ROOT.glob("data_builders/**/*.py")])


def imported_modules(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "pe" and len(parts) > 1 and parts[1] in LAYERS else None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_its_own_folder_and_lower_layers(path: Path):
    relative = path.relative_to(ROOT).with_suffix("")
    modules = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    if relative.parts[0] == "data_builders":
        rooms = {room_of(module) for module in modules} - {None}
        assert rooms <= set(BUILDER_SEES)
        return
    if relative.parts[-1] == "__init__":
        return
    own = relative.parts[1]
    assert own in LAYERS, f"{own} is in no layer: add it to LAYERS and say where it belongs"
    for module in modules:
        room = room_of(module)
        if room is not None and room != own:
            assert LAYERS[room] < LAYERS[own], f"{path.name} imports {module}"
        if module.startswith("data_builders"):
            assert own == "commands"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_are_imported_inside_functions_only(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.split(".")[0] for node in top for name in imported_modules(node)}
    assert not names & set(HEAVY)


def test_only_the_config_module_imports_gin():
    users = [
        path.name
        for path in FILES
        if "gin" in {m.split(".")[0] for m in imported_modules(ast.parse(path.read_text()))}
    ]
    assert users == ["config.py"]


def test_no_folder_or_file_has_a_name_that_says_nothing():
    names = {path.stem for path in FILES} | {path.parent.name for path in FILES}
    assert not names & {"util", "utils", "common", "helper", "helpers", "misc"}

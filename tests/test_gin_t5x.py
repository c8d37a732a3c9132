"""The gin files for T5X bind only names that T5X and prompt-tuning have, and all that they ask for.

Neither library is installed here: the tables below are what was read in their sources, and gin
itself parses each file against stand-ins made of them.
"""

import json
import subprocess
import sys
from pathlib import Path

import gin.config_parser
import pytest

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "../shared/golden/t5x/t5_1_1/config.gin"  # what a run of T5X wrote about itself
FILES = sorted(ROOT.glob("gin/t5x/*.gin"))
RUNS = [path for path in FILES if path.name not in ("task.gin", "prefix_dropout.gin")]

# names of T5X, prompt-tuning and this project, with the parameters that our files bind
NAMES = {
    "__main__.train": ["infer_eval_dataset_cfg", "use_orbax"],  # t5x/train.py
    "t5x.adafactor.Adafactor": [
        "decay_rate",
        "multiply_by_parameter_scale",
        "weight_decay_rate",
    ],
    "t5x.utils.DatasetConfig": ["seed"],
    "t5x.utils.SaveCheckpointConfig": ["period", "keep", "save_dataset"],
    "t5x.utils.create_learning_rate_scheduler": ["factors", "base_learning_rate"],
    "pe.data.tasks.make_vocabulary": [],
}
SCOPES = {"", "train", "train_eval"}  # under which T5X's run files make a DatasetConfig

# macros of the included files, each with those that it includes; True: must be set by us
_T5_1_1 = {
    "DROPOUT_RATE": True,
    "LABEL_SMOOTHING": False,
    "LOSS_NORMALIZING_FACTOR": False,
    "MODEL": False,
    "OPTIMIZER": False,
    "VOCABULARY": False,
    "Z_LOSS": False,
}
_PRETRAIN = {
    "MIXTURE_OR_TASK_MODULE": False,
    "MIXTURE_OR_TASK_NAME": True,
    "MODEL_DIR": True,
    "RANDOM_SEED": False,
    "SHUFFLE_TRAIN_EXAMPLES": False,
    "TASK_FEATURE_LENGTHS": True,
    "TRAIN_STEPS": True,
    "USE_CACHED_TASKS": False,
    "USE_HARDWARE_RNG": False,
}
_FINETUNE = {
    "BATCH_SIZE": False,
    "DROPOUT_RATE": False,
    "EVALUATOR_NUM_EXAMPLES": False,
    "EVALUATOR_USE_MEMORY_CACHE": False,
    "EVAL_PERIOD": False,
    "EVAL_STEPS": False,
    "INITIAL_CHECKPOINT_PATH": True,
    "JSON_WRITE_N_RESULTS": False,
    **{name: needed for name, needed in _PRETRAIN.items() if name != "SHUFFLE_TRAIN_EXAMPLES"},
}
_PROMPT = {
    **_T5_1_1,
    "ARCHITECTURE": False,
    "DROPOUT_RATE": False,
    "NUM_EMBEDDINGS": False,
    "PROMPT": False,
    "PROMPT_LENGTH": False,
    "PROMPT_REGEX": False,
}
INCLUDED = {
    "t5x/examples/t5/t5_1_1/small.gin": _T5_1_1,
    "t5x/examples/t5/t5_1_1/base.gin": _T5_1_1,
    "t5x/configs/runs/finetune.gin": _FINETUNE,
    "t5x/configs/runs/pretrain.gin": _PRETRAIN,
    "prompt_tuning/configs/models/t5_1_1_small_prompt.gin": _PROMPT,
    "prompt_tuning/configs/models/t5_1_1_base_prompt.gin": _PROMPT,
    "prompt_tuning/configs/runs/prompt_finetune.gin": _FINETUNE,
}

# parses our files with gin; __main__.train is T5X's, as it is where t5x/train.py runs
PARSE = """
import importlib.machinery, json, sys, types
names, paths, files, macros = json.loads(sys.argv[1])
for name, parameters in names.items():
    module_name, _, attribute = name.rpartition('.')
    if module_name.startswith('pe.'):
        continue
    parts = module_name.split('.')
    for depth in range(1, len(parts) + 1):
        path = '.'.join(parts[:depth])
        if path not in sys.modules:
            sys.modules[path] = module = types.ModuleType(path)
            module.__path__ = []
            module.__spec__ = importlib.machinery.ModuleSpec(path, None, is_package=True)
            if depth > 1:
                setattr(sys.modules['.'.join(parts[:depth - 1])], parts[depth - 1], module)
    module = sys.modules[module_name]
    signature = ', '.join(f'{parameter}=None' for parameter in parameters)
    exec(f'def {attribute}({signature}): pass', module.__dict__)
import gin
for path in paths:
    gin.add_config_file_search_path(path)
gin.parse_config_files_and_bindings(files, ["MODEL_DIR = 'RUN'"])
print(json.dumps({name: gin.query_parameter('%' + name) for name in macros}))
"""


class Delegate(gin.config_parser.ParserDelegate):
    """Keeps the references and macros that values hold."""

    def __init__(self):
        self.references: list[str] = []
        self.macros: list[str] = []

    def configurable_reference(self, scoped_configurable_name, evaluate):
        self.references.append(scoped_configurable_name)

    def macro(self, macro_name):
        self.macros.append(macro_name)


def parse(path: Path):
    """Return (bindings, references, macros set, macros used, included files) of one file."""
    delegate = Delegate()
    modules, bindings, macros, includes = {}, [], [], []
    with path.open(encoding="utf-8") as file:
        for statement in gin.config_parser.ConfigParser(file, delegate):
            if isinstance(statement, gin.config_parser.ImportStatement):
                if statement.module.startswith("__gin__"):
                    continue
                name = statement.alias or statement.module.rpartition(".")[2]
                modules[name] = statement.module
            elif isinstance(statement, gin.config_parser.IncludeStatement):
                includes.append(statement.filename)
            elif isinstance(statement, gin.config_parser.BindingStatement):
                if statement.arg_name:
                    bindings.append((statement.scope, statement.selector, statement.arg_name))
                else:
                    macros.append(statement.selector)

    def full_name(selector: str) -> str:
        module, _, rest = selector.partition(".")
        return f"{modules[module]}.{rest}"

    return (
        [(scope, full_name(selector), argument) for scope, selector, argument in bindings],
        [full_name(name.rpartition("/")[2]) for name in delegate.references],
        macros,
        delegate.macros,
        includes,
    )


def included_macros(path: Path) -> dict[str, bool]:
    macros: dict[str, bool] = {}
    for include in parse(path)[4]:
        macros |= INCLUDED.get(include, {})
    return macros


def test_a_run_of_t5x_had_these_names():
    if not GOLDEN.is_file():
        pytest.skip("the run of T5X is not here")
    bindings, _, macros, _, _ = parse(GOLDEN)
    theirs = {(name, argument) for _, name, argument in bindings}
    ours = {(name, argument) for name, arguments in NAMES.items() for argument in arguments}
    assert ours - theirs == {  # that run left these two at their defaults
        ("t5x.adafactor.Adafactor", "multiply_by_parameter_scale"),
        ("t5x.adafactor.Adafactor", "weight_decay_rate"),
    }
    assert {*_T5_1_1, *_PRETRAIN} <= set(macros)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_opens_with_its_header_and_has_short_lines(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = ["# Provides:", "# Requires:", "# Hardware:"] + ["# Command:"] * (path in RUNS)
    for start in starts:
        assert any(line.startswith(start) for line in lines), f"no {start}"
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_binds_only_names_that_there_are(path: Path):
    bindings, references, _, used, includes = parse(path)
    for scope, name, argument in bindings:
        assert scope in SCOPES
        assert argument in NAMES[name]
    assert set(references) <= set(NAMES)
    assert not used  # our files set macros and use none
    assert {name for name in includes if not name.startswith("gin/t5x/")} <= set(INCLUDED)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_a_run_sets_all_that_the_included_files_ask_for_and_nothing_unknown(path: Path):
    ours = {*parse(path)[2], *parse(ROOT / "gin/t5x/task.gin")[2]}
    theirs = included_macros(path)
    assert ours <= set(theirs)
    assert {name for name, needed in theirs.items() if needed} - ours == {"MODEL_DIR"}


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_the_task_is_included_after_t5x_so_that_it_wins(path: Path):
    assert parse(path)[4][-1] == "gin/t5x/task.gin"


@pytest.mark.parametrize("extra", [[], ["gin/t5x/prefix_dropout.gin"]], ids=["alone", "dropout"])
@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name)
def test_gin_parses_a_run_with_its_includes(path: Path, extra: list[str], tmp_path: Path):
    for name, macros in INCLUDED.items():
        stand_in = tmp_path / name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{macro} = {'%gin.REQUIRED' * need or None}" for macro, need in macros.items()]
        stand_in.write_text("\n".join(lines), encoding="utf-8")
    values = ["MIXTURE_OR_TASK_NAME", "TASK_FEATURE_LENGTHS", "USE_CACHED_TASKS", "MODEL_DIR"]
    files = [str(path.relative_to(ROOT)), *extra]
    arguments = json.dumps([NAMES, [str(tmp_path), str(ROOT)], files, values])
    done = subprocess.run(
        [sys.executable, "-c", PARSE, arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "MIXTURE_OR_TASK_NAME": "prompt_expansion" + "_dropout" * bool(extra),
        "TASK_FEATURE_LENGTHS": {"inputs": 64, "targets": 192},
        "USE_CACHED_TASKS": False,
        "MODEL_DIR": "RUN",
    }

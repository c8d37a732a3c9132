"""What texts cost in CLIP and T5, and where their tokenizers are found."""

import gzip
import importlib.util
import itertools
import json
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from pe.decode.target_tokenizer import load_target

DATA = Path(__file__).parents[3] / "../shared/data"
CLIP, T5 = DATA / "tokenizers/clip", DATA / "tokenizers/t5"
PROMPTS = DATA / "prompts/image_prompts.jsonl"
START, END = "<|startoftext|>", "<|endoftext|>"
ODD_TEXTS = (
    "",
    "  ",
    "\n\ta\u00a0b\u3000c",
    "a <|endoftext|> b",
    "a<|ENDOFTEXT|>b",
    "e\u0301 É ﬁ İ ẞ",
    "\x00a\x01",
    "it's I'M don'T",
    "😀👩‍👩‍👧 bare 🍈🍈",
    "写surreal 女士 日本語",
    '“curly” ‘quotes’ and "straight" ones',
    "(red:1.2) ((x)) [y] <lora:x:1> a_b__c 12345 ½Ⅷ",
)


@pytest.fixture(scope="module")
def prompts():
    """A thousand real prompts, from all over the file."""
    if not PROMPTS.is_file():
        pytest.skip(f"needs {PROMPTS}: real prompts")
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines[:: len(lines) // 1000][:1000]]


@pytest.fixture(scope="module")
def real_clip():
    if not CLIP.is_dir():
        pytest.skip(f"needs {CLIP}: CLIP's tokenizer")
    return CLIP


@pytest.fixture(scope="module")
def real_t5():
    if not T5.is_dir():
        pytest.skip(f"needs {T5}: T5's tokenizer")
    return T5


def clip_letters():
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(i) for i in (*printed, *range(256, 256 + 68))]


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """CLIP's letters, and three merges: "re" 512, "red</w>" 513, "fo" 514."""
    folder = tmp_path_factory.mktemp("clip")
    letters = clip_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["re", "red</w>", "fo", START, END]
    vocab = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    merges = "#version: 0.2\nr e\nre d</w>\nf o\n"
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def merge_file(tmp_path_factory):
    """As many merges as CLIP has, all pairs of letters; the first is "ab", the second "a b</w>"."""
    letters = clip_letters()
    pairs = [("a", "b"), ("a", "b</w>")]
    pairs += [p for p in itertools.product(letters, letters) if p != ("a", "b")]
    lines = ["#version", *(f"{left} {right}" for left, right in pairs)]
    path = tmp_path_factory.mktemp("open_clip_data") / "bpe_simple_vocab_16e6.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        file.write("\n".join(lines) + "\n")
    return path


@pytest.fixture
def no_package(monkeypatch):
    """open_clip is not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *args: None if name == "open_clip" else find_spec(name, *args),
    )


def test_clip_counts_pieces_of_words_and_a_start_and_an_end_for_each_window(tiny_clip):
    target = load_target(f"clip={tiny_clip}")
    assert (target.budget, target.window_tokens) == (77, 75)
    # lower-cased, "red</w>", then "fo" and the last letter of "fox" with its word end
    assert target.encode("  Red\tFOX") == [513, 514, 256 + clip_letters().index("x")]
    assert [target.count(text) for text in ("", "red", "red fox")] == [2, 3, 5]
    double = load_target(f"clip:2={tiny_clip}")
    assert double.budget == 154
    counts = [double.count(" ".join(["red"] * n)) for n in (0, 75, 76, 150, 151)]
    assert counts == [2, 77, 80, 154, 157]  # fits exactly as long as the text has 2 x 75


def test_a_tilde_stands_for_the_home_folder(tiny_clip, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_clip.parent))
    for spec in (f"clip=~/{tiny_clip.name}", f"~/{tiny_clip.name}:77"):
        assert load_target(spec).count("red") == 3


def test_a_path_alone_counts_two_special_tokens_for_clip(tiny_clip):
    for path in (tiny_clip, tiny_clip / "vocab.json", tiny_clip / "merges.txt"):
        target = load_target(f"{path}:20")
        assert (target.name, target.budget) == (f"{path}:20", 20)
        assert target.count(" ".join(["red"] * 80)) == 82


def test_merges_alone_give_the_vocabulary(merge_file):
    target = load_target(f"{merge_file}:77")
    assert target.encode("ab") == [513]  # 512 letters, "ab" where a word goes on, "ab</w>"
    assert target.encode("abc") == [512, 256 + clip_letters().index("c")]
    assert target.encode(f"{START}{END}") == [49_406, 49_407]


def test_t5_counts_an_end_token(vocabulary, tmp_path):
    vocabulary.save(tmp_path / "other.model")
    text = "a red fox in snow"
    expected = len(vocabulary.encode(text)) + 1
    assert [load_target(f"t5:{n}={tmp_path}").budget for n in (2, 256, 512)] == [2, 256, 512]
    assert load_target(f"t5:256={tmp_path / 'other.model'}").count(text) == expected
    target = load_target(f"{tmp_path}:40")
    assert (target.budget, target.count(text), target.count("")) == (40, expected, 1)


def test_a_tokenizer_json_adds_what_its_own_post_processor_adds(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"[A]": 0, "[Z]": 1, "red": 2, "?": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[A] [A] $A [Z]", special_tokens=[("[A]", 0), ("[Z]", 1)]
    )
    tokenizer.enable_truncation(4)  # both would make the count wrong
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    target = load_target(f"{tmp_path}:12")
    assert [target.count(text) for text in ("", "red", "red red red red red")] == [3, 4, 8]
    with pytest.raises(ValueError, match=r"another tokenizer than clip's"):
        load_target(f"clip={tmp_path}")


@pytest.mark.parametrize(
    ("length", "expected"), [(48, 48), (1e30, None), (None, None), ("48", None), (True, None)]
)
def test_the_budget_is_read_from_the_tokenizer_config(vocabulary, tmp_path, length, expected):
    vocabulary.save(tmp_path / "spiece.model")
    config = json.dumps({"model_max_length": length})
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    for path in (tmp_path, tmp_path / "spiece.model"):
        if expected is None:
            with pytest.raises(ValueError, match=r"give it, as in .*:77"):
                load_target(str(path))
        else:
            assert load_target(str(path)).budget == expected
        assert load_target(f"{path}:9").budget == 9


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("t5", "expected a number of tokens with it, as in t5:256"),
        ("t5:1", "expected a number of 2 or more"),
        ("clip:0", "expected a number of 1 or more"),
        ("clip:-1", "expected one of the forms"),
        ("clip:x", "expected one of the forms"),
        ("", "expected one of the forms"),
        ("nowhere/at/all", "no such file or folder"),
        ("nowhere/at/all:77", "no such file or folder"),
        ("clip=nowhere", "there is no file or folder 'nowhere'"),
    ],
)
def test_other_specifications_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        load_target(spec)


def test_files_that_are_no_tokenizer_are_refused(tmp_path, tiny_clip, vocabulary):
    def refuse(name, content, message, spec="{}:77"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_target(spec.format(path))

    refuse("a.model", b"", "it is empty")
    refuse("a.model", b"\xff" * 40, "is no SentencePiece model")
    refuse("notes.txt", b"a fox", "is no tokenizer; expected tokenizer.json")
    refuse("tokenizer.json", b"{}", "is no tokenizer.json")
    refuse("b.txt.gz", b"not gzip", "is no list of merges")
    refuse("b.txt.gz", gzip.compress(b"#version\na b\n"), "holds 1 merges, expected")
    refuse("b.txt.gz", gzip.compress(b"a b\n" * 50_000)[:-20], "is no list of merges")
    refuse("v/vocab.json", b"{}", "expected vocab.json and merges.txt together")
    refuse("v/merges.txt", b"a b\n", "another vocabulary than CLIP's")
    refuse("v/vocab.json", b"[1]", "is no vocabulary")
    refuse("v/vocab.json", b"{", "is not to be read as JSON")
    refuse("v/vocab.json", (tiny_clip / "vocab.json").read_bytes(), "does not fit the vocabulary")
    refuse("v/merges.txt", b"a b c\n", "got the merge 'a b c'")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no tokenizer"):
        load_target(f"{tmp_path / 'empty'}:77")
    for name in ("x.model", "y.model"):
        vocabulary.save(tmp_path / "empty" / name)
    with pytest.raises(ValueError, match=r"holds 2 models \(x.model, y.model\)"):
        load_target(f"{tmp_path / 'empty'}:77")
    with pytest.raises(ValueError, match="another tokenizer than t5's"):
        load_target(f"t5:256={tiny_clip}")
    with pytest.raises(ValueError, match="expected 3 or more, for 2 of them are special"):
        load_target(f"{tiny_clip}:2")


def test_a_text_that_is_no_unicode_is_refused(tiny_clip):
    with pytest.raises(ValueError, match="not valid UTF-8"):
        load_target(f"clip={tiny_clip}").count("a \ud83d fox")


def test_clip_is_found_in_a_package_whose_code_is_not_run(tmp_path, monkeypatch, merge_file):
    (tmp_path / "open_clip").mkdir()
    (tmp_path / "open_clip/__init__.py").write_text("raise ImportError('run')", encoding="utf-8")
    (tmp_path / "open_clip" / merge_file.name).write_bytes(merge_file.read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    target = load_target("clip:2")
    assert (target.name, target.budget, target.encode("ab")) == ("clip:2", 154, [513])
    assert "open_clip" not in sys.modules


def test_the_hub_is_asked_only_for_what_its_cache_lacks(tiny_clip, monkeypatch, no_package):
    asked = []

    def download(repo, name):
        asked.append((repo, name))
        return str(tiny_clip / name)

    cached = {"vocab.json": str(tiny_clip / "vocab.json")}
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, name: cached.get(name)
    )
    assert load_target("clip").count("red") == 3
    assert asked == [("openai/clip-vit-large-patch14", "merges.txt")]


def test_a_tokenizer_that_is_nowhere_is_an_error_with_the_ways_out(
    tmp_path, monkeypatch, no_package
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"clip=PATH.*install open_clip.*go online once"):
        load_target("clip")
    with pytest.raises(ValueError, match=r"t5:N=PATH.*go online once"):
        load_target("t5:256")


def test_both_forms_of_the_real_clip_tokenizer_agree(real_clip, prompts):
    files = load_target(f"clip={real_clip}")
    merges = load_target(f"clip={real_clip / 'bpe_simple_vocab_16e6.txt.gz'}")
    assert files.encode("a red fox") == [320, 736, 3240]
    texts = [*prompts, *ODD_TEXTS]
    assert [files.encode(text) for text in texts] == [merges.encode(text) for text in texts]


def test_the_real_t5_tokenizer_counts_its_end_token(real_t5):
    target = load_target(str(real_t5))
    assert target.budget == 512
    assert load_target(f"t5:256={real_t5}").count("studies have shown") == 4


@pytest.mark.torch
def test_clip_gives_the_ids_of_transformers(real_clip, prompts, transformers):
    reference = transformers.CLIPTokenizer.from_pretrained(str(real_clip))
    target = load_target(f"{real_clip}:77")
    for text in [*prompts, *ODD_TEXTS]:
        expected = reference(text)["input_ids"]
        assert [49_406, *target.encode(text), 49_407] == expected
        assert target.count(text) == len(expected)


@pytest.mark.torch
def test_t5_gives_the_ids_of_transformers(real_t5, prompts, transformers):
    reference = transformers.T5TokenizerFast.from_pretrained(str(real_t5))
    target = load_target(f"t5:256={real_t5}")
    for text in prompts:
        expected = reference(text)["input_ids"]
        assert [*target.encode(text), 1] == expected
        assert target.count(text) == len(expected)

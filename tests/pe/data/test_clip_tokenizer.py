"""CLIP's tokenizer has the ids of open_clip's, and its vocabulary is found and read.

The goldens are open_clip's; the test marked torch makes them anew and writes the file where there
is none.
"""

import gzip
import html
import importlib.util
import itertools
import json
import random
import sys
import unicodedata
from pathlib import Path

import ftfy
import huggingface_hub.constants
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe.data.clip_tokenizer import (
    END,
    MERGE_FILE,
    START,
    ClipTokenizer,
    ClipVocabulary,
    clean_text,
    load_clip_tokenizer,
    read_clip_vocabulary,
)

ROOT = Path(__file__).parents[3]
GOLDENS = ROOT / "tests/goldens/clip_tokenizer.json"
CLIP = ROOT / "../shared/data/tokenizers/clip"
PROMPTS = ROOT / "../shared/data/prompts/image_prompts.jsonl"
TINY_WORDS = ("red", "fox", "photo", "text", "of", "end", "<|", "éa")
ODD_TEXTS = (
    "",
    "  ",
    "a red fox",
    "A photo  of a\tRED\nfox",
    "it's I'M don'T we'll 'Re",
    "foo!, bar... (red:1.2) ((x)) [y]",
    "a__b_c 12345 ½Ⅷ",
    "a <end_of_text> b",
    "<START_OF_TEXT>x",
    "!<end_of_text>",
    "fox<end_of_text>!",
    "'s<end_of_text>",
    "<end_of_text><start_of_text>y",
    "<ſtart_of_text> it'ſ",
    "a <|endoftext|> b<|startoftext|>",
    "x</w> </w>",
    "&amp;amp; &lt;b&gt; &EACUTE; &eacute fish&chips",
    "< &EACUTE; &amp;amp;amp;lt;",
    "&#xD800;&#x1c;&#128512;",
    "Ã©tÃ© â€œqâ€\x9d donâ€™t",
    "e\u0301 É ﬁ ﬅ İ ẞ ΣΑΣ",
    "\x00a\x1cb\x85c\u2028d\u3000e\x1b[31mf",
    "a\u200bb\u180ec\u00a0d",
    "ＡＢＣ １２３",
    "写surreal 女士 日本語",
    "😀👩\u200d👩\u200d👧 bare 🍈🍈",
    "\ude00 \ud800",
    '“curly” ‘quotes’ and "straight" ones',
    "fox, " * 50,
)


def list_letters():
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(i) for i in (*printed, *range(256, 256 + 68))]


def list_merges():
    """Merges that build up some words letter by letter, as the tiny vocabulary has them."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = [*printed, *sorted(set(range(256)) - set(printed))]
    letters = dict(zip(order, list_letters(), strict=True))
    merges = {}
    for word in TINY_WORDS:
        spelled = [letters[byte] for byte in word.encode()]
        left = spelled[0]
        for i, right in enumerate(spelled[1:]):
            right += "</w>" if i == len(spelled) - 2 else ""
            merges[left, right] = None
            left += right
    return list(merges)


def write_vocabulary(folder, merges):
    letters = list_letters()
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["".join(merge) for merge in merges] + [START, END]
    vocab = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return vocab


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_vocabulary(folder, list_merges())
    return folder


@pytest.fixture(scope="module")
def tiny(tiny_folder):
    return load_clip_tokenizer(tiny_folder)


@pytest.fixture(scope="module")
def real():
    if not CLIP.is_dir():
        pytest.skip(f"needs {CLIP}: CLIP's tokenizer")
    return load_clip_tokenizer(CLIP)


@pytest.fixture(scope="module")
def tokenizers(request):
    """The tokenizer that a name stands for."""
    return lambda name: request.getfixturevalue("real" if name == "clip" else "tiny")


@pytest.fixture(scope="module")
def open_clip(transformers):
    """The reference; it needs the operators that transformers needs."""
    return pytest.importorskip("open_clip.tokenizer")


@pytest.fixture(scope="module")
def references(open_clip, tmp_path_factory):
    """open_clip's tokenizer, with its own vocabulary and with the tiny one."""
    path = tmp_path_factory.mktemp("tiny") / "merges.txt.gz"
    lines = ["#version", *(" ".join(merge) for merge in list_merges())]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return {"clip": open_clip.SimpleTokenizer(), "tiny": open_clip.SimpleTokenizer(str(path))}


def read_goldens():
    return json.loads(GOLDENS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["tiny", "clip"])
def test_the_ids_and_rows_and_texts_are_those_of_open_clip(tokenizers, name):
    tokenizer, goldens = tokenizers(name), read_goldens()[name]
    assert [golden["text"] for golden in goldens] == list(ODD_TEXTS)
    for golden in goldens:
        ids = tokenizer.encode(golden["text"])
        assert ids == golden["ids"], golden["text"]
        assert tokenizer.decode(ids) == golden["decoded"]
    rows = tokenizer.tokenize([golden["text"] for golden in goldens], 12)
    assert rows.dtype == np.int32
    assert rows.tolist() == [golden["row"] for golden in goldens]


@pytest.mark.torch
def test_the_goldens_are_what_open_clip_gives(references):
    made = {
        name: [
            {
                "text": text,
                "ids": (ids := reference.encode(text)),
                "row": reference(text, context_length=12)[0].tolist(),
                "decoded": reference.decode(ids),
            }
            for text in ODD_TEXTS
        ]
        for name, reference in references.items()
    }
    if not GOLDENS.is_file():
        lines = [
            f" {json.dumps(name)}: [\n  " + ",\n  ".join(map(json.dumps, rows)) + "\n ]"
            for name, rows in made.items()
        ]
        GOLDENS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    assert read_goldens() == made


@pytest.mark.torch
def test_thousands_of_texts_have_the_ids_of_open_clip(real, references):
    rng = random.Random(0)
    pieces = [
        *"abcXYZ '!,.<>&;_#012éſΣİÃ©â€™日😀",
        "\u0301",
        "\u00a0",
        "\x00",
        "\n",
        "\ud83d",
        "\ude00",
    ]
    pieces += ["<end_of_text>", "<start_of_text>", "&amp;", "&lt;", "'s", "'ll"]
    # which letters are newer than that depends on the version of the reference's package regex
    assigned = [
        character
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) not in ("Cn", "Co", "Cs")
    ]
    texts = ["".join(rng.choices(pieces, k=rng.randint(0, 14))) for _ in range(4000)]
    texts += ["".join(rng.choices(assigned, k=6)) for _ in range(4000)]
    if PROMPTS.is_file():
        with PROMPTS.open(encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for line in itertools.islice(file, 3000)]
    reference = references["clip"]
    for text in texts:
        ids = real.encode(text)
        assert ids == reference.encode(text), text
        assert real.decode(ids) == reference.decode(ids)
    for text in texts[:3000]:
        assert real.tokenize([text])[0].tolist() == reference(text)[0].tolist()
    for _ in range(1000):
        ids = [rng.randrange(real.vocab_size) for _ in range(8)]
        assert real.decode(ids) == reference.decode(ids)
    assert (real.vocab_size, real.start_id, real.end_id) == (
        reference.vocab_size,
        reference.sot_token_id,
        reference.eot_token_id,
    )


def test_the_real_tokenizer_gives_what_the_docstrings_show(real):
    rows = {
        "": [],
        "A red fox": [320, 736, 3240],
        "it's": [585, 568],
        "fox<end_of_text>": [3240, 49407],
        "fox <|endoftext|>": [3240, 27, 347, 40786, 4160, 91, 285],
    }
    assert {text: real.encode(text) for text in rows} == rows
    assert real.encode_batch(rows) == list(rows.values())
    assert real.tokenize(["", "a", "a red fox"], 4).tolist() == [
        [49406, 49407, 0, 0],
        [49406, 320, 49407, 0],
        [49406, 320, 736, 49407],
    ]
    assert real.tokenize(["a"]).shape == (1, 77)
    decoded = real.decode(np.array([49406, 320, 736, 3240, 49407]))
    assert decoded == "<start_of_text>a red fox <end_of_text>"
    assert real.decode([0, 0]) == "!!"
    assert (real.start_id, real.end_id, real.vocab_size) == (49406, 49407, 49408)


def test_words_are_merged_as_the_vocabulary_says(tiny):
    letters = list_letters()
    red, fox = (512 + list_merges().index(merge) for merge in (("re", "d</w>"), ("fo", "x</w>")))
    assert tiny.encode("  Red\tFOX") == [red, fox]
    fo = 512 + list_merges().index(("f", "o"))
    assert tiny.encode("foxy") == [fo, letters.index("x"), 256 + letters.index("y")]
    assert tiny.vocab_size == tiny.end_id + 1 == tiny.start_id + 2
    assert tiny.decode(tiny.encode("red FOX?")) == "red fox ? "
    assert tiny.decode([letters.index("Ã")]) == "\ufffd"  # half of a letter of two bytes


def test_a_text_is_cleaned_before_it_is_read():
    rows = {
        "  A Red  FOX ": "a red fox",
        "cafÃ© &amp;amp; bar": "café & bar",
        "“curly” ﬁre": '"curly" fire',
    }
    assert {text: clean_text(text) for text in rows} == rows


# printable ASCII without "&"
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&"))


@given(PLAIN)
def test_printable_ascii_without_ampersands_needs_no_mending(text):
    assert ftfy.fix_text(text) == text
    assert html.unescape(text) == text
    assert clean_text(text) == " ".join(text.split()).lower()


@settings(max_examples=300)
@given(PLAIN, PLAIN)
def test_a_list_is_encoded_item_by_item(tiny, a, b):
    assert tiny.encode(f"{a}, {b}") == tiny.encode(f"{a},") + tiny.encode(b)


def test_a_list_of_what_looks_like_mojibake_is_mended_otherwise_than_its_items():
    # two bytes of UTF-8 read as letters, which ftfy mends where it has no other sign of a language
    assert clean_text("â, €ã") == "â, €ã"
    assert (clean_text("â,"), clean_text("€ã")) == ("â,", "ۋ")


def test_all_ways_of_storing_a_vocabulary_give_the_same(tiny, tiny_folder, tmp_path):
    vocab = json.loads((tiny_folder / "vocab.json").read_text(encoding="utf-8"))
    paths = [tiny_folder / "vocab.json", tiny_folder / "merges.txt"]
    for i, merges in enumerate((list_merges(), [" ".join(m) for m in list_merges()])):
        paths.append(tmp_path / f"{i}/tokenizer.json")
        paths[-1].parent.mkdir()
        model = {"type": "BPE", "vocab": vocab, "merges": merges}
        paths[-1].write_text(json.dumps({"model": model}), encoding="utf-8")
    for path in [*paths, paths[-1].parent]:
        found = load_clip_tokenizer(path)
        assert found.encode_batch(ODD_TEXTS) == tiny.encode_batch(ODD_TEXTS)
        assert found.digest == tiny.digest


def test_other_ids_and_other_merges_have_another_digest(tiny, tiny_folder):
    given = read_clip_vocabulary(tiny_folder)
    swapped = {**given.ids, START: given.ids[END], END: given.ids[START]}
    for ids, merges in ((swapped, given.merges), (given.ids, given.merges[:-1])):
        assert ClipTokenizer(ClipVocabulary(ids, merges, given.path)).digest != tiny.digest


def test_both_forms_of_the_real_vocabulary_agree(real):
    merges = load_clip_tokenizer(CLIP / MERGE_FILE)
    assert merges.digest == real.digest
    assert merges.encode_batch(ODD_TEXTS) == real.encode_batch(ODD_TEXTS)


def write_merge_file(path):
    """As many merges as CLIP has, all pairs of letters; the first is "ab" to end a word."""
    letters = list_letters()
    pairs = [("a", "b</w>"), *itertools.product(letters, letters)]
    lines = ["#version", *(f"{left} {right}" for left, right in pairs)]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), compresslevel=1))


def test_without_a_path_open_clip_is_looked_at_but_not_run(tmp_path, monkeypatch):
    (tmp_path / "open_clip").mkdir()
    (tmp_path / "open_clip/__init__.py").write_text("raise ImportError('run')", encoding="utf-8")
    write_merge_file(tmp_path / "open_clip" / MERGE_FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    tokenizer = load_clip_tokenizer()
    assert tokenizer.encode("AB") == [512]
    assert (tokenizer.start_id, tokenizer.end_id) == (49_406, 49_407)
    assert "open_clip" not in sys.modules


def test_without_path_and_package_the_hub_is_asked(tiny_folder, tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *args: None if name == "open_clip" else find_spec(name, *args),
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"give its path, install open_clip.*go online once"):
        load_clip_tokenizer()
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repo, name: str(tiny_folder / name)
    )
    assert len(load_clip_tokenizer().encode("red fox")) == 2


def test_what_is_no_vocabulary_of_clip_is_refused(tmp_path, tiny_folder):
    def refuse(path, message, content=None):
        if content is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_clip_tokenizer(path)

    refuse(tmp_path / "nowhere", "there is no file or folder")
    refuse(tmp_path, "holds no tokenizer; expected tokenizer.json, vocab.json")
    refuse(tmp_path / "notes.txt", "is no tokenizer of CLIP's", "a fox")
    refuse(tmp_path / "a/tokenizer.json", "is no tokenizer.json of CLIP's", {})
    model = {"vocab": {"a": 0}, "merges": []}
    refuse(tmp_path / "a/tokenizer.json", "another vocabulary than CLIP's", {"model": model})
    model = {"vocab": {START: 0, END: 1, "a</w>": 2}, "merges": []}
    refuse(tmp_path / "a/tokenizer.json", "511 of the 512 letters lacking", {"model": model})
    vocab = read_clip_vocabulary(tiny_folder).ids
    model = {"vocab": {**vocab, END: 9999}, "merges": []}
    refuse(tmp_path / "a/tokenizer.json", "0 of the 512 letters lacking and ids up to 9999",
           {"model": model})  # fmt: skip
    model = {"vocab": {**vocab, "日": len(vocab)}, "merges": []}
    refuse(tmp_path / "a/tokenizer.json", r"got the token '\\u65e5'", {"model": model})
    model = {"vocab": vocab, "merges": [["q", 1, "q"]]}
    refuse(tmp_path / "a/tokenizer.json", "got the merge 'q 1 q'", {"model": model})
    model = {"vocab": vocab, "merges": ["q q"]}
    refuse(tmp_path / "a/tokenizer.json", "does not fit the vocabulary", {"model": model})
    refuse(tmp_path / "b/vocab.json", "expected vocab.json and merges.txt together", vocab)


def test_what_cannot_be_laid_in_rows_or_shown_is_refused(tiny):
    with pytest.raises(ValueError, match="context_length: got 1, expected 2 or more"):
        tiny.tokenize(["red"], 1)
    with pytest.raises(TypeError, match=r"got the text 'red', expected several; give \[text\]"):
        tiny.tokenize("red")
    with pytest.raises(ValueError, match=r"got the id 99999, expected 0 to"):
        tiny.decode([99_999])
    with pytest.raises(ValueError, match=r"got the id -1, expected 0 to"):
        tiny.decode([-1])
    assert tiny.tokenize([]).shape == (0, 77)

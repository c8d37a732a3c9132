"""`pe show`: a pair's way, from its line to the tokens that a model reads and writes."""

import json

from data_builders.main import BuildConfig, build
from pe import shards
from pe.cli import main
from pe.data.tokenizer import VocabularyConfig, load_vocabulary, train_vocabulary

PROMPTS = [f"a {color} {thing} by the sea, oil painting, soft light" for color in
           ("red", "old", "tall") for thing in ("fox", "barn", "lighthouse")]  # fmt: skip


def test_a_pair_is_shown_from_its_line_to_its_tokens(tmp_path, capsys):
    source, vocab = tmp_path / "prompts.txt", tmp_path / "own.model"
    source.write_text("\n".join(PROMPTS), encoding="utf-8")
    build(source, tmp_path / "data", BuildConfig())
    train_vocabulary(PROMPTS, VocabularyConfig(size=400)).save(vocab)
    pair = shards.read_shards(tmp_path / "data" / "pairs").to_pylist()[0]
    capsys.readouterr()
    args = ["show", pair["id"], "--data", str(tmp_path / "data"), "--vocab", str(vocab)]
    assert main(args) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["image"]["uri"].startswith("prompts.txt:")
    assert shown["inversion"]["prompt"] == pair["prompt"]
    assert shown["query"]["text"] == pair["query"]
    (example,) = shown["examples"]
    assert example["inputs"] == f"{pair['prefix']} {pair['query']}"
    vocabulary = load_vocabulary(vocab)
    ids = [int(token.split(":")[0]) for token in example["targets_tokens"].split()]
    assert ids == vocabulary.encode(pair["prompt"])
    assert main(["show", pair["id"], "--data", str(tmp_path / "data")]) == 0
    assert "tokens" not in capsys.readouterr().out

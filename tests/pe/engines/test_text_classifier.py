"""A classifier saved by transformers: its probabilities, its labels, what it drops in a build."""

import json

import numpy as np
import pyarrow as pa
import pytest

from data_builders.classifying import ClassifierStage
from pe.engines.text_classifier import ClassifierConfig, TextClassifier
from pe.records import Inversion
from pe.stages.stage import Drop

TEXTS = ["a red fox in snow", "b b b", "a boat", "c a b d e f"]


@pytest.fixture(scope="module")
def model(transformers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "red", "fox", "boat", "in", "snow"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = transformers.BertTokenizer(vocab=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    import torch

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40, num_labels=3, initializer_range=1.0,
        id2label={0: "safe", 1: "NSFW", 2: "toxic"}, label2id={"safe": 0, "NSFW": 1, "toxic": 2},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def expect(transformers, folder) -> np.ndarray:
    """Return the library's own probabilities, a text at a time."""
    import torch

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    made = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        rows = [made(**tokenizer(text, return_tensors="pt")).logits.softmax(-1) for text in TEXTS]
    return torch.cat(rows).numpy()


@pytest.mark.torch
def test_probabilities_are_the_library_s(transformers, model):
    wanted = expect(transformers, model)
    config = ClassifierConfig(model=str(model), batch_rows=3)
    found = TextClassifier(config).classify(TEXTS)
    np.testing.assert_allclose([p for p, _ in found], wanted[:, 1:].sum(axis=1), atol=1e-5)
    labels = [("NSFW", "toxic")[int(row[2] > row[1])] for row in wanted]
    assert [label for _, label in found] == labels


@pytest.mark.torch
def test_of_several_labels_at_once_the_likeliest_counts(transformers, model, tmp_path):
    import torch

    made = transformers.AutoModelForSequenceClassification.from_pretrained(model)
    made.config.problem_type = "multi_label_classification"
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    for part in (made, tokenizer):
        part.save_pretrained(tmp_path)
    with torch.inference_mode():
        rows = [made.eval()(**tokenizer(t, return_tensors="pt")).logits.sigmoid() for t in TEXTS]
    found = TextClassifier(ClassifierConfig(model=str(tmp_path))).classify(TEXTS)
    wanted = torch.cat(rows).numpy()[:, 1:].max(axis=1)
    np.testing.assert_allclose([p for p, _ in found], wanted, atol=1e-5)


@pytest.mark.torch
def test_a_build_drops_what_it_calls_unsafe(transformers, model):
    unsafe = expect(transformers, model)[:, 1:].sum(axis=1)
    middle = float(np.sort(unsafe)[1:3].mean())
    stage = ClassifierStage(ClassifierConfig(model=str(model), threshold=middle))
    rows = [
        Inversion(image_id="i", source_id="s", caption=t, flavors=(), prompt=t, method="given")
        for t in TEXTS
    ]
    stage.open()
    results = stage(pa.table({"inversion": [row.to_row() for row in rows]}))
    stage.close()
    assert [isinstance(result, Drop) for result in results] == (unsafe >= middle).tolist()
    assert {r.reason for r in results if isinstance(r, Drop)} == {"unsafe_model"}


@pytest.mark.torch
def test_a_model_without_the_labels_is_refused(model):
    with pytest.raises(ValueError, match="has the labels safe, NSFW, toxic, and none of rude"):
        TextClassifier(ClassifierConfig(model=str(model), labels=("rude",)))


@pytest.mark.torch
def test_what_is_no_classifier_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}), encoding="utf-8")
    with pytest.raises(ValueError, match="is no classifier that transformers reads"):
        TextClassifier(ClassifierConfig(model=str(tmp_path)))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"ClassifierConfig.threshold: got 0.0, expected above 0"):
        ClassifierConfig(threshold=0.0)
    with pytest.raises(ValueError, match=r"ClassifierConfig.batch_rows: got 0"):
        ClassifierConfig(batch_rows=0)

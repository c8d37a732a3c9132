"""Nats per target token of a model over pairs, with the query and blanked, beside a unigram.

The gap that blanking opens is how much the model listens to the query.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from pe.axes import Float, Int
from pe.data.features import LengthConfig, encode_pair, encode_target
from pe.data.pipeline import load_pairs, pad_batches
from pe.data.tokenizer import Vocabulary
from pe.train.run import UNIGRAM_FILE, TrainConfig, TrainedModel
from pe.train.seq2seq import batch_to_device, make_row_scorer

BATCH_ROWS = 32
Pairs = Sequence[Mapping[str, Any]]
Score = Callable[[Any, Any], tuple[Any, Any]]


@dataclasses.dataclass(frozen=True)
class RowScores:
    """Nats and target tokens (end token included) of every pair, in order."""

    nats: Float[np.ndarray, " B"]
    num_tokens: Float[np.ndarray, " B"]

    def per_token(self, rows: Sequence[int] | None = None) -> float:
        """Return nats per token over all rows, or over some."""
        index = slice(None) if rows is None else np.asarray(rows, int)
        return float(self.nats[index].sum() / max(1.0, self.num_tokens[index].sum()))


def score_pairs(
    score: Score,
    params: nnx.State,
    pairs: Pairs,
    vocabulary: Vocabulary,
    lengths: LengthConfig,
    *,
    is_blanked: bool = False,
) -> RowScores:
    """Score pairs of `query`, `prompt` and, where the model should see one, `prefix`.

    Blanked, the input is padding from end to end: the decoder has only what it wrote so far.
    """
    examples = [encode_pair({"prefix": "", **pair}, vocabulary, lengths) for pair in pairs]
    nats, num_tokens = np.zeros(len(pairs)), np.zeros(len(pairs))
    for numbers, batch in pad_batches(examples, batch_rows=BATCH_ROWS):
        if is_blanked:
            for name in ("inputs", "inputs_segment_ids"):  # ids too: T5 averages what is masked
                batch[name] = np.zeros_like(batch[name])
        row_nats, row_tokens = score(params, batch_to_device(batch))
        nats[numbers] = np.asarray(row_nats)[: len(numbers)]
        num_tokens[numbers] = np.asarray(row_tokens)[: len(numbers)]
    return RowScores(nats, num_tokens)


def empty_queries(pairs: Pairs) -> list[dict[str, Any]]:
    """Return the pairs with an empty query and no prefix: the input is the end token alone."""
    return [{**pair, "query": "", "prefix": ""} for pair in pairs]


def score_unigram(
    counts: Int[np.ndarray, " V"], pairs: Pairs, vocabulary: Vocabulary, lengths: LengthConfig
) -> RowScores:
    """Score pairs by how often each piece stood in the training targets (plus one)."""
    nll = -np.log((counts + 1.0) / (counts + 1.0).sum())
    targets = [
        encode_target(pair["prompt"], vocabulary, max_length=lengths.targets) for pair in pairs
    ]
    nats = np.array([nll[ids].sum() for ids in targets])
    return RowScores(nats, np.array([float(len(ids)) for ids in targets]))


def rows_by(pairs: Pairs, field: str) -> dict[str, list[int]]:
    """Group row numbers by a field of the pairs; pairs without it are in no group."""
    groups: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        if pair.get(field):
            groups.setdefault(str(pair[field]), []).append(number)
    return dict(sorted(groups.items()))


def score_arms(
    score: Score, params: nnx.State, pairs: Pairs, vocabulary: Vocabulary, lengths: LengthConfig
) -> dict[str, RowScores]:
    """Score pairs as they are ("query"), with padding ("blanked") and with "" ("empty").

    The end token alone the model can take for a vague query, so that `empty` is near what a
    language model of prompts would say; padding alone is like nothing it was trained on.
    """

    def run(rows: Pairs, *, is_blanked: bool = False) -> RowScores:
        return score_pairs(score, params, rows, vocabulary, lengths, is_blanked=is_blanked)

    return {
        "query": run(pairs),
        "blanked": run(pairs, is_blanked=True),
        "empty": run(empty_queries(pairs)),
    }


def score_model(model: TrainedModel, pairs: Pairs, *, run: Path) -> dict[str, RowScores]:
    """Score pairs by the arms of a model, beside the unigram counts of its run folder."""
    lengths = model.config.data.lengths
    score = make_row_scorer(model.graph)
    counts = np.load(run / UNIGRAM_FILE)
    return {
        **score_arms(score, model.params, pairs, model.vocabulary, lengths),
        "unigram": score_unigram(counts, pairs, model.vocabulary, lengths),
    }


def make_validation(
    data: Path, config: TrainConfig
) -> Callable[[nnx.GraphDef, Vocabulary], dict[str, Callable[[Any], dict[str, float]]]]:
    """Make what `train` calls for its evaluators: nats per token of each arm, on validation pairs.

    `no_prefix` beside the arms: what the model makes of the query alone.
    """
    table = load_pairs(data, split="validation")
    num_pairs = min(config.loop.num_eval_pairs, len(table))
    pairs = table.take([i * len(table) // num_pairs for i in range(num_pairs)]).to_pylist()
    plain = [{**pair, "prefix": ""} for pair in pairs]

    def make(graph: nnx.GraphDef, vocabulary: Vocabulary) -> dict[str, Any]:
        score = make_row_scorer(graph)
        lengths = config.data.lengths

        def evaluate(params: nnx.State) -> dict[str, float]:
            arms = score_arms(score, params, pairs, vocabulary, lengths)
            arms["no_prefix"] = score_pairs(score, params, plain, vocabulary, lengths)
            return {f"nats_per_token_{arm}": scores.per_token() for arm, scores in arms.items()}

        return {"validation": evaluate}

    return make

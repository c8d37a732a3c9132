"""Nats per target token of a model over pairs, with the query and blanked, beside a unigram.

The gap that blanking opens is how much the model listens to the query.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pe.axes import Float, Int
from pe.data.features import LengthConfig, encode_pair, encode_target
from pe.data.pipeline import pad_batches
from pe.data.tokenizer import Vocabulary
from pe.train.prepare import UNIGRAM_FILE
from pe.train.run import TrainedModel
from pe.train.seq2seq import bind_state, make_row_scorer

BATCH_ROWS = 32
ARMS = ("query", "no_prefix", "blanked", "empty")  # what Scorer.score_arms gives
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scorer:
    """A model as it scores: what runs it, its parameters, and how it reads a pair."""

    score: Score
    params: Any
    vocabulary: Vocabulary
    lengths: LengthConfig
    prompt_ids: tuple[int, ...] = ()

    def score_pairs(self, pairs: Pairs, *, is_blanked: bool = False) -> RowScores:
        """Score pairs of `query`, `prompt` and, where the model should see one, `prefix`.

        Blanked, the input is padding from end to end: the decoder has only what it wrote so far.
        """
        examples = [
            encode_pair(
                {"prefix": "", **pair}, self.vocabulary, self.lengths, prompt_ids=self.prompt_ids
            )
            for pair in pairs
        ]
        return self.score_examples(examples, is_blanked=is_blanked)

    def score_examples(
        self, examples: Sequence[dict[str, np.ndarray]], *, is_blanked: bool = False
    ) -> RowScores:
        """Score examples that are tokens already."""
        nats, num_tokens = np.zeros(len(examples)), np.zeros(len(examples))
        for numbers, batch in pad_batches(examples, batch_rows=BATCH_ROWS):
            if is_blanked:
                for name in ("inputs", "inputs_segment_ids"):  # ids too: T5 averages what is masked
                    batch[name] = np.zeros_like(batch[name])
            row_nats, row_tokens = self.score(self.params, batch)
            nats[numbers] = np.asarray(row_nats)[: len(numbers)]
            num_tokens[numbers] = np.asarray(row_tokens)[: len(numbers)]
        return RowScores(nats, num_tokens)

    def score_arms(self, pairs: Pairs) -> dict[str, RowScores]:
        """Score pairs as they are ("query"), without prefix, with padding ("blanked") and with "".

        The end token alone ("empty") the model can take for a vague query, so that it is near what
        a language model of prompts would say; padding alone is like nothing it was trained on.
        """
        return {
            "query": self.score_pairs(pairs),
            "no_prefix": self.score_pairs([{**pair, "prefix": ""} for pair in pairs]),
            "blanked": self.score_pairs(pairs, is_blanked=True),
            "empty": self.score_pairs(empty_queries(pairs)),
        }


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


def score_model(model: TrainedModel, pairs: Pairs, *, run: Path) -> dict[str, RowScores]:
    """Score pairs by the arms of a model, beside the unigram counts of its run folder."""
    scorer = Scorer(
        score=make_row_scorer(bind_state(model.graph)),
        params=model.params,
        vocabulary=model.vocabulary,
        lengths=model.config.data.lengths,
        prompt_ids=model.prompt_ids,
    )
    counts = np.load(run / UNIGRAM_FILE)
    unigram = score_unigram(counts, pairs, model.vocabulary, scorer.lengths)
    return {**scorer.score_arms(pairs), "unigram": unigram}

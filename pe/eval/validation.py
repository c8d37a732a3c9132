"""What a training run is told about itself at every evaluation: held-out loss, and samples.

Makes the evaluators that `pe.train.run.train` is handed.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
from flax import nnx

from pe import shards
from pe.data.objectives import encode_text, sentinel_ids
from pe.data.sources import DataSpec, load_part
from pe.decode.sampling import SamplingConfig
from pe.engines.expander import T5Expander
from pe.engines.model import ExpanderModel, ExpanderSettings, ModelInput
from pe.eval.likelihood import ARMS, RowScores, Scorer, rows_by
from pe.train.config import TrainConfig
from pe.train.loop import Evaluator
from pe.train.run import SAMPLES_FILE, EvalContext, MakeEvaluators
from pe.train.seq2seq import make_row_scorer

NATS = "nats_per_token"


def make_validation(
    data: Sequence[DataSpec], config: TrainConfig, *, say: Callable[[str], None]
) -> MakeEvaluators:
    """Make what `train` calls for its evaluators, of the validation split of the data.

    Parts that have none are said and left out.
    """
    objective = config.data.objective
    is_text = objective.name != "pairs"
    tables, lacking = [], []
    for spec in data:
        try:
            column = objective.column if is_text else None
            tables.append(load_part(spec, split="validation", half="", column=column))
        except ValueError as error:
            lacking.append(f"no validation on {spec.path}: {error}")
    rows = choose_rows(pa.concat_tables(tables), config.loop.num_eval_pairs) if tables else []

    def make(context: EvalContext) -> dict[str, Evaluator]:
        for told in lacking:  # now that the data has proved to be some
            say(told)
        evaluators: dict[str, Evaluator] = {}
        if rows:
            evaluators["validation"] = (
                text_validation(context, [row["text"] for row in rows])
                if is_text
                else pair_validation(context, rows)
            )
        if config.samples.queries and not is_text and jax.process_count() == 1:
            evaluators["samples"] = sample_writer(context, say=say)
        return evaluators

    return make


def choose_rows(table: pa.Table, num_rows: int) -> list[dict[str, Any]]:
    """Return `num_rows` rows of a table, evenly spread over it, or all."""
    num_rows = min(num_rows, len(table))
    return table.take([i * len(table) // num_rows for i in range(num_rows)]).to_pylist()


def make_scorer(context: EvalContext) -> Callable[[Any], Scorer]:
    """Return what makes a scorer of the loop's parameters; it compiles once."""
    config = context.config
    score = make_row_scorer(context.bind, place=context.place, out_shardings=context.whole)
    return lambda params: Scorer(
        score=score,
        params=params,
        vocabulary=context.vocabulary,
        lengths=config.data.lengths,
        prompt_ids=config.prompt_ids,
    )


def pair_validation(context: EvalContext, pairs: list[dict[str, Any]]) -> Evaluator:
    """Score validation pairs by every arm, and by prefix with it and without it."""
    scorer = make_scorer(context)
    groups = rows_by(pairs, "prefix")

    def evaluate(params: dict[str, Any], step: int) -> dict[str, float]:
        arms = scorer(params).score_arms(pairs)
        totals = {f"{NATS}_{arm}": scores.per_token() for arm, scores in arms.items()}
        by_prefix = {
            f"{NATS}_{arm}/{prefix}": arms[arm].per_token(rows)
            for prefix, rows in groups.items()
            for arm in ("query", "no_prefix")
        }
        return {**totals, **by_prefix}

    groups_named = (f"{NATS}_{arm}/{p}" for p in groups for arm in ("query", "no_prefix"))
    return Evaluator((*(f"{NATS}_{arm}" for arm in ARMS), *groups_named), evaluate)


def text_validation(context: EvalContext, texts: Sequence[str]) -> Evaluator:
    """Score held-out texts under the run's objective, always corrupted or split alike."""
    config, scorer = context.config, make_scorer(context)
    sentinels = None
    if config.data.objective.name == "span_corruption":
        sentinels = sentinel_ids(context.vocabulary, config.model.vocab_size)
    examples = [
        encode_text(
            text,
            context.vocabulary,
            config.data.lengths,
            config.data.objective,
            rng=np.random.default_rng([config.loop.seed, number]),
            sentinels=sentinels,
        )
        for number, text in enumerate(texts)
        if context.vocabulary.encode(text)
    ]

    def evaluate(params: dict[str, Any], step: int) -> dict[str, float]:
        scores: RowScores = scorer(params).score_examples(examples)
        return {NATS: scores.per_token()}

    return Evaluator((NATS,), evaluate)


def sample_writer(context: EvalContext, *, say: Callable[[str], None]) -> Evaluator:
    """Expand the run's fixed queries into samples.jsonl and onto the console.

    Raises ValueError for a query or prefix that the model cannot read.
    """
    config, samples = context.config, context.config.samples
    sampling = SamplingConfig(max_tokens=samples.max_tokens, temperature=samples.temperature)
    reads = ModelInput(
        name=context.out.name,
        vocabulary=context.vocabulary,
        vocab_size=config.model.vocab_size,
        settings=ExpanderSettings(
            max_input_tokens=config.data.lengths.inputs,
            prompt_ids=config.prompt_ids,
            prefix_first=True,
        ),
    )
    for query in samples.queries:
        try:
            reads.encode(query, samples.prefix)
        except ValueError as error:
            raise ValueError(f"SampleConfig: {query!r}: {error}; or set queries to ()") from error

    def evaluate(params: dict[str, Any], step: int) -> dict[str, float]:
        graph, state = nnx.split(context.bind(params))
        model = ExpanderModel(
            name=f"{reads.name}@{step}",
            vocabulary=reads.vocabulary,
            vocab_size=reads.vocab_size,
            settings=reads.settings,
            config=config.model,
            graph=graph,
            params=state,
        )
        sets = T5Expander(model).expand(
            samples.queries, samples.num_expansions, prefix=samples.prefix, sampling=sampling
        )
        rows = [
            {"step": step, "query": expansion.query, "text": expansion.text}
            for texts in sets
            for expansion in texts
        ]
        add_samples(context.out / SAMPLES_FILE, rows, step=step)
        for row in rows:
            say(f"  {row['query']}  ->  {row['text']}")
        num_words = [len(e.text.split()) for texts in sets for e in texts]
        return {"words": float(np.mean(num_words))}

    return Evaluator(("words",), evaluate)


def add_samples(path: Path, rows: Sequence[dict[str, Any]], *, step: int) -> None:
    """Add the samples of a step to a file; those of it and later, of a run cut short, go."""
    old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [line for line in old if json.loads(line)["step"] < step]
    lines = [*kept, *(json.dumps(row, ensure_ascii=False) for row in rows)]
    shards.write_text(path, "".join(f"{line}\n" for line in lines))

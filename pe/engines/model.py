"""An expander's model in memory: a T5, its vocabulary, and how a query is put before it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from pe.data.features import encode_input
from pe.data.tokenizer import EOS_ID, PAD_ID, Vocabulary, load_vocabulary
from pe.models.t5_config import DTYPES, T5Config
from pe.prefixes import PREFIXES, check_prefix
from pe.weights.checkpoint import load_params
from pe.weights.formats import open_model

AUTO = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpanderSettings:
    """How a model is fed.

    `template` is the text around the query that a model was trained to read, with `{query}` in it:
    "Expand this prompt: {query}". `prompt_ids` are put in front of every input (a soft prompt that
    was baked into the vocabulary), with `prefix_first` behind its prefix. Inputs may have
    `max_input_tokens`, all of it included.
    """

    max_input_tokens: int = 512
    template: str = "{query}"
    prompt_ids: tuple[int, ...] = ()
    prefix_first: bool = False

    def __post_init__(self) -> None:
        if self.max_input_tokens < 2:
            raise ValueError(f"max_input_tokens: got {self.max_input_tokens}, expected 2 or more")
        if not isinstance(self.template, str) or self.template.count("{query}") != 1:
            raise ValueError(f"template: got {self.template!r}, expected {{query}} in it, once")
        if any(i < 0 for i in self.prompt_ids):
            raise ValueError(f"prompt_ids: got {self.prompt_ids}, expected ids from 0 on")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON holds them."""
        return dataclasses.asdict(self) | {"prompt_ids": list(self.prompt_ids)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInput:
    """What of a model its input and output texts need, whatever runs it."""

    name: str
    vocabulary: Vocabulary
    vocab_size: int
    settings: ExpanderSettings

    def encode(self, query: str, prefix: str) -> np.ndarray:
        """Return the token ids of a query, ready to be read.

        Raises ValueError for an unknown prefix, an empty or broken query, or one that is too long.
        """
        check_prefix(prefix)
        if any("\ud800" <= character <= "\udfff" for character in query):
            raise ValueError(f"the query {query!a} is not valid UTF-8 text; retype or re-encode it")
        if not query:
            raise ValueError("the query is empty; expected a few words to expand")
        text = self.settings.template.replace("{query}", query)
        ids, num_prefix = encode_input(text, prefix, self.vocabulary, max_length=10**9)
        before = num_prefix if self.settings.prefix_first else 0
        ids = np.insert(ids, before, self.settings.prompt_ids)
        longest = self.settings.max_input_tokens
        if len(ids) > longest:
            raise ValueError(
                f"the query has {len(ids) - 1} tokens ({len(query):,} characters) and this model "
                f"reads at most {longest - 1}; shorten it"
            )
        return ids

    def decode(self, tokens: np.ndarray) -> str:
        """Return the text of drawn tokens."""
        return self.vocabulary.decode(tokens.tolist()).strip()

    def forbidden(self) -> np.ndarray:
        """Return which ids are never written [V]: those that stand for no text, but for the end."""
        ids = np.arange(self.vocab_size)
        is_text = ids < self.vocabulary.size
        is_text[: self.vocabulary.size] &= [
            not self.vocabulary.is_control(int(i)) for i in ids[: self.vocabulary.size]
        ]
        codes = [self.vocabulary.encode(prefix) for prefix in PREFIXES]
        is_text[[code[0] for code in codes if len(code) == 1]] = False  # pieces of our own: no text
        is_text[[i for i in self.settings.prompt_ids if i < self.vocab_size]] = False
        is_text[EOS_ID], is_text[PAD_ID] = True, False
        return ~is_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpanderModel(ModelInput):
    """A T5 in memory, ready to write."""

    config: T5Config
    graph: nnx.GraphDef
    params: nnx.State


def load_model(
    source: str | Path,
    *,
    vocabulary: Path | None = None,
    dtype: str = AUTO,
    settings: Mapping[str, Any] | None = None,
) -> ExpanderModel:
    """Load a model from a run, a model folder, Hugging Face's layout or hub, or T5X.

    `dtype` is what the matrix products are computed in: "auto" is float32 on a CPU, where bfloat16
    is slow, and elsewhere what the run was trained in, bfloat16 for models from outside. `settings`
    replace those that came with the model.

    Raises ValueError when the model is not to be had, damaged, or without a vocabulary.
    """
    if dtype not in (AUTO, *DTYPES):
        raise ValueError(f"dtype: got {dtype!r}, expected one of {(AUTO, *DTYPES)}")
    opened = open_model(str(source), vocabulary=vocabulary)
    checkpoint = opened.checkpoint
    vocabulary_file = checkpoint.vocabulary
    if vocabulary_file is None:
        raise ValueError(
            f"{source} holds no vocabulary; give its SentencePiece model with --vocab FILE"
        )
    if dtype == AUTO:
        dtype = "float32" if jax.default_backend() == "cpu" else checkpoint.config.dtype
    config = dataclasses.replace(checkpoint.config, dtype=dtype, dropout_rate=0.0)
    checkpoint = dataclasses.replace(checkpoint, config=config)
    model_vocabulary = load_vocabulary(vocabulary_file)
    expander_settings = make_settings({**opened.expander, **(settings or {})}, source=str(source))
    num_rows, num_pieces = config.vocab_size, model_vocabulary.size
    if num_pieces > num_rows:
        raise ValueError(
            f"{vocabulary_file} has {num_pieces:,} pieces and the model of {source} only "
            f"{num_rows:,} rows; it is another model's vocabulary"
        )
    if too_high := [i for i in expander_settings.prompt_ids if i >= num_rows]:
        raise ValueError(
            f"{source}: prompt_ids: got {too_high}, expected 0 to {num_rows - 1}, the model's rows"
        )
    graph, params = load_params(checkpoint, dtype=dtype)
    return ExpanderModel(
        name=opened.name,
        vocabulary=model_vocabulary,
        vocab_size=num_rows,
        settings=expander_settings,
        config=config,
        graph=graph,
        params=params,
    )


def make_settings(given: Mapping[str, Any], *, source: str) -> ExpanderSettings:
    """Check stored settings. Raises ValueError naming the model they came with."""
    known = {field.name for field in dataclasses.fields(ExpanderSettings)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{source}: unknown expander settings {unknown}, expected {sorted(known)}")
    try:  # JSON has lists for tuples
        ids = tuple(int(i) for i in given.get("prompt_ids", ()))
        return ExpanderSettings(**{**given, "prompt_ids": ids})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: expander settings: {error}") from error

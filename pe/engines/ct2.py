"""A CTranslate2 folder of `pe convert` as an expander's model and runtime."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pe.data.tokenizer import load_vocabulary
from pe.decode.ct2 import Ct2Writer, read_names
from pe.engines.model import ModelInput, make_settings
from pe.weights.formats import CT2_FILE


def load_ct2(
    source: str,
    *,
    vocabulary: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    num_threads: int = 0,
    reseeds: bool = False,
) -> tuple[ModelInput, Ct2Writer]:
    """Load a folder that `pe convert --to ct2` wrote; `num_threads` 0 is CTranslate2's choice.

    `reseeds`: see `Ct2Writer`.

    Raises ValueError when it is no such folder, damaged, or without a vocabulary, or the vocabulary
    is another model's.
    """
    folder = Path(source)
    path = folder / CT2_FILE
    if not path.is_file():
        raise ValueError(
            f"{source} is no CTranslate2 model of this project ({CT2_FILE} is missing); make one "
            "with  pe convert MODEL DIR --to ct2"
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        stored = dict(description["expander"])
        file = description["vocabulary"]
        beside = None if file is None else folder / file
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}; convert the model again") from error
    name = stored.pop("name", folder.resolve().name)
    vocabulary_file = vocabulary or beside
    if vocabulary_file is None:
        raise ValueError(f"{source} holds no vocabulary; give it with --vocab FILE")
    model = ModelInput(
        name=name,
        vocabulary=load_vocabulary(vocabulary_file),
        vocab_size=len(read_names(folder)),
        settings=make_settings({**stored, **(settings or {})}, source=source),
    )
    num_pieces, num_rows = model.vocabulary.size, model.vocab_size
    if num_pieces > num_rows:
        raise ValueError(
            f"{vocabulary_file} has {num_pieces:,} pieces and the model of {source} only "
            f"{num_rows:,} rows; it is another model's vocabulary"
        )
    if too_high := [i for i in model.settings.prompt_ids if i >= num_rows]:
        raise ValueError(
            f"{source}: prompt_ids: got {too_high}, expected 0 to {num_rows - 1}, the model's rows"
        )
    return model, Ct2Writer(
        folder, forbidden=model.forbidden(), num_threads=num_threads, reseeds=reseeds
    )

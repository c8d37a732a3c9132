"""Draw texts with CTranslate2 (extra [ct2]): for a CPU, in int8 too.

CTranslate2 draws all texts of a request in one call, by a noise of its own: a request's texts are
the same each time, but another number of texts, or the default runtime, gives others. Bans within a
text are not among its options for phrases cut in any way, so this runtime refuses them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pe.data.tokenizer import EOS_ID
from pe.decode.generate import Drawn, Request
from pe.decode.phrase_ban import PhraseBan
from pe.decode.sampling import SamplingConfig

EXTRA = 'pip install "prompt-expansion[ct2]"'


class Ct2Writer:
    """A CTranslate2 model that writes; `forbidden` [V] are the ids that are never written."""

    def __init__(self, folder: Path, *, forbidden: np.ndarray, num_threads: int = 0):
        try:
            import ctranslate2
        except ImportError as error:
            raise ValueError(f"the runtime ct2 needs ctranslate2: {EXTRA}") from error
        self._set_seed = ctranslate2.set_random_seed
        try:
            self._translator = ctranslate2.Translator(
                str(folder), device="cpu", inter_threads=1, intra_threads=num_threads
            )
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{folder} is no CTranslate2 model: {error}") from error
        self._names = _read_names(folder)
        self._ids = {name: i for i, name in enumerate(self._names)}
        self._forbidden = [[self._names[i]] for i in np.flatnonzero(forbidden)]

    def draw(
        self,
        requests: Sequence[Request],
        sampling: SamplingConfig,
        *,
        ban: PhraseBan | None = None,
    ) -> list[list[Drawn]]:
        """Draw every text to its end or to `max_tokens`.

        The log-probability is CTranslate2's, over the distribution that it drew from. Raises
        ValueError for options that it does not have: min_p, phrase bans.
        """
        options = self._options(sampling, ban)
        results = []
        for request in requests:
            self._set_seed(request.seed + request.numbers[0])
            source = [[self._names[int(i)] for i in request.inputs]]
            (found,) = self._translator.translate_batch(
                source, num_hypotheses=len(request.numbers), **options
            )
            results.append(
                [
                    self._read(pieces, score * max(1, len(pieces)), sampling.max_tokens)
                    for pieces, score in zip(found.hypotheses, found.scores, strict=True)
                ]
            )
        return results

    def _options(self, sampling: SamplingConfig, ban: PhraseBan | None) -> dict[str, Any]:
        if ban is not None:
            raise ValueError("the runtime ct2 cannot ban phrases; use the default runtime (jax)")
        if sampling.min_p is not None:
            raise ValueError(
                "the runtime ct2 has no min_p; use top_p, or the default runtime (jax)"
            )
        options: dict[str, Any] = {
            "beam_size": 1,
            "sampling_topk": 0 if sampling.top_k is None else sampling.top_k,
            "sampling_topp": 1.0 if sampling.top_p is None else sampling.top_p,
            "sampling_temperature": sampling.temperature,
            "repetition_penalty": sampling.repetition_penalty or 1.0,
            "max_decoding_length": sampling.max_tokens,
            "suppress_sequences": self._forbidden,
            "return_scores": True,
            "disable_unk": True,
        }
        if sampling.temperature == 0.0:
            options |= {"sampling_topk": 1, "sampling_temperature": 1.0}
        return options

    def _read(self, pieces: Sequence[str], logprob: float, max_tokens: int) -> Drawn:
        ids = [self._ids[piece] for piece in pieces]
        if len(ids) < max_tokens:
            ids.append(EOS_ID)
        return Drawn(tokens=np.array(ids, np.int32), logprob=float(logprob))


def _read_names(folder: Path) -> list[str]:
    import json

    for name in ("shared_vocabulary.json", "source_vocabulary.json"):
        if (folder / name).is_file():
            return json.loads((folder / name).read_text(encoding="utf-8"))
    raise ValueError(f"{folder} holds no vocabulary of CTranslate2; convert the model again")

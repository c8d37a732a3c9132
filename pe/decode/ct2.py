"""Draw texts with CTranslate2 (extra [ct2]): for a CPU, in int8 too.

CTranslate2 draws all texts of a request in one call, by a noise of its own: another number of
texts, or the default runtime, gives others. Its options cannot ban phrases cut in any way, so this
runtime refuses bans.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pe.data.tokenizer import EOS_ID
from pe.decode.generate import Drawn, Request
from pe.decode.phrase_ban import PhraseBan
from pe.decode.sampling import SamplingConfig

EXTRA = 'pip install "prompt-expansion[ct2]"'
NAMES_FILE = "shared_vocabulary.json"  # CTranslate2's own: the name of each row


class Ct2Writer:
    """A CTranslate2 model that writes; `forbidden` [V] are the ids that are never written.

    CTranslate2 takes its seed from the process when a worker first draws, and never again (4.8.5):
    the first request's seed serves those that follow, so a text depends on what was drawn before.
    With `reseeds`, each sampled request gets a new worker and the model is loaded again for it
    (base size, int8: about a second, 2026-11-20). One thread at a time may draw.
    """

    def __init__(
        self,
        folder: Path,
        *,
        forbidden: np.ndarray,
        num_threads: int = 0,
        reseeds: bool = False,
    ):
        try:
            import ctranslate2
        except ImportError as error:
            raise ValueError(f"the runtime ct2 needs ctranslate2: {EXTRA}") from error
        self._library = ctranslate2
        self._folder, self._num_threads = folder, num_threads
        self._names = read_names(folder)
        if len(forbidden) != len(self._names):
            raise ValueError(
                f"forbidden: got {len(forbidden)} ids, expected {len(self._names)}, the rows of "
                f"the model in {folder}"
            )
        self._ids = {name: i for i, name in enumerate(self._names)}
        self._forbidden = [[self._names[i]] for i in np.flatnonzero(forbidden)]
        self._translator: Any = self._load()
        self._reseeds = reseeds
        self._has_noise = False  # of an earlier seed

    def draw(
        self,
        requests: Sequence[Request],
        sampling: SamplingConfig,
        *,
        ban: PhraseBan | None = None,
    ) -> list[list[Drawn]]:
        """Draw every text to its end or to `max_tokens`, a request's likeliest first.

        The log-probability is as in `Drawn`, but that it knows of the repetition penalty. Raises
        ValueError for options that CTranslate2 does not have: min_p, phrase bans.
        """
        options = self._options(sampling, ban)
        is_greedy = options["sampling_topk"] == 1
        results = []
        for request in requests:
            if not is_greedy:
                self._set_noise(request.seed + request.numbers[0])
            source = [[self._names[int(i)] for i in request.inputs]]
            num_texts = 1 if is_greedy else len(request.numbers)
            (found,) = self._translator.translate_batch(source, num_hypotheses=num_texts, **options)
            drawn = [
                self._read(pieces, score, sampling.max_tokens)
                for pieces, score in zip(found.hypotheses, found.scores, strict=True)
            ]
            results.append(drawn * len(request.numbers) if is_greedy else drawn)
        return results

    def _set_noise(self, seed: int) -> None:
        if self._has_noise and not self._reseeds:
            return
        self._library.set_random_seed(seed % 2**32)
        if self._has_noise:
            self._translator = None  # one model in memory at a time
            self._translator = self._load()
        self._has_noise = True

    def _load(self) -> Any:
        try:
            return self._library.Translator(
                str(self._folder), device="cpu", inter_threads=1, intra_threads=self._num_threads
            )
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{self._folder} is no CTranslate2 model: {error}") from error

    def _options(self, sampling: SamplingConfig, ban: PhraseBan | None) -> dict[str, Any]:
        if ban is not None:
            raise ValueError("the runtime ct2 cannot ban phrases; use the default runtime (jax)")
        if sampling.min_p is not None:
            raise ValueError(
                "the runtime ct2 has no min_p; use top_p, or the default runtime (jax)"
            )
        top_k = sampling.top_k or 0
        options: dict[str, Any] = {
            "beam_size": 1,
            "sampling_topk": 0 if top_k >= len(self._names) else top_k,  # 0: among all
            "sampling_topp": 1.0 if sampling.top_p is None else sampling.top_p,
            "sampling_temperature": sampling.temperature,
            "repetition_penalty": sampling.repetition_penalty or 1.0,
            "max_input_length": 0,  # all of it: its length was checked
            "min_decoding_length": 0,  # its default forbids the end to come first
            "max_decoding_length": sampling.max_tokens,
            "suppress_sequences": self._forbidden,
            "return_scores": True,
            "length_penalty": 0.0,  # sums, not means by the tokens before the end
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


def read_names(folder: Path) -> list[str]:
    """Read the names of a CTranslate2 model's rows. Raises ValueError where there are none."""
    path = folder / NAMES_FILE
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{folder} lacks {NAMES_FILE}; convert the model again") from error
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; convert the model again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} is damaged: expected a list of names; convert the model again")
    return names

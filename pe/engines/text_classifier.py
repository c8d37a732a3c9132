"""A classifier of texts by folder or hub name: what word tables do not know (extra [classifier]).

Any sequence-classification model of transformers will do whose labels tell unsafe texts from
others; safetensors only, no code from the hub.
"""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pe.weights.hub import ALLOWED, find_files, first_line

FILES = (*ALLOWED, "vocab.txt", "vocab.json", "merges.txt")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """What classifies texts.

    model       folder or hub name (org/name@revision); "": none is asked
    labels      of the model, those that are unsafe
    threshold   probability, summed over those labels, from which a text is unsafe; where a text may
                have several labels at once, that of the likeliest
    max_tokens  longer texts are cut off
    """

    model: str = ""
    labels: tuple[str, ...] = ("unsafe", "nsfw", "toxic")
    threshold: float = 0.5
    max_tokens: int = 128
    batch_rows: int = 64

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(
                f"ClassifierConfig.threshold: got {self.threshold}, expected above 0, at most 1"
            )
        for name in ("max_tokens", "batch_rows"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"ClassifierConfig.{name}: got {getattr(self, name)}, expected 1 or more"
                )


class TextClassifier:
    """Gives the probability that a text is unsafe, and the likeliest unsafe label."""

    def __init__(self, config: ClassifierConfig):
        """Load the model.

        Raises ValueError without the extra, for a model that is not to be had, and where it has
        none of the labels.
        """
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # before the imports, which read it
        try:
            import torch
            import transformers
        except ModuleNotFoundError as error:
            raise ValueError(
                "ClassifierConfig.model needs transformers and torch; install them with "
                "`pip install 'prompt-expansion[classifier]'`"
            ) from error
        folder = find_files(config.model, allow=FILES)
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            self._model = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{config.model} is no classifier that transformers reads ({first_line(error)})"
            ) from error
        names = {number: str(label) for number, label in self._model.config.id2label.items()}
        wanted = {label.lower() for label in config.labels}
        self._unsafe = {n: label for n, label in names.items() if label.lower() in wanted}
        if not self._unsafe:
            raise ValueError(
                f"ClassifierConfig.labels: {config.model} has the labels "
                f"{', '.join(names.values())}, and none of {', '.join(config.labels)}"
            )
        self._has_many = self._model.config.problem_type == "multi_label_classification"
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        self._device = "cpu" if accelerator is None else accelerator.type
        self._model.to(self._device)
        self._torch = torch
        self.config = config

    def classify(self, texts: Sequence[str]) -> list[tuple[float, str]]:
        """Return for each text how probably it is unsafe, and the likeliest unsafe label."""
        found: list[tuple[float, str]] = []
        for begin in range(0, len(texts), self.config.batch_rows):
            found += self._classify(list(texts[begin : begin + self.config.batch_rows]))
        return found

    def _classify(self, texts: list[str]) -> list[tuple[float, str]]:
        inputs = self._tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self.config.max_tokens,
            return_tensors="pt",
        ).to(self._device)
        with self._torch.inference_mode():
            logits = self._model(**inputs).logits.float()
        if self._has_many:
            rows: list[list[float]] = logits.sigmoid().cpu().tolist()
        else:
            rows = logits.softmax(dim=-1).cpu().tolist()
        join = max if self._has_many else sum
        return [
            (
                join(row[number] for number in self._unsafe),
                self._unsafe[max(self._unsafe, key=row.__getitem__)],
            )
            for row in rows
        ]


def identify_classifier(config: ClassifierConfig) -> dict[str, Any]:
    """Return what results depend on: a hash of the model's files; nothing of it is loaded."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(find_files(config.model, allow=FILES)).iterdir()):
        if path.suffix in (".json", ".safetensors", ".txt", ".model"):
            with path.open("rb") as file:
                digest.update(path.name.encode())
                digest.update(hashlib.file_digest(file, "blake2b").digest())
    return {"files": digest.hexdigest()}

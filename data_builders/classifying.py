"""Inversion -> itself, unless a classifier of texts calls its prompt unsafe."""

import dataclasses
import threading
from typing import ClassVar

import pyarrow as pa

from pe.engines.text_classifier import ClassifierConfig, TextClassifier, identify_classifier
from pe.records import Inversion, Record
from pe.stages.stage import Drop, Result


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierKey:
    """What results depend on."""

    classifier: ClassifierConfig
    files: str


class ClassifierStage:
    """Drops what a model calls unsafe: unsafe_model, with its label and probability."""

    NAME: ClassVar[str] = "classify"
    VERSION: ClassVar[str] = "1"
    INPUT: ClassVar[str] = "inversion"
    OUTPUT: ClassVar[type[Record]] = Inversion
    ORDERED: ClassVar[bool] = False

    def __init__(self, config: ClassifierConfig):
        self.config = ClassifierKey(classifier=config, **identify_classifier(config))
        self._classifier: TextClassifier | None = None

    def open(self) -> None:
        """Load the model. Raises ValueError where it is not to be had."""
        self._lock = threading.Lock()
        self._classifier = TextClassifier(self.config.classifier)

    def close(self) -> None:
        """Let the model go."""
        self._classifier = None

    def __call__(self, table: pa.Table) -> list[Result]:
        assert self._classifier is not None, "open() comes first"
        inversions = [Inversion.from_row(row) for row in table["inversion"].to_pylist()]
        with self._lock:
            found = self._classifier.classify([inversion.prompt for inversion in inversions])
        return [
            Drop("unsafe_model", f"{label} {probability:.2f}")
            if probability >= self.config.classifier.threshold
            else (inversion,)
            for inversion, (probability, label) in zip(inversions, found, strict=True)
        ]

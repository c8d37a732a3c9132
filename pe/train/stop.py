"""Being told to stop: SIGTERM asks the loop to save and end; every host hears of it."""

import signal
import threading
from types import FrameType
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


class StopSignal:
    """Remembers a SIGTERM while the block runs; the handler before is put back."""

    def __init__(self) -> None:
        self.was_asked = False
        self._before: Any = None

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        self.was_asked = True

    def is_agreed(self, may_wait: bool) -> bool:
        """Say whether any host was asked; all hosts have to call this at the same steps.

        Several hosts ask each other only where they `may_wait` for each other.
        """
        if jax.process_count() == 1:
            return self.was_asked
        if not may_wait:
            return False
        return bool(np.any(multihost_utils.process_allgather(np.array(self.was_asked))))

"""Checkpoints of training by Orbax: the whole state and the data iterator's place, or nothing.

A checkpoint is renamed into place when it is complete, so a kill at any moment leaves whole ones.
"""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

STATE, ITERATOR = "state", "iterator"


class Checkpoints:
    """The checkpoints of one run, newest last."""

    def __init__(self, folder: Path, *, keep: int = 2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self.folder = folder.resolve()
        self._manager = ocp.CheckpointManager(
            self.folder, item_names=(STATE, ITERATOR), options=options
        )

    def latest_step(self) -> int | None:
        """Return the newest step that is whole, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, iterator_state: dict[str, Any]) -> None:
        """Save in the background; the next save or `close` waits for it."""
        args = {
            STATE: ocp.args.StandardSave(state),
            ITERATOR: ocp.args.JsonSave(iterator_state),
        }
        self._manager.save(step, args=ocp.args.Composite(**args))

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        """Return (state, iterator state) of a step, shaped and placed like `like`.

        Raises ValueError when the saved arrays do not fit, naming the checkpoint.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        args = {STATE: ocp.args.StandardRestore(abstract), ITERATOR: ocp.args.JsonRestore()}
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(**args))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"checkpoint {self.folder / str(step)} does not fit this model: {error}"
            ) from error
        return restored[STATE], restored[ITERATOR]

    def close(self) -> None:
        """Wait for what is being saved."""
        self._manager.wait_until_finished()
        self._manager.close()

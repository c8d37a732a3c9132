"""Checkpoints of training by Orbax: the whole state and the data iterator's place, or nothing.

A checkpoint is renamed into place when it is complete, so a kill at any moment leaves whole ones.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

STATE, ITERATOR = "state", "iterator"
SHOWN_MISFITS = 5


class Checkpoints:
    """The checkpoints of one run, newest last."""

    def __init__(self, folder: Path, *, keep: int = 2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self.folder = folder.resolve()
        handlers = {STATE: ocp.StandardCheckpointHandler(), ITERATOR: ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

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
        self._check_fits(step, like)
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
        args = {STATE: ocp.args.StandardRestore(abstract), ITERATOR: ocp.args.JsonRestore()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**args))
        return restored[STATE], restored[ITERATOR]

    def _check_fits(self, step: int, like: Any) -> None:
        """Compare names, shapes and types before a read begins: Orbax leaves reads unfinished."""
        saved = _describe_arrays(self._manager.item_metadata(step)[STATE].tree)
        wanted = _describe_arrays(like)
        wrong = [
            f"{name} is {saved.get(name, 'missing')}, expected {wanted.get(name, 'no such array')}"
            for name in sorted(saved.keys() | wanted.keys())
            if saved.get(name) != wanted.get(name)
        ]
        if wrong:
            more = f" and {len(wrong) - SHOWN_MISFITS} more" if len(wrong) > SHOWN_MISFITS else ""
            raise ValueError(
                f"checkpoint {self.folder / str(step)} does not fit this model: "
                f"{'; '.join(wrong[:SHOWN_MISFITS])}{more}"
            )

    def close(self) -> None:
        """Wait for what is being saved."""
        self._manager.wait_until_finished()
        self._manager.close()


def _describe_arrays(tree: Any) -> dict[str, str]:
    """Return {dotted name: dtype and shape} of a tree's arrays, or of what Orbax knows of them."""
    return {
        ".".join(_key_name(key) for key in path): f"{jnp.dtype(leaf.dtype)}{list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _key_name(key: Any) -> str:
    for field in ("key", "name", "idx"):
        if hasattr(key, field):
            return str(getattr(key, field))
    raise TypeError(f"a key of a tree has no name: {key!r}")

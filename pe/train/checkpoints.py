"""Checkpoints of training by Orbax: the whole state and where the loop is, or nothing.

A checkpoint is renamed into place when it is complete, so a kill at any moment leaves whole ones.
Several hosts write one checkpoint together, each its part of the arrays, into a folder they share.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

STATE, PLACE = "state", "place"
SHOWN_MISFITS = 5


class Checkpoints:
    """The checkpoints of one run, newest last."""

    def __init__(self, folder: Path, *, keep: int = 2):
        self.folder = folder.resolve()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=True,
            # hosts wait for each other under a name of this folder's: another may be saving, too
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                barrier_sync_key_prefix=self.folder.name
            ),
        )
        handlers = {STATE: ocp.StandardCheckpointHandler(), PLACE: ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(self.folder, options=options, item_handlers=handlers)

    def latest_step(self) -> int | None:
        """Return the newest step that is whole, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: Any, place: dict[str, Any]) -> None:
        """Save in the background; the next save or `close` waits for it.

        A step that is there already is left: it was saved by the run that is being repeated.
        """
        if step in self._manager.all_steps():
            return
        args = {STATE: ocp.args.StandardSave(state), PLACE: ocp.args.JsonSave(place)}
        self._manager.save(step, args=ocp.args.Composite(**args))

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        """Return (state, place) of a step; `like` holds arrays or their shapes with shardings.

        Raises ValueError when the saved arrays do not fit, naming the checkpoint.
        """
        self._check_fits(step, like)
        args = {STATE: ocp.args.StandardRestore(like), PLACE: ocp.args.JsonRestore()}
        restored = self._manager.restore(step, args=ocp.args.Composite(**args))
        return restored[STATE], restored[PLACE]

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

    def wait(self) -> None:
        """Wait until what is being saved is whole."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait for what is being saved, and end."""
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

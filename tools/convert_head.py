"""Convert a LAION aesthetic head from a PyTorch file to safetensors, once.

    python tools/convert_head.py SRC.pth DST.safetensors

Needs torch. Reads tensors only (weights_only), so that no code of the file can run. Names and
shapes stay as they are, values become float32. `pe.weights.aesthetic.open_head` reads what is
written; a file that it would refuse is refused here, before anything is written.
"""

import argparse
import pickle
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Convert one file; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], epilog="Needs torch, of the extra [parity]."
    )
    parser.add_argument("source", type=Path, metavar="SRC.pth", help="a state dict, as published")
    parser.add_argument("target", type=Path, metavar="DST.safetensors", help="the file to write")
    args = parser.parse_args(argv)
    try:
        embed_dim, layout = convert(args.source, args.target)
    except (ValueError, OSError) as error:
        print(f"convert_head: {error}", file=sys.stderr)
        return 1
    print(f"{args.target}: {layout} head for embeddings of {embed_dim}")
    return 0


def convert(source: Path, target: Path) -> tuple[int, str]:
    """Write `source` as safetensors; returns the width of its embeddings and its layout.

    Raises ValueError for a file that is no state dict of a head, and where torch is missing.
    """
    import numpy as np

    from pe.weights.aesthetic import find_layout, make_head
    from pe.weights.checkpoint import stored
    from pe.weights.safetensors_file import write_safetensors

    if target.suffix != ".safetensors":
        raise ValueError(f"{target}: expected a name that ends in .safetensors")
    if not source.is_file():
        raise ValueError(f"{source} not found; expected a state dict, .pth")
    if not target.parent.is_dir():
        raise ValueError(f"{target.parent} not found; expected a folder to write into")
    try:
        import torch
    except ImportError as error:
        raise ValueError("torch is not installed; install the extra [parity]") from error
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{source} is damaged or holds more than tensors: {why}") from error
    if not isinstance(state, dict) or not all(torch.is_tensor(v) for v in state.values()):
        raise ValueError(f"{source} holds a {type(state).__name__}, expected names with tensors")
    if odd := [f"{name} ({v.dtype})" for name, v in state.items() if not v.is_floating_point()]:
        raise ValueError(f"{source} holds {', '.join(odd)}, expected tensors of floats")
    arrays = {
        str(name): np.asarray(tensor.detach().float().numpy()) for name, tensor in state.items()
    }
    layout = find_layout(source, {name: array.shape for name, array in arrays.items()})
    head = make_head(source, arrays)
    write_safetensors(target, {name: stored(array) for name, array in arrays.items()})
    return head.embed_dim, layout


if __name__ == "__main__":
    sys.exit(main())

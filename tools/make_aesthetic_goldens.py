"""Write `tests/goldens/musiq` and `tests/goldens/aesthetic`: tiny random weights, and their scores.

    python tools/make_aesthetic_goldens.py [--out tests/goldens]

Needs torch and TensorFlow. Everything is computed a second time here, one picture after the other,
without code of the project: pictures are resized and cut by tf.image itself, with the filling up of
each scale that google-research/musiq does, and the network is written out in torch, in float64,
from arXiv:2108.05997 and that folder's layout. MUSIQ's weights have few different values, so that
they take little room; the stem has the published size, since flax's 32 groups need it.

    musiq/ava.npz          a training state: opt/target/.. with 10 bins, and an optimiser's array
    musiq/single.npz       opt/target/head/.. of one output, and a scale embedding of one scale
    musiq/expected.npz     pictures, their resized copies at two points, grid cells, logits, scores
    aesthetic/linear.safetensors, mlp.safetensors, expected.npz   embeddings and their scores
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT_OUT = Path(__file__).resolve().parents[1] / "tests" / "goldens"
WIDTH, NUM_HEADS, MLP_WIDTH, NUM_LAYERS = 8, 2, 12, 3
STEM = 64
SIDES = ((45, 70), (97, 32), (64, 64))  # height, width of the pictures
RESIZED = ((40, 60, 15, 22), (10, 7, 25, 18), (16, 12, 16, 12), (5, 1, 30, 6))
COUNTS = (1, 2, 3, 7, 10, 12, 15, 30, 47, 94, 125)
LEVELS = 2  # of either sign


def main(argv: list[str] | None = None) -> int:
    """Write both folders."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], epilog="Needs torch and TensorFlow."
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="default tests/goldens")
    args = parser.parse_args(argv)
    for name in ("musiq", "aesthetic"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    write_musiq(args.out / "musiq")
    write_aesthetic(args.out / "aesthetic")
    return 0


def write_musiq(out: Path) -> None:
    """Write MUSIQ's weights, pictures and scores."""
    import tensorflow as tf

    rng = np.random.default_rng(2108)
    target = draw_musiq(rng)
    single = {
        "head/kernel": draw(rng, (WIDTH, 1), 20),
        "head/bias": draw(rng, (1,), 20),
        "Transformer/scaleembed_input/scale_embedding": draw(rng, (1, 1, WIDTH), 0.5),
    }
    state = {f"opt/target/{name}": values for name, values in target.items()}
    state["opt/state/step"] = np.asarray(7)
    save(out / "ava.npz", state)
    save(out / "single.npz", {f"opt/target/{name}": values for name, values in single.items()})

    images = [draw_image(rng, *sides) for sides in SIDES]
    three = [cut_scales(image, (224, 384)) for image in images]
    alone = [cut_scales(image, ()) for image in images]
    logits = [run_musiq(target, tokens) for tokens in three]
    bins = np.arange(1, 11)
    scores = [float(np.exp(x) @ bins / np.exp(x).sum()) for x in logits]
    koniq = target | {name: single[name] for name in ("head/kernel", "head/bias")}
    one_scale = target | single
    expected = {f"image_{number}": image for number, image in enumerate(images)}
    expected |= {
        "logits": np.stack(logits),
        "scores": np.array(scores),
        "koniq_scores": np.array([run_musiq(koniq, tokens)[0] for tokens in three]),
        "one_scale_scores": np.array([run_musiq(one_scale, tokens)[0] for tokens in alone]),
    }
    for number, (height, width, new_height, new_width) in enumerate(RESIZED):
        source = rng.uniform(-1, 1, (height, width, 3)).round(2).astype(np.float32)
        expected[f"source_{number}"] = source
        resized = tf.image.resize(source, (new_height, new_width), method="gaussian")
        expected[f"resized_{number}"] = resized.numpy()
    for count in COUNTS:
        expected[f"cells_{count}"] = nearest_cells(count)
    save(out / "expected.npz", expected)
    print("MUSIQ", scores, expected["koniq_scores"], expected["one_scale_scores"])


def save(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays as a compressed .npz."""
    np.savez_compressed(path, **arrays)


def draw(rng: np.random.Generator, shape: tuple[int, ...], scale: float) -> np.ndarray:
    """Draw values of which few are different."""
    return (scale * np.clip(np.round(rng.normal(size=shape)), -LEVELS, LEVELS)).astype(np.float32)


def draw_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw a picture with shades, edges and a little noise."""
    rows, columns = np.mgrid[:height, :width]
    waves = [
        np.sin(rows / rng.uniform(2, 20)) + np.cos(columns / rng.uniform(2, 20)) for _ in range(3)
    ]
    blocks = rng.integers(-80, 80, (height // 12 + 1, width // 12 + 1, 3))
    blocks = blocks.repeat(12, axis=0).repeat(12, axis=1)[:height, :width]
    return np.clip(128 + 45 * np.stack(waves, -1) + blocks, 0, 255).astype(np.uint8)


def draw_musiq(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a network under Google's names; a GroupNorm's vectors are [1 1 1 C] there."""
    arrays = {"conv_root/kernel": draw(rng, (7, 7, 3, STEM), 0.3)}

    def norm(name: str, width: int, shape: tuple[int, ...]) -> None:
        arrays[f"{name}/scale"] = (1 + draw(rng, (width,), 0.2)).reshape(shape).astype(np.float32)
        arrays[f"{name}/bias"] = draw(rng, (width,), 0.1).reshape(shape)

    def dense(name: str, inputs: tuple[int, ...], outputs: tuple[int, ...], scale: float) -> None:
        arrays[f"{name}/kernel"] = draw(rng, (*inputs, *outputs), scale)
        arrays[f"{name}/bias"] = draw(rng, outputs, 0.1)

    norm("gn_root", STEM, (1, 1, 1, STEM))
    unit = "block1/unit1"
    arrays[f"{unit}/conv_proj/kernel"] = draw(rng, (1, 1, STEM, 4 * STEM), 0.5)
    arrays[f"{unit}/conv1/kernel"] = draw(rng, (1, 1, STEM, STEM), 0.5)
    arrays[f"{unit}/conv2/kernel"] = draw(rng, (3, 3, STEM, STEM), 0.5)
    arrays[f"{unit}/conv3/kernel"] = draw(rng, (1, 1, STEM, 4 * STEM), 0.5)
    for name, width in (("gn_proj", 4 * STEM), ("gn1", STEM), ("gn2", STEM), ("gn3", 4 * STEM)):
        norm(f"{unit}/{name}", width, (1, 1, 1, width))
    dense("embedding", (64 * 4 * STEM,), (WIDTH,), 0.005)
    arrays["Transformer/posembed_input/pos_embedding"] = draw(rng, (1, 100, WIDTH), 0.5)
    arrays["Transformer/scaleembed_input/scale_embedding"] = draw(rng, (1, 3, WIDTH), 0.5)
    arrays["Transformer/cls"] = draw(rng, (1, 1, WIDTH), 0.5)
    heads = (NUM_HEADS, WIDTH // NUM_HEADS)
    for layer in range(NUM_LAYERS):
        block = f"Transformer/encoderblock_{layer}"
        norm(f"{block}/LayerNorm_0", WIDTH, (WIDTH,))
        for name in ("query", "key", "value"):
            dense(f"{block}/MultiHeadDotProductAttention_1/{name}", (WIDTH,), heads, 0.6)
        dense(f"{block}/MultiHeadDotProductAttention_1/out", heads, (WIDTH,), 0.4)
        norm(f"{block}/LayerNorm_2", WIDTH, (WIDTH,))
        dense(f"{block}/MlpBlock_3/Dense_0", (WIDTH,), (MLP_WIDTH,), 0.5)
        dense(f"{block}/MlpBlock_3/Dense_1", (MLP_WIDTH,), (WIDTH,), 0.4)
    norm("Transformer/encoder_norm", WIDTH, (WIDTH,))
    dense("head", (WIDTH,), (10,), 0.5)
    return arrays


def nearest_cells(count: int) -> np.ndarray:
    """Return the grid's cells that `count` patches fall into, by TensorFlow 1's resize."""
    import tensorflow as tf

    image = tf.compat.v1.image
    grid = tf.reshape(tf.range(10, dtype=tf.int32), [10, 1, 1])
    resized = image.resize(grid, [count, 1], method=image.ResizeMethod.NEAREST_NEIGHBOR)
    return resized.numpy()[:, 0, 0]


def cut_scales(image: np.ndarray, longer_sides: tuple[int, ...]) -> np.ndarray:
    """Return [tokens 3072 + 3]: patch, cell, scale and whether it is one, as Google's code lays."""
    import tensorflow as tf

    pixels = -1 + tf.cast(image, tf.float32) / 255.0 * 2
    height, width = image.shape[:2]
    tokens = []
    for scale, side in enumerate((*longer_sides, None)):
        resized, shape = pixels, (height, width)
        if side is not None:
            ratio = tf.constant(side, tf.float32) / tf.constant(max(height, width), tf.float32)
            sides = [tf.cast(tf.round(tf.cast(x, tf.float32) * ratio), tf.int32) for x in shape]
            shape = (int(sides[0]), int(sides[1]))
            resized = tf.image.resize(pixels, shape, method=tf.image.ResizeMethod.GAUSSIAN)
        window = [1, 32, 32, 1]
        patches = tf.image.extract_patches(resized[None], window, window, [1] * 4, "SAME").numpy()
        _, rows, columns, _ = patches.shape
        cells = [10 * y + x for y in nearest_cells(rows).tolist() for x in nearest_cells(columns)]
        flat = patches.reshape(rows * columns, 3072)
        about = np.stack([cells, np.full(len(cells), scale), np.ones(len(cells))], axis=1)
        part = np.concatenate([flat, about], axis=1)
        if side is not None:
            most = int(np.ceil(side / 32)) ** 2
            part = np.concatenate([part, np.zeros((most - len(part), part.shape[1]))])
        tokens.append(part)
    return np.concatenate(tokens)


def run_musiq(arrays: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Return one picture's outputs, written out in torch in float64."""
    import torch
    from torch.nn import functional

    weights = {name: torch.from_numpy(values).double() for name, values in arrays.items()}
    cells, scales, is_patch = (torch.from_numpy(tokens[:, k].astype(int)) for k in (-3, -2, -1))
    x = torch.from_numpy(tokens[:, :-3]).reshape(-1, 32, 32, 3).permute(0, 3, 1, 2)

    def convolve(x: torch.Tensor, name: str, margins: tuple[int, ...], stride: int) -> torch.Tensor:
        kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        flat = kernel.flatten(1)
        flat = flat - flat.mean(1, keepdim=True)
        flat = flat / (flat.std(1, correction=0, keepdim=True) + 1e-5)
        return functional.conv2d(functional.pad(x, margins), flat.view_as(kernel), stride=stride)

    def group(x: torch.Tensor, name: str, epsilon: float) -> torch.Tensor:
        scale, bias = (weights[f"{name}/{part}"].flatten() for part in ("scale", "bias"))
        return functional.group_norm(x, 32, scale, bias, epsilon)

    def layer(x: torch.Tensor, name: str) -> torch.Tensor:
        scale, bias = weights[f"{name}/scale"], weights[f"{name}/bias"]
        return functional.layer_norm(x, scale.shape, scale, bias, 1e-6)

    def dense(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    # "SAME" of 32 px under 7 by 2: 5 missing, 2 before and 3 after; of 16 under 3 by 2: 0 and 1
    x = group(convolve(x, "conv_root", (2, 3, 2, 3), 2), "gn_root", 1e-6).relu()
    x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
    unit = "block1/unit1"
    residual = group(convolve(x, f"{unit}/conv_proj", (0,) * 4, 1), f"{unit}/gn_proj", 1e-4)
    for name, margin in (("1", 0), ("2", 1)):
        x = convolve(x, f"{unit}/conv{name}", (margin,) * 4, 1)
        x = group(x, f"{unit}/gn{name}", 1e-4).relu()
    x = group(convolve(x, f"{unit}/conv3", (0,) * 4, 1), f"{unit}/gn3", 1e-4)
    x = (x + residual).relu().permute(0, 2, 3, 1).flatten(1)
    x = dense(x, "embedding")
    x = x + weights["Transformer/posembed_input/pos_embedding"][0, cells]
    x = x + weights["Transformer/scaleembed_input/scale_embedding"][0, scales]
    x = torch.cat([weights["Transformer/cls"][0], x])
    seen = torch.cat([torch.ones(1, dtype=torch.bool), is_patch.bool()])
    for number in range(NUM_LAYERS):
        block = f"Transformer/encoderblock_{number}"
        attention = f"{block}/MultiHeadDotProductAttention_1"
        y = layer(x, f"{block}/LayerNorm_0")
        mixed = 0
        for head in range(NUM_HEADS):
            query, key, value = (
                y @ weights[f"{attention}/{part}/kernel"][:, head]
                + weights[f"{attention}/{part}/bias"][head]
                for part in ("query", "key", "value")
            )
            logits = query @ key.T / (WIDTH // NUM_HEADS) ** 0.5
            shares = logits.masked_fill(~(seen[:, None] & seen), -1e10).softmax(1)
            mixed = mixed + shares @ value @ weights[f"{attention}/out/kernel"][head]
        x = x + mixed + weights[f"{attention}/out/bias"]
        y = dense(layer(x, f"{block}/LayerNorm_2"), f"{block}/MlpBlock_3/Dense_0")
        x = x + dense(functional.gelu(y, approximate="tanh"), f"{block}/MlpBlock_3/Dense_1")
    return dense(layer(x, "Transformer/encoder_norm")[0], "head").numpy()


def write_aesthetic(out: Path) -> None:
    """Write two heads as torch's own modules hold them, embeddings and scores."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(5)
    linear = torch.nn.Linear(8, 1)
    sizes = ((8, 6), (6, 5), (5, 4), (4, 3), (3, 1))
    dense = [torch.nn.Linear(*size) for size in sizes]
    drops = [torch.nn.Dropout(rate) for rate in (0.2, 0.2, 0.1)]
    layers = [item for pair in zip(dense[:3], drops, strict=True) for item in pair] + dense[3:]
    mlp = torch.nn.Module()
    mlp.layers = torch.nn.Sequential(*layers)
    mlp.eval()
    save_file(linear.state_dict(), out / "linear.safetensors")
    save_file(mlp.state_dict(), out / "mlp.safetensors")
    embeddings = 3 * torch.randn(6, 8)
    normal = embeddings / embeddings.norm(dim=1, keepdim=True)
    with torch.no_grad():
        scores = {"linear": linear(normal)[:, 0].numpy(), "mlp": mlp.layers(normal)[:, 0].numpy()}
    np.savez(out / "expected.npz", embeddings=embeddings.numpy(), **scores)
    print("heads", scores)


if __name__ == "__main__":
    sys.exit(main())

"""Inversion of pictures: ours against clip-interrogator over open_clip, on the same weights.

Each arm runs in a process of its own, and they take turns. The weights are random, in open_clip's
layout, written by the peer's side; both get the same label embeddings, so that embedding the list
is no part of a time. The peer needs clip-interrogator and open_clip (constraints-peers.txt):

  tools/bench/invert.py --images FOLDER --peer-python PEERS/bin/python --vocabulary FILE_OR_FOLDER

Other work on the cores slows torch far more than XLA (its threads wait for each other): each time
stands beside what a matrix product reached just before (GFLOPS), and a ratio of seconds counts only
where both reached what the machine gives. On a busy machine start it on one core (taskset -c 0) and
read the ratio of CPU seconds.
On a GPU (--device cuda; written, not yet run there) it is ours alone: ViT-L/14, 100,000 labels.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from decode import register_vision_operators

MARK = "arm:"
PARTS = ("fast", "best", "scale", "caption")
NUM_SITES = 72  # the sites that clip-interrogator adds to every list
TABLE_SIZE = 20  # artists, mediums and movements
WORDS = (
    *("soft", "bold", "faded", "grainy", "golden", "misty", "layered", "folded", "quiet", "vivid"),
    *("paper", "ink", "film", "chalk", "glass", "bronze", "velvet", "woodcut", "pixel", "charcoal"),
    *("light", "texture", "portrait", "scenery", "pattern", "shadow", "palette", "sketch", "print"),
)
Arm = tuple[dict[str, Callable[..., Any]], Callable[[], Any]]  # what it can do; a matrix product


def main() -> int:
    """Run the parts asked for, or serve as one arm where --arm says so."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="a folder of pictures")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--labels", type=int, default=5000)
    parser.add_argument("--intermediate", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--best_images", type=int, default=1, help="which the peer inverts by best")
    parser.add_argument("--max_flavors", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--scale_labels", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--scale_images", nargs="+", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--model", default="", help="of open_clip (cpu: ViT-B-32, gpu: ViT-L-14)")
    parser.add_argument("--coca", default="coca_ViT-B-32")
    parser.add_argument("--caption_batch", type=int, default=8)
    parser.add_argument("--vocabulary", default="", help="CLIP's; default: by the hub")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--arm", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.model = args.model or ("ViT-B-32" if args.device == "cpu" else "ViT-L-14")
    if args.arm:
        return serve(args)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_lists(folder / "lists", args.labels)
        peer = Child("peer", args.peer_python, folder)
        peer.ask("write", args.model, "clip")
        if "caption" in args.parts:
            peer.ask("write", args.coca, "coca")
        print(f"{args.model}, random weights, {args.device}, {args.threads} threads", flush=True)
        if args.device == "cuda":
            compare_scales(args, folder)
        if args.device == "cpu":
            if {"fast", "best"} & set(args.parts):
                compare_modes(args, folder)
            if "scale" in args.parts:
                compare_scales(args, folder)
            if "caption" in args.parts:
                compare_captions(args, folder)
    return 0


class Child:
    """An arm in a process of its own: asked by lines of JSON, it answers by lines with MARK."""

    def __init__(self, arm: str, python: str, folder: Path):
        command = [python, __file__, *sys.argv[1:], "--arm", arm, "--folder", str(folder)]
        self.arm = arm
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, what: str, *given: Any) -> dict[str, Any]:
        """Have the arm do one thing; return its answer: seconds, GFLOPS before, and findings."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps([what, *given]), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith(MARK):
                answer = json.loads(line.removeprefix(MARK))
                if "reason" in answer:
                    raise RuntimeError(f"{self.arm}, {what}: {answer['reason']}")
                return answer
        raise RuntimeError(f"{self.arm}, {what}: it ended without an answer")


def compare_modes(args: argparse.Namespace, folder: Path) -> None:
    """Print images a second of fast and best, ours and the peer's, and both peaks of memory."""
    ours, peer = Child("ours", sys.executable, folder), Child("peer", args.peer_python, folder)
    loaded = ours.ask("load", args.labels, True)  # writes the peer's embeddings too
    print(f"  ours loads and embeds {args.labels:,} labels in {loaded['secs']:.1f} s")
    peer.ask("load")
    num = args.batch
    if "fast" in args.parts:
        first = ours.ask("invert", "fast", num)["secs"]
        peer.ask("invert", "fast", 1)
        a = [ours.ask("invert", "fast", num) for _ in range(args.repeats)]
        b = [peer.ask("invert", "fast", num) for _ in range(args.repeats)]
        print_ratio(f"fast, ours {num} at once, {args.labels:,} labels", a, b, num, num)
        # The peer's fast gives no cosine of its prompt; ours does, which costs a text an image
        a = [ours.ask("invert", "fast", num, False) for _ in range(args.repeats)]
        print_ratio("fast, ours without the prompt's cosine, as the peer", a, b, num, num)
        print(f"    ours the first time {first:.2f} s")
    if "best" in args.parts:
        few = args.best_images
        first = ours.ask("invert", "best", 1)["secs"]
        a, b = [ours.ask("invert", "best", num)], [peer.ask("invert", "best", few)]
        print_ratio(
            f"best, ours {num} at once, {args.labels:,} labels, {args.intermediate} candidates, "
            f"at most {args.max_flavors} steps",
            *(a, b, num, few),
        )
        one = ours.ask("invert", "best", 1)["secs"]
        print(f"    ours for one image: the first time {first:.2f} s, then {one:.2f} s")
        print(f"    steps, ours {a[0]['steps'][:few]}, the peer's {b[0]['steps']}")
    peaks = ours.ask("peak")["gb"], peer.ask("peak")["gb"]
    print(f"    peak memory: ours {peaks[0]:.2f} GB, peer {peaks[1]:.2f} GB", flush=True)


def print_ratio(
    name: str, ours: list[dict[str, Any]], peer: list[dict[str, Any]], num: int, peer_num: int
) -> None:
    """Print the best rates of both, their ratio, and how many of the texts are the same."""
    a, b = (min(found, key=lambda answer: answer["secs"]) for found in (ours, peer))
    pairs = list(zip(a["texts"], b["texts"], strict=False))
    cpu_ratio = (b["cpu_secs"] / peer_num) / (a["cpu_secs"] / num)
    rates = num / a["secs"], peer_num / b["secs"]
    print(
        f"  {name}: ours {rates[0]:.3f} images/s ({a['gflops']:.0f} GFLOPS), peer {rates[1]:.4f} "
        f"({b['gflops']:.0f}), ratio {rates[0] / rates[1]:.1f}x "
        f"({cpu_ratio:.1f}x by CPU seconds); "
        f"{sum(x == y for x, y in pairs)} of {len(pairs)} texts equal",
        flush=True,
    )


def compare_scales(args: argparse.Namespace, folder: Path) -> None:
    """Print ours by number of labels and images; the labels' embeddings are random here."""
    for labels in args.scale_labels if args.device == "cpu" else args.scale_labels[-1:]:
        ours = Child("ours", sys.executable, folder)
        ours.ask("load", labels, False)
        cells = []
        for mode in ("fast", "best"):
            num = args.batch if mode == "fast" or args.device == "cuda" else 1
            ours.ask("invert", mode, num)
            secs = min(ours.ask("invert", mode, num)["secs"] for _ in range(2))
            cells.append(f"{mode} {num / secs:.3f} images/s ({num} at once)")
        print(
            f"  {labels:,} labels: {', '.join(cells)}, {ours.ask('peak')['gb']:.2f} GB", flush=True
        )
    ours = Child("ours", sys.executable, folder)
    ours.ask("load", args.labels, False)
    for num in args.scale_images:
        ours.ask("invert", "fast", num)
        secs = min(ours.ask("invert", "fast", num)["secs"] for _ in range(2))
        print(f"  fast, {num} images: {num / secs:.1f} images/s", flush=True)


def compare_captions(args: argparse.Namespace, folder: Path) -> None:
    """Print captions a second by beam search, and how many of them are the same, id for id."""
    ours, peer = Child("ours", sys.executable, folder), Child("peer", args.peer_python, folder)
    first = ours.ask("caption")["secs"]
    a = [ours.ask("caption") for _ in range(args.repeats)]
    b = [peer.ask("caption")]
    num = args.caption_batch
    print_ratio(f"{args.coca} captions by beam search, batch {num}", a, b, num, num)
    print(f"    ours the first time {first:.2f} s; {ours.ask('peak')['gb']:.2f} GB, "
          f"peer {peer.ask('peak')['gb']:.2f} GB")  # fmt: skip


# ---- what both arms read -------------------------------------------------------------------------


def make_tables(num_labels: int) -> dict[str, list[str]]:
    """Make so many different phrases of one to four words, dealt to the package's lists."""
    rng = np.random.default_rng(0)
    phrases: dict[str, None] = {}
    while len(phrases) < num_labels - 2 * TABLE_SIZE - NUM_SITES:
        words = rng.choice(WORDS, rng.integers(1, 5), replace=False)
        phrases[" ".join(words)] = None
    found = list(phrases)
    return {
        "artists": [f"painter number {i}" for i in range(TABLE_SIZE // 2)],
        "flavors": found[TABLE_SIZE:],
        "mediums": found[: TABLE_SIZE // 2],
        "movements": found[TABLE_SIZE // 2 : TABLE_SIZE],
        "negative": ["blurry"],
    }


def write_lists(folder: Path, num_labels: int) -> None:
    """Write them as the files that clip-interrogator reads."""
    folder.mkdir()
    for name, phrases in make_tables(num_labels).items():
        (folder / f"{name}.txt").write_text("".join(f"{phrase}\n" for phrase in phrases))


def read_images(args: argparse.Namespace, num: int) -> tuple[list[Any], list[str]]:
    """Return so many pictures (again from the first where there are fewer) and captions."""
    from PIL import Image

    paths = sorted(p for p in args.images.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    if not paths:
        raise ValueError(f"{args.images} holds no .jpg or .png")
    images = [Image.open(path).convert("RGB") for path in paths[:num]]
    captions = [f"a picture of scene number {i} at the sea" for i in range(num)]
    return [images[i % len(images)] for i in range(num)], captions


def serve(args: argparse.Namespace) -> int:
    """Do what each line of input asks for; the one that fails is the last."""
    try:
        actions, multiply = (make_ours if args.arm == "ours" else make_peer)(args)
        for line in sys.stdin:
            what, *given = json.loads(line)
            if what == "peak":
                found = {"gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}
            else:
                gflops = measure_gflops(multiply)
                start, cpu_start = time.perf_counter(), time.process_time()
                done = actions[what](*given) or {}
                cpu_secs = time.process_time() - cpu_start
                found = {"secs": time.perf_counter() - start, "cpu_secs": cpu_secs}
                found |= {"gflops": gflops, **done}
            print(MARK, json.dumps(found), flush=True)
    except Exception as error:  # whatever it is, who asked prints it
        first_line = str(error).strip().partition("\n")[0]
        print(MARK, json.dumps({"reason": f"{type(error).__name__}: {first_line}"}), flush=True)
        traceback.print_exc()
        return 1
    return 0


def measure_gflops(multiply: Callable[[], Any]) -> float:
    """Return what a product of [2048 512] and [512 2048] reaches at best, of ten."""
    secs = []
    for _ in range(11):
        start = time.perf_counter()
        multiply()
        secs.append(time.perf_counter() - start)
    return 2 * 2048 * 512 * 2048 / min(secs[1:]) / 1e9


# ---- the arms ------------------------------------------------------------------------------------


def make_ours(args: argparse.Namespace) -> Arm:
    """`pe.engines`: its encoder, its interrogator and its captioner."""
    import jax
    import jax.numpy as jnp

    from pe.decode.caption import CaptionConfig
    from pe.engines.flavor_table import embed_phrases
    from pe.engines.interrogator import Interrogator, InterrogatorConfig
    from pe.engines.vision import CocaCaptioner, load_encoder
    from pe.text.flavor_list import _SITE_PATTERNS, _SITES, FlavorList

    if (jax.default_backend() == "cpu") != (args.device == "cpu"):
        raise RuntimeError(f"JAX runs on {jax.default_backend()!r}, --device is {args.device!r}")
    dtype = "float32" if args.device == "cpu" else "float16"  # the package's own choice on a GPU
    kept: dict[str, Any] = {}

    def load(num_labels: int, is_shared: bool) -> None:
        encoder = load_encoder(str(args.folder / "clip"), dtype=dtype, vocabulary=args.vocabulary)
        tables = make_tables(num_labels)
        sites = [pattern.format(site) for pattern in _SITE_PATTERNS for site in _SITES]
        parts = {
            "artist": [f"{by} {a}" for by in ("by", "inspired by") for a in tables["artists"]],
            "flavor": tables["flavors"],
            "medium": tables["mediums"],
            "movement": tables["movements"],
            "site": sites,
        }
        phrases = tuple(phrase for names in parts.values() for phrase in names)
        categories = tuple(name for name, names in parts.items() for _ in names)
        flavors = FlavorList("bench", phrases, categories, (0,) * len(phrases))
        if is_shared:
            embeddings = embed_phrases(encoder, phrases, folder=args.folder / "cache")
        else:
            drawn = np.random.default_rng(0).standard_normal((len(phrases), 512), np.float32)
            embeddings = np.pad(drawn, ((0, 0), (0, encoder.config.embed_dim - 512)))
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        kept.update(encoder=encoder, flavors=flavors, embeddings=embeddings)
        begin = 0
        for name, names in zip(
            ("artists", "flavors", "mediums", "movements", "trendings"), parts.values(), strict=True
        ):
            if is_shared:  # where the package looks for them
                table = embeddings[begin : begin + len(names)].astype(np.float16)
                np.save(args.folder / "lists" / f"{name}.npy", table)
            begin += len(names)

    def invert(mode: str, num: int, has_cosine: bool = True) -> dict[str, Any]:
        config = InterrogatorConfig(
            mode=mode, num_candidates=args.intermediate, max_flavors=args.max_flavors
        )
        encoder = kept["encoder"]
        found = Interrogator(encoder, kept["flavors"], kept["embeddings"], config=config)
        steps = [0] * num
        size, texts = args.batch, []
        score = found._score
        images, captions = read_images(args, num)
        start = time.perf_counter()
        for begin in range(0, num, size):

            def count(cache: Any, chains: Any, blocks: Any, pixels: Any, active: Any) -> Any:
                for i in active:
                    steps[begin + i] += 1  # noqa: B023
                return score(cache, chains, blocks, pixels, active)

            found._score = count  # pyright: ignore[reportAttributeAccessIssue]
            part = encoder.encode_images(images[begin : begin + size])
            some = captions[begin : begin + size]
            texts += [x.prompt for x in found.invert(part, some, measure=has_cosine)]
        return {"secs": time.perf_counter() - start, "texts": texts, "steps": steps}

    def caption() -> dict[str, Any]:
        if "captioner" not in kept:
            coca = load_encoder(str(args.folder / "coca"), vocabulary=args.vocabulary)
            kept["captioner"] = CocaCaptioner(coca, CaptionConfig())
            images, _ = read_images(args, args.caption_batch)
            kept["pixels"] = coca.prepare(images)
            np.save(args.folder / "pixels.npy", kept["pixels"])
        start = time.perf_counter()
        ids = np.asarray(kept["captioner"]._write(kept["pixels"]))
        return {"secs": time.perf_counter() - start, "texts": [trim(row) for row in ids.tolist()]}

    a, b = jnp.ones((2048, 512)), jnp.ones((512, 2048))
    product = jax.jit(jnp.matmul)
    return (
        {"load": load, "invert": invert, "caption": caption},
        lambda: product(a, b).block_until_ready(),
    )


def trim(ids: list[int]) -> list[int]:
    """Leave out the padding behind."""
    while ids and ids[-1] == 0:
        ids.pop()
    return ids


def make_peer(args: argparse.Namespace) -> Arm:
    """clip-interrogator over open_clip, one image after the other, as it works."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    library = register_vision_operators(torch)
    import open_clip

    torch.set_num_threads(args.threads)
    kept: dict[str, Any] = {"library": library}

    def write(model: str, name: str) -> None:
        from safetensors.torch import save_file

        config: Any = open_clip.get_model_config(model)
        torch.manual_seed(0)
        kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CLIP
        made: Any = kind(**{key: value for key, value in config.items() if key != "custom_text"})
        if name == "coca":  # open_clip leaves it as the memory was
            torch.nn.init.normal_(made.text_decoder.text_projection, std=0.04)
        folder = args.folder / name
        folder.mkdir(exist_ok=True)
        arrays = {key: value.contiguous() for key, value in made.state_dict().items()}
        save_file(arrays, str(folder / "open_clip_model.safetensors"))
        mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
        settings = {"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": std}}
        (folder / "open_clip_config.json").write_text(json.dumps(settings))

    def load() -> None:
        import clip_interrogator
        from clip_interrogator.clip_interrogator import LabelTable

        lists = args.folder / "lists"

        def load_cached(table: Any, desc: str | None, *_: Any) -> bool:
            path = lists / f"{desc}.npy"
            if path.is_file():
                table.embeds = list(np.load(path))
            return path.is_file()

        LabelTable._load_cached = load_cached
        made = open_clip.create_model_and_transforms(f"local-dir:{args.folder / 'clip'}")
        config = clip_interrogator.Config(
            caption_model_name=None,
            clip_model_name="ViT-B-32/bench",  # names its tokenizer
            cache_path="",
            data_path=str(lists),
            download_cache=False,
            quiet=True,
            chunk_size=max(2048, args.labels),  # ranks exactly
            flavor_intermediate_count=args.intermediate,
            device="cpu",
        )
        config.clip_model, config.clip_preprocess = made[0].eval(), made[2]
        kept["package"] = package = clip_interrogator.Interrogator(config)
        inner = package.rank_top

        def rank_top(*given: Any, **named: Any) -> Any:
            kept["steps"][-1] += 1
            return inner(*given, **named)

        package.rank_top = rank_top

    def invert(mode: str, num: int) -> dict[str, Any]:
        package, steps, texts = kept["package"], [], []
        images, captions = read_images(args, num)
        kept["steps"] = steps
        start = time.perf_counter()
        for image, caption in zip(images, captions, strict=True):
            steps.append(0)
            if mode == "fast":
                texts.append(package.interrogate_fast(image, args.max_flavors, caption=caption))
            else:
                least = min(8, args.max_flavors)
                texts.append(package.interrogate(image, least, args.max_flavors, caption=caption))
        return {"secs": time.perf_counter() - start, "texts": texts, "steps": steps}

    def caption() -> dict[str, Any]:
        if "coca" not in kept:
            coca: Any = open_clip.create_model(f"local-dir:{args.folder / 'coca'}")
            kept["coca"] = coca.eval()
        pixels = torch.from_numpy(np.load(args.folder / "pixels.npy").transpose(0, 3, 1, 2).copy())
        start = time.perf_counter()
        with torch.no_grad():
            ids = kept["coca"].generate(pixels).tolist()
        return {"secs": time.perf_counter() - start, "texts": [trim(row) for row in ids]}

    a, b = torch.ones(2048, 512), torch.ones(512, 2048)
    actions = {"write": write, "load": load, "invert": invert, "caption": caption}
    return actions, lambda: torch.mm(a, b)


if __name__ == "__main__":
    sys.exit(main())

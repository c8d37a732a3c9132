"""What an image model can draw: how far each flavor moves a picture toward its own text.

A subject is drawn twice by one seed, with the flavor and without it; what counts is by how much the
picture's cosine with the flavor's text rises (arXiv:2312.16720: the renderability of flavors).
Where an aesthetic head is named, also by how much the pictures' ratings change.

out/pictures/     the pictures
out/probe.jsonl   a line a flavor: {"flavor", "mean", "low", "high", ...}; a rerun goes on from it
out/probe.html    the same as a table and a plot
"""

import dataclasses
import functools
import html
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from pe import shards
from pe.axes import Float
from pe.engines.aesthetics import AestheticConfig, AestheticScorer
from pe.engines.engine_error import RequestError
from pe.engines.t2i import ImageModel, T2iConfig, picture_seed
from pe.engines.vision import ImageTextEncoder
from pe.refine.page import start_page
from pe.refine.pictures import PictureConfig, PictureFolder

LINES, PAGE, SETTINGS = "probe.jsonl", "probe.html", "probe.json"
SENT_LOG = ".sent"  # beside the folder, see T2iConfig.budget_requests
BATCH = 32
SHARE = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """What is drawn with and without each flavor: each subject by so many seeds."""

    subjects: tuple[str, ...] = (
        "a cat", "a house", "a boat", "a tree", "a castle", "a woman", "a car", "a mountain",
    )  # fmt: skip
    seeds_per_subject: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.subjects or self.seeds_per_subject < 1:
            raise ValueError("ProbeConfig: expected one subject and one seed, or more of them")
        if len(self.subjects) * self.seeds_per_subject < 2:
            raise ValueError("ProbeConfig: an interval needs two pictures or more of a flavor")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeRunConfig:
    """All settings of a probe: which flavors, by which models, a CLIP or CoCa as `encoder`."""

    flavors: str = ""
    encoder: str = ""
    vocabulary: str = ""

    probe: ProbeConfig = dataclasses.field(default_factory=ProbeConfig)
    t2i: T2iConfig = dataclasses.field(default_factory=T2iConfig)
    pictures: PictureConfig = dataclasses.field(default_factory=PictureConfig)
    aesthetics: AestheticConfig = dataclasses.field(default_factory=AestheticConfig)

    def __post_init__(self) -> None:
        for name in ("flavors", "encoder"):
            if not getattr(self, name):
                raise ValueError(f"ProbeRunConfig.{name} is not set; give --{name}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """What paired pictures differ by: the mean, and its 95% interval."""

    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Effect:
    """By how much a flavor raises the cosine with its own text: mean and 95% interval of `num`.

    `rating` is by how much it changes what a head thinks of the picture, None where none was asked.
    With nothing drawn `num` is 0 and the numbers are 0, and `reason` says why.
    """

    flavor: str
    mean: float
    low: float
    high: float
    num: int
    reason: str = ""
    rating: Change | None = None

    @property
    def is_drawn(self) -> bool:
        """Whether the flavor surely does something."""
        return self.num > 0 and self.low > 0


def measure_change(changes: Float[np.ndarray, " N"]) -> Change:
    """Return mean and 95% interval (Student's t) of paired changes.

    Example: changes [0.1, 0.2, 0.3]  returns  mean 0.2, low -0.048, high 0.448
    """
    mean = float(np.mean(changes))
    half = 0.0
    if len(changes) > 1:
        error = float(np.std(changes, ddof=1)) / len(changes) ** 0.5
        half = float(student.ppf(0.5 + SHARE / 2, len(changes) - 1)) * error
    return Change(mean=mean, low=mean - half, high=mean + half)


def probe_flavors(
    flavors: Sequence[str],
    out: Path,
    config: ProbeConfig,
    *,
    model: ImageModel,
    encoder: ImageTextEncoder,
    pictures: PictureConfig,
    scorer: AestheticScorer | None = None,
    rater: str = "",
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Effect]:
    """Measure the flavors that are not measured yet; return all, the strongest first.

    `scorer`, by the name `rater`, rates the pictures too.

    Raises ValueError when `out` holds a probe of other settings or models.
    """
    folder = PictureFolder(out / "pictures", pictures)
    described = {
        "config": dataclasses.asdict(config) | {"subjects": list(config.subjects)},
        "model": model.name,
        "encoder": encoder.digest,
        "rater": rater,
    }
    _check_settings(out, described)
    known = {effect.flavor: effect for effect in read_effects(out / LINES)}
    draws = [
        (subject, picture_seed(config.seed, subject, k))
        for subject, k in itertools.product(config.subjects, range(config.seeds_per_subject))
    ]
    look = functools.partial(_look, folder, model, encoder, scorer)
    plain = look(draws)
    wanted = list(dict.fromkeys(flavors))
    with (out / LINES).open("a", encoding="utf-8") as lines:
        for done, flavor in enumerate(wanted):
            progress(done, len(wanted))
            if flavor in known:
                continue
            drawn = look([(f"{subject}, {flavor}", seed) for subject, seed in draws])
            text = encoder.encode_texts([flavor])[0].astype(np.float64)
            known[flavor] = effect = _compare(
                flavor, text, drawn, plain, is_rated=scorer is not None
            )
            lines.write(json.dumps(dataclasses.asdict(effect)) + "\n")
            lines.flush()
    progress(len(wanted), len(wanted))
    found = sorted((known[flavor] for flavor in wanted), key=lambda e: (-e.mean, e.flavor))
    shards.write_text(out / PAGE, _make_page(found, model.name))
    return found


def read_effects(path: Path) -> list[Effect]:
    """Read the lines of a probe; one that a killed run left half written is left out.

    Raises ValueError for a file that is none of a probe.
    """
    if not path.is_file():
        return []
    found = []
    content = path.read_text(encoding="utf-8")
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = json.loads(line)
            rating = row.pop("rating", None)
            found.append(Effect(**row, rating=Change(**rating) if rating else None))
        except (ValueError, TypeError, AttributeError) as error:
            if number == content.count("\n") + 1:  # the last, without its end
                break
            raise ValueError(
                f"{path}:{number} is no line of a probe; expected the {LINES} of pe probe"
            ) from error
    return found


def _check_settings(out: Path, described: dict[str, Any]) -> None:
    path = out / SETTINGS
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != described:
            raise ValueError(f"{out} holds a probe of other settings or models; choose a new --out")
        lines = out / LINES
        if lines.is_file() and not lines.read_bytes().endswith(b"\n"):
            whole = lines.read_bytes()
            lines.write_bytes(whole[: whole.rfind(b"\n") + 1])
        return
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty and holds no probe; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    shards.write_json(path, described)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """A picture's embedding, and its rating (0 where nothing rates)."""

    embedding: Float[np.ndarray, " E"]
    rating: float


def _look(
    folder: PictureFolder,
    model: ImageModel,
    encoder: ImageTextEncoder,
    scorer: AestheticScorer | None,
    draws: Sequence[tuple[str, int]],
) -> list[_Seen | str]:
    """Draw, embed and rate pictures; in place of one that is not to be had stands the reason."""
    found: list[_Seen | str] = []
    for begin in range(0, len(draws), BATCH):
        prompts, seeds = zip(*draws[begin : begin + BATCH], strict=True)
        uris = folder.draw(model, prompts, seeds)
        there = [uri for uri in uris if isinstance(uri, str)]
        images = [folder.open(uri) for uri in there]
        seen: dict[str, _Seen] = {}
        if images:
            embedded = encoder.encode_images(images)
            ratings = np.zeros(len(images))
            if scorer is not None:
                ratings = scorer.score([scorer.prepare(image) for image in images])
            rows = zip(there, embedded, ratings, strict=True)
            seen = {uri: _Seen(embedding, float(rating)) for uri, embedding, rating in rows}
        found += [u.reason if isinstance(u, RequestError) else seen[u] for u in uris]
    return found


def _compare(
    flavor: str,
    text: Float[np.ndarray, " E"],
    drawn: Sequence[_Seen | str],
    plain: Sequence[_Seen | str],
    *,
    is_rated: bool,
) -> Effect:
    """Return what a flavor changes, from pictures with it and without it."""
    pairs = [(a, b) for a, b in zip(drawn, plain, strict=True)
             if not isinstance(a, str) and not isinstance(b, str)]  # fmt: skip
    if not pairs:
        reason = next(a for a in (*drawn, *plain) if isinstance(a, str))
        return Effect(flavor=flavor, mean=0.0, low=0.0, high=0.0, num=0, reason=reason)
    rise = measure_change(np.asarray([float(text @ (a.embedding - b.embedding)) for a, b in pairs]))
    ratings = measure_change(np.asarray([a.rating - b.rating for a, b in pairs]))
    return Effect(
        flavor=flavor,
        mean=rise.mean,
        low=rise.low,
        high=rise.high,
        num=len(pairs),
        rating=ratings if is_rated else None,
    )


def _make_page(effects: Sequence[Effect], model: str) -> str:
    drawn = sum(effect.is_drawn for effect in effects)
    is_rated = any(effect.rating for effect in effects)
    most = max((abs(v) for e in effects for v in (e.low, e.high)), default=1.0) or 1.0
    rows = "".join(_row(effect, most, is_rated=is_rated) for effect in effects)
    ratings = " The last column: by how much its rating changes." if is_rated else ""
    return (
        start_page("What the image model can draw")
        + f"<p>{drawn:,} of {len(effects):,} flavors surely move a picture by "
        f"{html.escape(model)} toward their own text. Shown: by how much the cosine rises, with "
        f"its 95% interval.{ratings}</p>\n"
        f"<table><tr><th>flavor</th><th class=n>rise</th><th></th>"
        f"{'<th class=n>rating</th>' if is_rated else ''}</tr>{rows}</table>\n"
        "</body>\n</html>\n"
    )


def _row(effect: Effect, most: float, *, is_rated: bool) -> str:
    def place(value: float) -> float:
        return 150 + 145 * value / most

    color = "var(--kept)" if effect.is_drawn else "var(--dropped)"
    plot = (
        f'<svg width="300" height="14" viewBox="0 0 300 14"><line x1="150" x2="150" y1="0" y2="14" '
        'stroke="var(--line)"/>'
        f'<line x1="{place(effect.low):.1f}" x2="{place(effect.high):.1f}" y1="7" y2="7" '
        f'stroke="{color}" stroke-width="2"/>'
        f'<circle cx="{place(effect.mean):.1f}" cy="7" r="3.5" fill="{color}"/></svg>'
    )
    told = f"{effect.mean:+.3f}" if effect.num else html.escape(effect.reason)
    rating = f"{effect.rating.mean:+.2f}" if effect.rating else ""
    return (
        f"<tr><td>{html.escape(effect.flavor)}</td><td class=n>{told}</td><td>{plot}</td>"
        f"{f'<td class=n>{rating}</td>' if is_rated else ''}</tr>\n"
    )

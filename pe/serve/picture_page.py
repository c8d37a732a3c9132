"""A page that shows what expansion is for: each query's pictures beside those of its expansions.

One HTML file with everything in it, no script, nothing fetched. Picture k of every set is drawn
with seed k, so that what differs is the prompt alone. Several expanders stand side by side.
"""

import base64
import dataclasses
import html
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

from pe.engines.engine_error import RequestError
from pe.engines.t2i import ImageModel, Picture

JPEG_QUALITY = 88
STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #6b6b70; --line: #d9d9de;
  --paper: #fbfbfa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececee; --soft: #a0a0a6; --line: #3a3a3f; --paper: #17171a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 2.5rem 1.25rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.7rem; font-weight: 650; margin: 0 0 .3rem; letter-spacing: -.01em; }
p.lead { color: var(--soft); max-width: 46rem; margin: 0 0 2rem; }
section { border-top: 1px solid var(--line); padding: 1.6rem 0 1rem; }
h2 { font-size: 1.15rem; font-weight: 600; margin: 0 0 1rem; }
.sets { display: grid; grid-auto-columns: minmax(0, 1fr); grid-auto-flow: column; gap: 2rem; }
.sets h3 { font-size: .8rem; font-weight: 600; color: var(--soft); margin: 0 0 .6rem; }
.set { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; align-content: start; }
.set h3 { grid-column: 1 / -1; }
figure { margin: 0; }
img { display: block; width: 100%; height: auto; border-radius: 6px; background: var(--line); }
p.none { aspect-ratio: 1; margin: 0; padding: 1rem; border-radius: 6px; background: var(--line);
  color: var(--soft); }
figcaption { font-size: .8rem; line-height: 1.35; color: var(--soft); margin-top: .35rem;
  overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .8rem; border-top: 1px solid var(--line);
  padding-top: 1rem; }
@media (max-width: 760px) { .sets { grid-auto-flow: row; } }
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpandedQuery:
    """A query and the texts that each expander made of it.

    Raises ValueError where an expander made none.
    """

    query: str
    sets: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not all(self.sets):
            raise ValueError(f"the query {self.query!r} has no expansions; expected one or more")


def write_page(
    queries: Sequence[ExpandedQuery],
    model: ImageModel,
    *,
    title: str,
    names: Sequence[str] = ("Expanded",),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[str]:
    """Yield the page in parts; pictures of one query are in memory at a time.

    `names` are what the sets of an ExpandedQuery are called, in their order.
    """
    yield _head(title)
    for number, expanded in enumerate(queries, start=1):
        most = max(map(len, expanded.sets))
        parts = [
            _show_set("As typed", _draw([expanded.query] * most, model, seed), says_text=False)
        ]
        for name, texts in zip(names, expanded.sets, strict=True):
            parts.append(_show_set(name, _draw(texts, model, seed)))
        yield (
            f"<section>\n<h2>{html.escape(expanded.query)}</h2>\n"
            f'<div class="sets">\n{"".join(parts)}</div>\n</section>\n'
        )
        progress(number, len(queries))
    yield (
        f"<footer>Pictures by {html.escape(model.name)}. The sets of a query have the same seeds."
        "</footer>\n</body>\n</html>\n"
    )


def _draw(texts: Sequence[str], model: ImageModel, seed: int) -> Iterator[tuple[str, Picture]]:
    seeds = [seed + k for k in range(len(texts))]
    return zip(texts, model.render(texts, seeds), strict=True)


def _head(title: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n"
        '<p class="lead">On the left, pictures of a query as it was typed. To the right of them, '
        "pictures of the prompts that a model expanded it to.</p>\n"
    )


def _show_set(name: str, pictures: Iterable[tuple[str, Picture]], *, says_text: bool = True) -> str:
    shown = "".join(
        _show_picture(image, text, text if says_text else "") for text, image in pictures
    )
    return f'<div class="set">\n<h3>{html.escape(name)}</h3>\n{shown}</div>\n'


def _show_picture(image: Picture, text: str, caption: str) -> str:
    told = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    if isinstance(image, RequestError):
        return (
            f'<figure><p class="none">No picture: {html.escape(image.reason)}</p>{told}</figure>\n'
        )
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{html.escape(text)}" '
        f'width="{image.width}" height="{image.height}">{told}</figure>\n'
    )

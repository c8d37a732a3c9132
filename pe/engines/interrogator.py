"""Inversion: from an image back to a prompt that would make it, caption and flavors.

After clip-interrogator, in its four modes, for many images at once:

fast      the caption and the flavors nearest to the image
classic   caption, medium, artist, trending site, movement, three flavors: a slot for each
best      a chain: the flavor that raises the cosine most, again and again; then the nearest of
          caption, classic, fast and chain
negative  the chain of what is furthest from the image, for a negative prompt

The chain is what costs: hundreds of candidates a step, each "current, flavor". The text tower is
causal, so that "current," is encoded once, and a candidate costs its own few tokens
(`pe.models.clip`). Where the package errs (approximate ranking of long lists, a sign that is lost
in its negative mode) this does not.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import jax
import numpy as np

from pe.axes import Float
from pe.data.text_packing import PackedBlock
from pe.engines.flavor_table import find_top
from pe.engines.vision import ClipEncoder, next_size, put_block
from pe.models.clip import TextCache
from pe.text.flavor_list import FlavorList

MODES = ("fast", "classic", "best", "negative")
CPU_CHAINS, NUM_CHAINS = 1, 16  # images whose candidates are scored in one call


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterrogatorConfig:
    """How a prompt is found. The defaults are clip-interrogator's.

    mode                one of fast, classic, best, negative
    min_flavors         so many are taken by the chain whether they help or not
    max_flavors         the chain's and fast's most
    classic_flavors     flavors of classic, beside its slots
    num_candidates      of all flavors, the nearest to the image that the chain may choose from
    """

    mode: str = "best"
    min_flavors: int = 8
    max_flavors: int = 32
    classic_flavors: int = 3
    num_candidates: int = 2048

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"InterrogatorConfig.mode: got {self.mode!r}, expected one of {MODES}")
        for name in ("max_flavors", "classic_flavors", "num_candidates"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"InterrogatorConfig.{name}: got {getattr(self, name)}, expected 1 or more"
                )
        if not 0 <= self.min_flavors <= self.max_flavors:
            raise ValueError(
                f"InterrogatorConfig.min_flavors: got {self.min_flavors}, expected 0 to "
                f"max_flavors ({self.max_flavors})"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inverted:
    """A prompt found for an image: "caption, flavor, flavor".

    `similarity`: its cosine with the image, None where it was not asked for.
    """

    caption: str
    flavors: tuple[str, ...]
    prompt: str
    similarity: float | None


def split_flavors(prompt: str, caption: str) -> tuple[str, ...]:
    """Return what stands behind the caption of a prompt; () where it does not begin with it.

    "a fox, fog, oil painting", "a fox"  ->  ("fog", "oil painting")
    """
    rest = prompt[len(caption) :].removeprefix(", ") if prompt.startswith(caption) else ""
    return tuple(part.strip() for part in rest.split(", ") if part.strip())


class Interrogator:
    """Finds prompts for image embeddings, by an encoder and embedded tables of flavors.

    Args:
      flavors, embeddings    the tables, and the embeddings of `flavors.merged()`
      negatives              phrases that the negative mode adds to the table `flavors`
    """

    def __init__(
        self,
        encoder: ClipEncoder,
        flavors: FlavorList,
        embeddings: Float[np.ndarray, "n E"],
        *,
        negatives: Sequence[str] = (),
        config: InterrogatorConfig,
        num_chains: int | None = None,
    ):
        self.encoder = encoder
        self.config = config
        self.phrases = flavors.merged()
        if len(self.phrases) != len(embeddings):
            raise ValueError(
                f"{len(self.phrases):,} phrases and {len(embeddings):,} embeddings; expected one "
                "for each"
            )
        self.embeddings = embeddings
        self.negatives = tuple(negatives)
        self.slots: dict[str, slice] = {}
        begin = 0
        for name, phrases in flavors.tables().items():
            self.slots[name] = slice(begin, begin + len(phrases))
            begin += len(phrases)
        self._ids: dict[str, list[int]] = {}
        is_cpu = jax.default_backend() == "cpu"
        self.num_chains = num_chains or (CPU_CHAINS if is_cpu else NUM_CHAINS)

    def invert(
        self, images: Float[np.ndarray, "B E"], captions: Sequence[str], *, measure: bool = True
    ) -> list[Inverted]:
        """Find a prompt for each image (embeddings of length 1) and its caption.

        `measure`: whether each prompt's cosine is given, too, which doubles what fast takes.

        The negative mode leaves captions aside; else an empty one raises ValueError.
        """
        mode = self.config.mode
        if not len(images):
            return []
        if mode == "negative":
            return self._name(images, [""] * len(images), self.negative(images), measure)
        if not all(caption.strip() for caption in captions):
            raise ValueError("an empty caption; expected what is in the image")
        if mode == "fast":
            return self._name(images, captions, self.fast(images, captions), measure)
        if mode == "classic":
            return self._name(images, captions, self.classic(images, captions), measure)
        return self._name(images, captions, self.best(images, captions), measure)

    def fast(self, images: Float[np.ndarray, "B E"], captions: Sequence[str]) -> list[list[str]]:
        """Return the parts of caption and nearest flavors, as many as the context takes."""
        nearest, _ = find_top(images, self.embeddings, self.config.max_flavors)
        texts = [
            f"{caption}, " + ", ".join(self.phrases[i] for i in row)
            for caption, row in zip(captions, nearest, strict=True)
        ]
        return self._cut_to_fit(texts)

    def classic(
        self,
        images: Float[np.ndarray, "B E"],
        captions: Sequence[str],
        num_flavors: int | None = None,
    ) -> list[list[str]]:
        """Return the parts of caption, medium, artist, site, movement and flavors.

        `num_flavors`: of flavors so many, by default `classic_flavors`.
        """
        num_flavors = self.config.classic_flavors if num_flavors is None else num_flavors
        tops = {
            name: find_top(images, self.embeddings[slot], count)[0] + slot.start
            for name, slot in self.slots.items()
            for count in [num_flavors if name == "flavors" else 1]
            if slot.stop > slot.start
        }
        texts = []
        for row, caption in enumerate(captions):
            found = {name: [self.phrases[i] for i in top[row]] for name, top in tops.items()}
            medium = "".join(found.get("mediums", []))
            artist = "".join(found.get("artists", []))
            is_told = bool(medium) and caption.startswith(medium)
            lead = " ".join(filter(None, [caption if is_told else medium, artist]))
            parts = [*([] if is_told else [caption]), lead]
            for name in ("trendings", "movements", "flavors"):
                parts += found.get(name, [])
            texts.append(", ".join(filter(None, parts)))
        return self._cut_to_fit(texts)

    def negative(self, images: Float[np.ndarray, "B E"]) -> list[list[str]]:
        """Return chains of the flavors and negatives that are least like the image."""
        slot = self.slots["flavors"]
        furthest, _ = find_top(-images, self.embeddings[slot], self.config.num_candidates)
        candidates = [
            [*(self.phrases[slot.start + i] for i in row), *self.negatives] for row in furthest
        ]
        texts, _ = self._chain(-images, candidates, None, min_flavors=self.config.min_flavors)
        return [[text] for text in texts]

    def best(self, images: Float[np.ndarray, "B E"], captions: Sequence[str]) -> list[list[str]]:
        """Return the parts of the nearest of caption, classic, fast and the chain."""
        nearest, _ = find_top(images, self.embeddings, self.config.num_candidates)
        candidates = [[self.phrases[i] for i in row] for row in nearest]
        chains, _ = self._chain(images, candidates, captions, min_flavors=self.config.min_flavors)
        # As in the package, classic has as many flavors here as fast
        classic = self.classic(images, captions, self.config.max_flavors)
        fast = self.fast(images, captions)
        options = [
            [caption, ", ".join(classic[row]), ", ".join(fast[row]), chains[row]]
            for row, caption in enumerate(captions)
        ]
        texts = self.encoder.encode_texts([text for row in options for text in row])
        cosines = np.einsum("boe,be->bo", texts.reshape(len(images), 4, -1), images)
        winners = np.argmax(cosines, axis=1)
        return [row[i].split(", ") for row, i in zip(options, winners, strict=True)]

    def _name(
        self,
        images: Float[np.ndarray, "B E"],
        captions: Sequence[str],
        parts: Sequence[Sequence[str]],
        measure: bool,
    ) -> list[Inverted]:
        """Tell caption and flavors apart, and measure the whole where it is asked for."""
        prompts = [", ".join(row) for row in parts]
        cosines: list[float] | list[None] = [None] * len(prompts)
        if measure:
            cosines = np.sum(self.encoder.encode_texts(prompts) * images, axis=1).tolist()
        inverted = []
        for caption, prompt, cosine in zip(captions, prompts, cosines, strict=True):
            flavors = split_flavors(prompt, caption)
            inverted.append(
                Inverted(caption=caption, flavors=flavors, prompt=prompt, similarity=cosine)
            )
        return inverted

    # ---- the chain ------------------------------------------------------------------------------

    def _chain(
        self,
        images: Float[np.ndarray, "B E"],
        candidates: Sequence[Sequence[str]],
        captions: Sequence[str] | None,
        *,
        min_flavors: int,
    ) -> tuple[list[str], Float[np.ndarray, " B"]]:
        """Grow a text for each image, a candidate at a time; return the best seen, and its cosine.

        A candidate is taken where it raises the cosine, or is one of the first `min_flavors`; a
        chain ends with the first that does not, with `max_flavors`, or with the context full.
        Without captions it begins with the nearest candidate.
        """
        encoder, tokenizer = self.encoder, self.encoder.tokenizer
        chains = [_Chain(list(dict.fromkeys(phrases))) for phrases in candidates]
        blocks = [encoder.pack(self._encode(chain.phrases)) for chain in chains]
        if captions is None:
            cache = encoder.begin([[]] * len(chains))
            cosines = self._score(cache, chains, blocks, images, list(range(len(chains))))
            for i, chain in enumerate(chains):
                chain.start(chain.phrases[int(np.argmax(cosines[i]))], float(np.max(cosines[i])))
                chain.free[int(np.argmax(cosines[i]))] = False
        else:
            starts = np.sum(encoder.encode_texts(captions) * images, axis=1)
            for chain, caption, cosine in zip(chains, captions, starts, strict=True):
                chain.start(caption, float(cosine))
        texts = tokenizer.encode_batch([f"{chain.text}," for chain in chains])
        num_empty = next_size(len(chains), encoder.num_beginnings) - len(chains)
        texts += [[]] * num_empty  # few sizes are compiled
        images = np.pad(images, ((0, num_empty), (0, 0)))
        cache = encoder.begin(texts)
        longest = encoder.config.text.context_tokens - 2
        active = [i for i, chain in enumerate(chains) if chain.free.any()]
        for step in range(self.config.max_flavors):
            if not active:
                break
            if step:
                cache, texts = self._advance(cache, chains, texts, active)
            cosines = self._score(cache, chains, blocks, images, active)
            for i in active:
                chains[i].take(cosines[i], is_free=step < min_flavors)
            active = [i for i in active if not chains[i].is_done]
            sizes = tokenizer.encode_batch([chains[i].text for i in active])
            active = [i for i, ids in zip(active, sizes, strict=True) if len(ids) < longest]
            active = [i for i in active if chains[i].free.any()]
        return [chain.best for chain in chains], np.array([chain.best_cosine for chain in chains])

    def _advance(
        self,
        cache: TextCache,
        chains: Sequence["_Chain"],
        texts: list[list[int]],
        active: Sequence[int],
    ) -> tuple[TextCache, list[list[int]]]:
        """Append what was taken to the beginnings of the chains that go on."""
        grown = self.encoder.tokenizer.encode_batch([f"{chains[i].text}," for i in active])
        wanted = dict(zip(active, grown, strict=True))
        if any(ids[: len(texts[i])] != texts[i] for i, ids in wanted.items()):
            # Cleaning made other words of the whole text than of its parts (stray entities)
            texts = [wanted.get(i, ids) for i, ids in enumerate(texts)]
            return self.encoder.begin(texts), texts
        added = [wanted.get(i, ids)[len(ids) :] for i, ids in enumerate(texts)]
        texts = [wanted.get(i, ids) for i, ids in enumerate(texts)]
        return self.encoder.extend(cache, added), texts

    def _score(
        self,
        cache: TextCache,
        chains: Sequence["_Chain"],
        blocks: Sequence[Sequence[PackedBlock]],
        images: Float[np.ndarray, "B E"],
        active: Sequence[int],
    ) -> dict[int, Float[np.ndarray, " K"]]:
        """Return, for each active chain, the cosine of every candidate; -inf where it is taken."""
        by_shape: dict[tuple[int, ...], list[tuple[int, PackedBlock]]] = defaultdict(list)
        for i in active:
            for block in blocks[i]:
                by_shape[block.tokens.shape].append((i, block))
        found = {i: np.full(len(chains[i].phrases), -np.inf, np.float32) for i in active}
        waiting = []
        for items in by_shape.values():
            for begin in range(0, len(items), self.num_chains):
                part = items[begin : begin + self.num_chains]
                filled = part + part[:1] * (self.num_chains - len(part))
                rows = np.array([i for i, _ in filled], np.int32)
                packed = put_block(*(block for _, block in filled))
                waiting.append((part, self.encoder.similarities(cache, rows, packed, images)))
        for part, cosines in waiting:
            for (i, block), row in zip(part, np.asarray(cosines), strict=False):
                found[i][block.texts] = row[: len(block.texts)]
        for i in active:
            found[i][~chains[i].free] = -np.inf
        return found

    def _encode(self, phrases: Sequence[str]) -> list[list[int]]:
        """Return the phrases' ids; those asked for before are remembered."""
        new = [phrase for phrase in phrases if phrase not in self._ids]
        self._ids.update(zip(new, self.encoder.tokenizer.encode_batch(new), strict=True))
        return [self._ids[phrase] for phrase in phrases]

    def _cut_to_fit(self, texts: Sequence[str]) -> list[list[str]]:
        """Split texts at commas and leave out the last parts, until start, text and end fit."""
        longest = self.encoder.config.text.context_tokens - 2
        all_parts = [text.split(", ") for text in texts]
        # As in the package, a part counts before its comma is set
        trials = [
            ", ".join(parts[:k]) + parts[k] for parts in all_parts for k in range(1, len(parts))
        ]
        sizes = iter([len(ids) for ids in self.encoder.tokenizer.encode_batch(trials)])
        kept = []
        for parts in all_parts:
            fits = [next(sizes) < longest for _ in parts[1:]]
            kept.append(parts[: 1 + (fits.index(False) if False in fits else len(fits))])
        return kept


class _Chain:
    """One image's text as it grows."""

    def __init__(self, phrases: list[str]):
        self.phrases = phrases
        self.free = np.ones(len(phrases), bool)
        self.text = self.best = ""
        self.cosine = self.best_cosine = -np.inf
        self.is_done = False

    def start(self, text: str, cosine: float) -> None:
        """Begin with a text."""
        self.text = self.best = text
        self.cosine = self.best_cosine = cosine

    def take(self, cosines: Float[np.ndarray, " K"], *, is_free: bool) -> None:
        """Append the nearest candidate, or end. `is_free`: it need not help."""
        chosen = int(np.argmax(cosines))
        text, cosine = f"{self.text}, {self.phrases[chosen]}", float(cosines[chosen])
        if cosine > self.best_cosine:
            self.best, self.best_cosine = text, cosine
        if cosine > self.cosine or is_free:
            self.text, self.cosine = text, cosine
            self.free[chosen] = False
        else:
            self.is_done = True

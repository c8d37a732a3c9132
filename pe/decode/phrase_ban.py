"""Phrases that no text may hold, kept out token by token.

A ban is on text, not on token ids: an automaton (Aho and Corasick 1975) reads the letters of every
piece, so a phrase is caught however it is cut into pieces. Letters are compared without case, and
whatever stands between two words (spaces, hyphens, commas) is one gap. A phrase of five letters or
more is found inside longer words, too ("painting" bans "paintings" and "overpainting"); a shorter
one is matched as a whole word ("cat" leaves "category" and "bobcat"), unless a `*` opens an end:
"art*" bans "artist", "*art*" also "smart". A word counts as whole where a piece ends, since what
follows is not known yet; and while anything is banned, no character is spelled in bytes, which
would hide its case and kind.
"""

import dataclasses
import unicodedata
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pe.axes import Array, Bool, Int, UInt
from pe.data.tokenizer import Vocabulary

GAP = ord(" ")
ROOT, AFTER_GAP = 0, 1  # the two states of an automaton that has begun no phrase
LONG_PHRASE = 5  # letters from which on a phrase is found inside longer words, too
PADDED_STATES, PADDED_MOVES = 64, 8  # sizes are rounded up to these times a power of two


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PhraseBan:
    """The automaton over a vocabulary. State 1, after a gap, is where a text starts.

    `hits` packs, for every state, which tokens would complete a phrase. Where a token leads is said
    by `usual` for the two states without a phrase begun, and by `moves` where it leads elsewhere.
    """

    start: Int[Array, ""]
    hits: UInt[Array, "states bytes"]
    usual: Int[Array, "2 V"]
    ends_with_gap: Int[Array, " states"]
    move_tokens: Int[Array, "states moves"]
    move_states: Int[Array, "states moves"]


def banned_tokens(ban: PhraseBan, states: Int[Array, " B"], vocab_size: int) -> Bool[Array, "B V"]:
    """Return the tokens that would complete a phrase."""
    packed = ban.hits[states]  # [B bytes]
    bits = (packed[:, :, None] >> jnp.arange(8, dtype=packed.dtype)) & 1
    return bits.reshape(packed.shape[0], -1)[:, :vocab_size] == 1


def advance_ban(
    ban: PhraseBan, states: Int[Array, " B"], tokens: Int[Array, " B"]
) -> Int[Array, " B"]:
    """Return the states after a token each."""
    usual = ban.usual[ban.ends_with_gap[states], tokens]
    found = ban.move_tokens[states] == tokens[:, None]  # [B moves]
    moved = jnp.max(jnp.where(found, ban.move_states[states], -1), axis=-1)
    return jnp.where(moved >= 0, moved, usual)


def letters_of(text: str) -> bytes:
    """Return the letters of a text as the automaton reads them; each gap is one space.

    Example:
      text                    returns
      "Oil-on  Canvas, 8K!"   b"oil on canvas 8k "
    """
    letters = []
    for character in unicodedata.normalize("NFKC", text).casefold():
        is_letter = character.isalnum() or unicodedata.category(character).startswith("M")
        if is_letter:
            letters.append(character)
        elif not letters or letters[-1] != " ":
            letters.append(" ")
    return "".join(letters).encode("utf-8", errors="surrogatepass")


def compile_ban(phrases: Sequence[str], vocabulary: Vocabulary, *, vocab_size: int) -> PhraseBan:
    """Build the automaton of some phrases for a vocabulary of a model with `vocab_size` ids.

    Raises ValueError for a phrase without a letter or digit.
    """
    automaton = _Automaton([_read_phrase(phrase) for phrase in phrases])
    pieces = [_piece_letters(vocabulary, i) for i in range(min(vocabulary.size, vocab_size))]
    pieces += [b""] * (vocab_size - len(pieces))
    part_of_letter = np.array([piece is None for piece in pieces])
    tokens = _TokenTable([piece or b"" for piece in pieces])
    num_states = len(automaton.final)
    everything = np.arange(vocab_size)
    usual = [tokens.run(automaton, state, everything) for state in (ROOT, AFTER_GAP)]
    hits = np.zeros((num_states, -(-vocab_size // 8)), np.uint8)  # a bit a token
    moves: list[list[tuple[int, int]]] = []
    for state in range(num_states):
        gap = int(automaton.ends_with_gap[state])
        base_next, base_hit = usual[gap]
        row = base_hit | part_of_letter
        differs = automaton.delta[state] != automaton.delta[AFTER_GAP if gap else ROOT]
        goes_on = tokens.first_length[gap] > 0
        stays = ~goes_on & (tokens.length > 0) & (state > AFTER_GAP)  # a second gap changes nothing
        some = np.flatnonzero((differs[tokens.first[gap]] & goes_on) | stays)
        next_state, hit = tokens.run(automaton, state, some)
        row[some] = hit
        hits[state] = np.packbits(row, bitorder="little")
        elsewhere = (next_state != base_next[some]) & ~hit
        pairs = zip(some[elsewhere], next_state[elsewhere], strict=True)
        moves.append([(int(token), int(target)) for token, target in pairs])
    return _pack(hits, usual, automaton.ends_with_gap, moves)


def _pack(
    hits: np.ndarray,
    usual: list[tuple[np.ndarray, np.ndarray]],
    ends_with_gap: np.ndarray,
    moves: list[list[tuple[int, int]]],
) -> PhraseBan:
    """Pad the tables to sizes that few bans differ in, so that little is compiled."""
    num_states = _padded(len(hits), PADDED_STATES)
    num_moves = _padded(max(map(len, moves)), PADDED_MOVES)
    packed = np.pad(hits, ((0, num_states - len(hits)), (0, 0)))
    move_tokens = np.full((num_states, num_moves), -1, np.int32)
    move_states = np.full((num_states, num_moves), -1, np.int32)
    for state, pairs in enumerate(moves):
        for place, (token, target) in enumerate(pairs):
            move_tokens[state, place], move_states[state, place] = token, target
    return PhraseBan(
        start=jnp.int32(AFTER_GAP),
        hits=jnp.asarray(packed),
        usual=jnp.asarray(np.stack([next_state for next_state, _ in usual]), jnp.int32),
        ends_with_gap=jnp.asarray(
            np.pad(ends_with_gap.astype(np.int32), (0, num_states - len(hits)))
        ),
        move_tokens=jnp.asarray(move_tokens),
        move_states=jnp.asarray(move_states),
    )


def _padded(size: int, unit: int) -> int:
    while unit < size:
        unit *= 2
    return unit


def _read_phrase(phrase: str) -> tuple[bytes, bool]:
    """Return the letters to match, after a gap or anywhere, and whether the last word may go on."""
    core = phrase.strip()
    open_start, open_end = core.startswith("*"), core.endswith("*")
    letters = letters_of(core.strip("*")).strip()
    if not letters:
        raise ValueError(
            f"ban: {phrase!r} holds no letter or digit; expected words, as in 'oil on canvas'"
        )
    if len(letters) >= LONG_PHRASE:
        open_start = open_end = True
    return letters if open_start else b" " + letters, open_end


def _piece_letters(vocabulary: Vocabulary, token_id: int) -> bytes | None:
    """Return the letters of a piece; None for one byte of a character that has no piece."""
    try:
        return letters_of(vocabulary.surface(token_id).decode())
    except UnicodeDecodeError:
        return None


class _Automaton:
    """Aho and Corasick's, with its transitions in one table [states, 256]."""

    def __init__(self, patterns: Sequence[tuple[bytes, bool]]):
        children: list[dict[int, int]] = [{GAP: AFTER_GAP}, {}]
        final = [0, 0]  # 0: no phrase ends here, 1: one of whole words, 2: one that may go on
        for letters, may_go_on in patterns:
            state = ROOT
            for letter in letters:
                if letter not in children[state]:
                    children[state][letter] = len(children)
                    children.append({})
                    final.append(0)
                state = children[state][letter]
            final[state] = max(final[state], 2 if may_go_on else 1)
        self.delta = np.zeros((len(children), 256), np.int32)
        self.final = np.array(final, np.int8)
        self.ends_with_gap = np.zeros(len(children), bool)
        self._link(children)

    def _link(self, children: list[dict[int, int]]) -> None:
        """Fill the table breadth first: a state moves as the longest shorter match does, or on."""
        queue = [(ROOT, ROOT)]
        for state, fallback in queue:
            if state != ROOT:
                self.delta[state] = self.delta[fallback]
                self.final[state] = max(self.final[state], self.final[fallback])
            for letter, child in children[state].items():
                after = int(self.delta[fallback, letter]) if state != ROOT else ROOT
                self.delta[state, letter] = child
                self.ends_with_gap[child] = letter == GAP
                queue.append((child, after))


class _TokenTable:
    """The letters of every token as a matrix, so that all tokens move at once.

    A gap at the start of a token counts once where the state before it ends with a gap already:
    `first` and `first_length` hold each token's first letter that counts, without and with that.
    """

    def __init__(self, pieces: Sequence[bytes]):
        self.length = np.array([len(piece) for piece in pieces])
        self.letters = np.zeros((len(pieces), max(1, int(self.length.max()))), np.uint8)
        for row, piece in zip(self.letters, pieces, strict=True):
            row[: len(piece)] = np.frombuffer(piece, np.uint8)
        self.skips = (self.letters[:, 0] == GAP) & (self.length > 0)
        second = np.pad(self.letters, ((0, 0), (0, 1)))[:, 1]
        self.first = (self.letters[:, 0], np.where(self.skips, second, self.letters[:, 0]))
        self.first_length = (self.length, self.length - self.skips)

    def run(
        self, automaton: _Automaton, state: int, tokens: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the state after each token, and whether it completes a phrase."""
        letters, length = self.letters[tokens], self.length[tokens]
        states = np.full(len(tokens), state, np.int32)
        hit = np.zeros(len(tokens), bool)
        skip_first = self.skips[tokens] & bool(automaton.ends_with_gap[state])
        for place in range(letters.shape[1]):
            counts = place < length
            if place == 0:
                counts = counts & ~skip_first
            moved = automaton.delta[states, letters[:, place]]
            states = np.where(counts, moved, states)
            following = letters[:, place + 1] if place + 1 < letters.shape[1] else None
            word_ends = place + 1 >= length
            if following is not None:
                word_ends = word_ends | (following == GAP)
            final = automaton.final[states]
            hit |= counts & ((final == 2) | ((final == 1) & word_ends))
        return states, hit

"""Span corruption and prefix LM: the docstrings' rows, T5's numbers, and nothing lost."""

import io
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import sentencepiece
from hypothesis import strategies as st

from pe.data.features import LengthConfig
from pe.data.objectives import (
    ObjectiveConfig,
    corrupt_spans,
    count_noise,
    draw_chunk,
    draw_spans,
    encode_text,
    sentinel_ids,
    split_prefix,
)
from pe.data.tokenizer import EOS_ID, SentencePieceVocabulary, load_vocabulary

T5_VOCABULARY = Path(__file__).parents[3] / "../shared/data/tokenizers/t5/spiece.model"
T5_NOISE = {"noise_density": 0.15, "mean_span_tokens": 3.0}
SENTINELS = np.arange(999, 899, -1, dtype=np.int32)
WORDS = ("a", "red", "heart", "undying", "love")

quiet = hypothesis.settings(deadline=None, max_examples=200, derandomize=True)


def train_words(*symbols):
    """A vocabulary of one piece a word, with `symbols` as pieces of their own."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 10),
        model_writer=model,
        model_type="word",
        vocab_size=400,
        hard_vocab_limit=False,
        user_defined_symbols=list(symbols),
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return SentencePieceVocabulary(model.getvalue())


@pytest.fixture(scope="module")
def words():
    return train_words()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def spell(ids, vocabulary, sentinels):
    """Write ids as words and <0>, <1>, ..."""
    names = {int(sentinel): f"<{number}>" for number, sentinel in enumerate(sentinels)}
    return [
        names.get(int(i)) or vocabulary.piece(int(i)).strip("\N{LOWER ONE EIGHTH BLOCK}")
        for i in ids
    ]


def restore(inputs, targets, sentinels):
    """Put what the targets say back where the inputs have sentinels."""
    spans, number = {}, {int(sentinel): n for n, sentinel in enumerate(sentinels)}
    for token in targets.tolist():
        if token in number:
            spans[token] = []
        else:
            spans[list(spans)[-1]].append(token)
    text = []
    for token in inputs.tolist():
        text += spans.pop(token) if token in number else [token]
    assert list(spans.values()) == [[]]  # the last sentinel, which stands for nothing
    return text


# Sentinels


def test_sentinels_are_the_rows_behind_the_pieces_highest_first(words):
    size = words.size
    ids = sentinel_ids(words, size + 100)
    assert ids.tolist() == list(range(size + 99, size - 1, -1))
    assert ids.dtype == np.int32


def test_more_rows_than_needed_do_not_move_the_sentinels(words):
    assert sentinel_ids(words, words.size + 128)[0] == words.size + 99


def test_t5s_own_vocabulary_has_t5s_own_sentinels():
    if not T5_VOCABULARY.is_file():
        pytest.skip(f"needs {T5_VOCABULARY}: T5's vocabulary")
    ids = sentinel_ids(load_vocabulary(T5_VOCABULARY), 32128)
    assert ids.tolist() == list(range(32099, 31999, -1))


def test_pieces_that_are_sentinels_are_taken_in_the_order_of_their_numbers():
    vocabulary = train_words("\u2581<extra_id_1>", "\u2581<extra_id_0>", "<extra_id_2>")
    ids = sentinel_ids(vocabulary, vocabulary.size)
    pieces = [vocabulary.piece(int(i)).strip("\u2581") for i in ids]
    assert pieces == ["<extra_id_0>", "<extra_id_1>", "<extra_id_2>"]


def test_pieces_that_leave_out_a_number_are_refused():
    vocabulary = train_words("<extra_id_0>", "<extra_id_2>")
    with pytest.raises(ValueError, match="has the piece <extra_id_2> but not <extra_id_1>"):
        sentinel_ids(vocabulary, 500)


def test_a_model_without_rows_to_spare_is_told_how_many_it_needs(words):
    needed = words.size + 100
    with pytest.raises(ValueError, match=f"set vocab_size to {needed} or more"):
        sentinel_ids(words, needed - 1)


# Spans


@pytest.mark.parametrize(
    ("length", "counts"), [(1, (0, 0)), (2, (1, 1)), (10, (2, 1)), (50, (8, 3)), (512, (77, 26))]
)
def test_t5s_settings_hide_the_docstrings_numbers(length, counts):
    assert count_noise(length, **T5_NOISE) == counts


def test_spans_never_outnumber_what_is_kept_between_them():
    assert count_noise(10, noise_density=0.8, mean_span_tokens=1.0) == (8, 2)


def test_no_text_has_no_mask(rng):
    with pytest.raises(ValueError, match="length: got 0, expected 1 token or more"):
        draw_spans(0, rng, **T5_NOISE)


def test_a_single_token_is_kept(rng):
    assert draw_spans(1, rng, **T5_NOISE).tolist() == [False]


@quiet
@hypothesis.given(
    length=st.integers(2, 600),
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0.01, 0.99),
    mean=st.floats(1.0, 20.0),
)
def test_a_mask_keeps_to_the_published_rule(length, seed, density, mean):
    noise = {"noise_density": density, "mean_span_tokens": mean}
    mask = draw_spans(length, np.random.default_rng(seed), **noise)
    num_noise, num_spans = count_noise(length, **noise)
    assert mask.shape == (length,)
    assert mask.sum() == num_noise
    assert 1 <= num_noise <= length - 1
    assert abs(num_noise - min(max(length * density, 1), length - 1)) <= 0.5001
    assert not mask[0]
    assert mask[-1]
    assert np.sum(mask[1:] & ~mask[:-1]) == num_spans


def test_all_masks_are_about_equally_likely(rng):
    # 3 hidden tokens of 6 in 2 spans: 2 ways to cut what is hidden times 2 to cut what is kept
    draws = [
        "".join("01"[hidden] for hidden in map(int, mask))
        for mask in (
            draw_spans(6, rng, noise_density=0.5, mean_span_tokens=1.5) for _ in range(4000)
        )
    ]
    masks, counts = np.unique(draws, return_counts=True)
    assert masks.tolist() == ["001011", "001101", "010011", "011001"]
    assert np.all(np.abs(counts - 1000) < 120)


def test_corruption_gives_the_docstrings_rows():
    ids = np.arange(5, 15, dtype=np.int32)
    mask = np.array([0, 0, 1, 1, 0, 0, 0, 0, 1, 0], np.bool_)
    inputs, targets = corrupt_spans(ids, mask, np.array([99, 98, 97, 96], np.int32))
    assert inputs.tolist() == [5, 6, 99, 9, 10, 11, 12, 98, 14]
    assert targets.tolist() == [99, 7, 8, 98, 13, 97]
    assert ids.tolist() == list(range(5, 15))
    assert {inputs.dtype, targets.dtype} == {np.dtype(np.int32)}


@pytest.mark.parametrize(
    ("mask", "inputs", "targets"),
    [
        ([0, 0], [5, 6], [99]),
        ([1, 1], [99], [99, 5, 6, 98]),
        ([1, 0], [99, 6], [99, 5, 98]),
        ([0, 1], [5, 99], [99, 6, 98]),
    ],
)
def test_a_mask_may_hide_nothing_all_and_either_end(mask, inputs, targets):
    rows = corrupt_spans(
        np.array([5, 6], np.int32), np.array(mask, np.bool_), np.array([99, 98], np.int32)
    )
    assert [row.tolist() for row in rows] == [inputs, targets]


def test_more_spans_than_sentinels_are_refused():
    mask = np.array([0, 1, 0, 1], np.bool_)
    with pytest.raises(ValueError, match="got 2 hidden spans and 2 sentinels"):
        corrupt_spans(np.arange(4, dtype=np.int32), mask, SENTINELS[:2])


@quiet
@hypothesis.given(
    rows=st.lists(st.tuples(st.integers(3, 800), st.booleans()), min_size=1, max_size=120)
)
def test_inputs_and_targets_together_restore_the_text(rows):
    ids = np.array([token for token, _ in rows], np.int32)
    mask = np.array([hidden for _, hidden in rows], np.bool_)
    inputs, targets = corrupt_spans(ids, mask, SENTINELS)
    assert restore(inputs, targets, SENTINELS) == ids.tolist()


# Prefix LM


def test_a_text_is_split_as_in_the_docstring_each_way_half_the_time(rng):
    ids = np.array([5, 6, 7], np.int32)
    draws = [split_prefix(ids, rng) for _ in range(400)]
    rows = [(inputs.tolist(), targets.tolist()) for inputs, targets in draws]
    assert sorted({str(row) for row in rows}) == ["([5, 6], [7])", "([5], [6, 7])"]
    assert 150 < rows.count(([5], [6, 7])) < 250


def test_two_tokens_are_split_in_the_only_way(rng):
    inputs, targets = split_prefix(np.array([5, 6], np.int32), rng)
    assert (inputs.tolist(), targets.tolist()) == ([5], [6])


def test_limits_leave_only_the_splits_that_keep_to_them(rng):
    ids = np.arange(10, dtype=np.int32)
    points = {len(split_prefix(ids, rng, max_inputs=5, max_targets=7)[0]) for _ in range(200)}
    assert points == {3, 4, 5}


@pytest.mark.parametrize(("num_tokens", "limit"), [(0, None), (1, None), (9, 4)])
def test_what_cannot_be_split_is_refused(num_tokens, limit, rng):
    with pytest.raises(ValueError, match=f"cannot split {num_tokens} tokens"):
        split_prefix(
            np.arange(num_tokens, dtype=np.int32), rng, max_inputs=limit, max_targets=limit
        )


# Texts


@pytest.mark.parametrize(
    ("objective", "text", "inputs", "targets"),
    [
        ("span_corruption", "a red heart", "a red <0> </s>", "<0> heart <1> </s>"),
        ("prefix_lm", "a red heart", "a red </s>", "heart </s>"),
        ("span_corruption", "heart", "heart </s>", "<0> </s>"),
        ("prefix_lm", "heart", "</s>", "heart </s>"),
    ],
    ids=["spans", "prefix", "spans-one-token", "prefix-one-token"],
)
def test_a_text_becomes_the_docstrings_row(objective, text, inputs, targets, words):
    sentinels = sentinel_ids(words, words.size + 100)
    rows = [
        encode_text(
            text,
            words,
            LengthConfig(inputs=8, targets=8),
            ObjectiveConfig(name=objective),
            rng=np.random.default_rng(seed),
            sentinels=sentinels,
        )
        for seed in range(8)
    ]
    features = next(row for row in rows if len(row["targets"]) == len(targets.split()))
    assert spell(features["inputs"], words, sentinels) == inputs.split()
    assert spell(features["targets"], words, sentinels) == targets.split()
    assert features["inputs_prefix"].tolist() == [0] * len(inputs.split())
    assert {array.dtype for array in features.values()} == {np.dtype(np.int32)}


def encode(words, config, *, num_words=400, inputs=64, targets=32, seed=0):
    rng = np.random.default_rng(3)
    text = " ".join(rng.choice(WORDS, num_words))
    sentinels = sentinel_ids(words, words.size + 100)
    lengths = LengthConfig(inputs=inputs, targets=targets)
    features = encode_text(
        text, words, lengths, config, rng=np.random.default_rng(seed), sentinels=sentinels
    )
    return words.encode(text), features, sentinels


def is_run(part, whole):
    return any(whole[i : i + len(part)] == part for i in range(len(whole)))


@quiet
@hypothesis.given(
    num_words=st.integers(1, 300),
    inputs=st.integers(8, 200),
    targets=st.integers(8, 200),
    density=st.floats(0.05, 0.95),
    mean=st.floats(1.0, 8.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_corrupted_texts_fit_with_their_end_tokens(
    words, num_words, inputs, targets, density, mean, seed
):
    config = ObjectiveConfig(name="span_corruption", noise_density=density, mean_span_tokens=mean)
    ids, features, sentinels = encode(
        words, config, num_words=num_words, inputs=inputs, targets=targets, seed=seed
    )
    assert len(features["inputs"]) <= inputs
    assert len(features["targets"]) <= targets
    assert features["inputs"][-1] == features["targets"][-1] == EOS_ID
    chunk = restore(features["inputs"][:-1], features["targets"][:-1], sentinels)
    assert is_run(chunk, ids)
    if len(chunk) < len(ids):  # one token more would not have fitted
        num_noise, num_spans = count_noise(
            len(chunk) + 1, noise_density=density, mean_span_tokens=mean
        )
        assert (
            len(chunk) + 1 - num_noise + num_spans + 1 > inputs
            or num_noise + num_spans + 2 > targets
            or num_spans >= 100
        )


@quiet
@hypothesis.given(
    num_words=st.integers(1, 300),
    inputs=st.integers(8, 200),
    targets=st.integers(8, 200),
    seed=st.integers(0, 2**32 - 1),
)
def test_split_texts_fit_with_their_end_tokens(words, num_words, inputs, targets, seed):
    ids, features, _ = encode(
        words,
        ObjectiveConfig(name="prefix_lm"),
        num_words=num_words,
        inputs=inputs,
        targets=targets,
        seed=seed,
    )
    assert len(features["inputs"]) <= inputs
    assert 2 <= len(features["targets"]) <= targets
    assert features["inputs"][-1] == features["targets"][-1] == EOS_ID
    chunk = [*features["inputs"][:-1].tolist(), *features["targets"][:-1].tolist()]
    assert len(chunk) == min(len(ids), inputs + targets - 2)
    assert is_run(chunk, ids)


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_the_same_generator_gives_the_same_row_and_another_another(objective, words):
    config = ObjectiveConfig(name=objective)
    first, again, other = (
        {name: array.tolist() for name, array in encode(words, config, seed=seed)[1].items()}
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_chunk_starts_anywhere(rng):
    ids = np.arange(5, dtype=np.int32)
    chunks = {tuple(draw_chunk(ids, 3, rng).tolist()) for _ in range(100)}
    assert chunks == {(0, 1, 2), (1, 2, 3), (2, 3, 4)}
    assert draw_chunk(ids, 5, rng).tolist() == draw_chunk(ids, 9, rng).tolist() == [0, 1, 2, 3, 4]


def test_t5s_lengths_hold_as_many_tokens_as_t5_puts_there(words):
    # T5 reads 568 tokens for 512 inputs, with 114 targets; our targets have one sentinel more
    config = ObjectiveConfig(name="span_corruption")
    _, features, _ = encode(words, config, num_words=900, inputs=512, targets=115)
    assert (len(features["inputs"]), len(features["targets"])) == (512, 115)


def test_without_sentinels_nothing_is_corrupted_but_texts_can_be_split(words, rng):
    lengths = LengthConfig(inputs=8, targets=8)
    with pytest.raises(ValueError, match="span_corruption needs sentinels"):
        encode_text("love", words, lengths, ObjectiveConfig(name="span_corruption"), rng=rng)
    features = encode_text("love", words, lengths, ObjectiveConfig(name="prefix_lm"), rng=rng)
    assert len(features["targets"]) == 2


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_a_text_without_tokens_is_refused(objective, words, rng):
    with pytest.raises(ValueError, match="text without tokens, ' ', expected one token or more"):
        encode_text(
            " ",
            words,
            LengthConfig(inputs=8, targets=8),
            ObjectiveConfig(name=objective),
            rng=rng,
            sentinels=SENTINELS,
        )


def test_pairs_are_not_encoded_as_texts(words, rng):
    with pytest.raises(ValueError, match="got the objective 'pairs', expected one of"):
        encode_text("love", words, LengthConfig(), ObjectiveConfig(), rng=rng)


# Settings


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("name", "spans", "expected one of"),
        ("column", "", "expected the name of a text column"),
        ("noise_density", 0.0, "expected above 0 and below 1"),
        ("noise_density", 1.0, "expected above 0 and below 1"),
        ("noise_density", float("nan"), "expected above 0 and below 1"),
        ("mean_span_tokens", 0.5, "expected 1 or more"),
        ("mean_span_tokens", float("inf"), "expected 1 or more"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value, expected):
    with pytest.raises(ValueError, match=rf"ObjectiveConfig\.{field}: got .*{expected}"):
        ObjectiveConfig(**{field: value})

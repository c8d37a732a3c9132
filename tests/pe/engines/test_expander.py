"""The expander: same request same texts, whatever else is asked for; and what it refuses."""

import numpy as np
import pytest

from pe.data.tokenizer import EOS_ID
from pe.decode.beam import BeamConfig
from pe.decode.generate import Drawn, Generator, Request
from pe.decode.phrase_ban import letters_of
from pe.decode.sampling import SamplingConfig
from pe.decode.target_tokenizer import Target
from pe.engines.expander import T5Expander, request_seed
from pe.engines.model import ModelInput, load_model
from pe.metrics.text import count_distinct
from pe.prefixes import PREFIXES

SAMPLING = SamplingConfig(max_tokens=6)
GREEDY = SamplingConfig(max_tokens=6, temperature=0.0)
PROMPT = "a red fox, (oil on canvas, gold), at dawn, in snow, by the sea"


@pytest.fixture(scope="module")
def model(run_folder):
    return load_model(run_folder)


@pytest.fixture(scope="module")
def expander(model):
    return T5Expander(model)


@pytest.fixture(scope="module")
def eight(expander):
    """Eight expansions of one query."""
    return expander.expand(["red fox"], 8, prefix="ABST", seed=5, sampling=SAMPLING)[0]


def texts(expansions):
    return [expansion.text for expansion in expansions]


def word_target(budget):
    """An encoder that counts words, and one token for the text as a whole."""

    def encode(text):
        return [len(word) for word in text.split()]

    return Target(name="words", budget=budget, num_special=1, encode=encode)


def test_an_expansion_says_what_it_was_made_of(eight):
    assert len(eight) == 8
    for expansion in eight:
        asked = (expansion.query, expansion.prefix, expansion.seed, expansion.model)
        assert asked == ("red fox", "ABST", 5, "tiny@6")
        assert expansion.logprob < 0
        assert 1 <= expansion.num_tokens <= 6
    assert len({expansion.id for expansion in eight}) == 8


def test_the_same_request_gives_the_same_expansions(expander, eight):
    assert expander.expand(["red fox"], 8, prefix="ABST", seed=5, sampling=SAMPLING)[0] == eight


def test_another_seed_gives_other_texts(expander, eight):
    other = expander.expand(["red fox"], 8, prefix="ABST", seed=6, sampling=SAMPLING)[0]
    assert texts(other) != texts(eight)


@pytest.mark.slow
def test_texts_do_not_depend_on_the_other_queries(expander, eight):
    queries = ["old boat at sea in a storm by night", "red fox", "moon"]
    results = expander.expand(queries, 8, prefix="ABST", seed=5, sampling=SAMPLING)
    assert [result[0].query for result in results] == queries
    assert results[1] == eight


def test_the_first_of_eight_is_the_one_of_one(expander, eight):
    (one,) = expander.expand(["red fox"], 1, prefix="ABST", seed=5, sampling=SAMPLING)[0]
    assert one == eight[0]


def test_spaces_of_a_query_do_not_matter(expander, eight):
    spaced = expander.expand(["  red \n fox "], 8, prefix="ABST", seed=5, sampling=SAMPLING)[0]
    assert spaced == eight


def test_more_queries_than_a_batch_come_back_in_order(expander):
    queries = [f"red fox {number}" for number in range(17)]
    results = expander.expand(queries, 2, sampling=GREEDY)
    assert [{expansion.query for expansion in result} for result in results] == [
        {query} for query in queries
    ]


def test_greedy_says_the_same_n_times(expander):
    (result,) = expander.expand(["red fox"], 8, sampling=GREEDY)
    assert len(result) == 8
    assert len(set(texts(result))) == 1


def test_no_query_gives_no_expansion(expander):
    assert expander.expand([], 3, sampling=SAMPLING) == []


@pytest.mark.slow
def test_texts_hold_no_code_and_no_unknown_piece(expander):
    hot = SamplingConfig(max_tokens=6, temperature=3.0)
    results = [expander.expand(["red fox"], 8, seed=seed, sampling=hot)[0] for seed in range(16)]
    words = {word for result in results for text in texts(result) for word in text.split()}
    assert len(words) > 100
    assert not words & set(PREFIXES)
    assert not any("\N{DOUBLE QUESTION MARK}" in word for word in words)


def test_a_query_draws_by_a_seed_of_its_own():
    seeds = {
        request_seed(*key) for key in ((0, "", "a"), (1, "", "a"), (0, "FLV", "a"), (0, "", "b"))
    }
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


class Script:
    """A writer that lets sample k of every query say script[k], and notes what was asked."""

    def __init__(self, model, script, *, ended=True):
        self.model = model
        self.script = script
        self.ended = ended
        self.asked = []

    def draw(self, requests, sampling, *, ban=None):
        self.asked.append([list(request.numbers) for request in requests])
        return [[self.say(request, k) for k in request.numbers] for request in requests]

    def say(self, request, k):
        text = self.script(request, k) if callable(self.script) else self.script[k]
        ids = self.model.vocabulary.encode(text)
        return Drawn(
            tokens=np.array([*ids, *[EOS_ID] * self.ended], np.int32), logprob=-float(k + 1)
        )


def scripted(model, script, *, ended=True, **options):
    writer = Script(model, script, ended=ended)
    return writer, T5Expander(model, writer=writer, **options)


def test_a_text_that_comes_twice_is_drawn_again(model):
    script = ["a fox", "A  fox", "a boat", "a boat", "a moon", "a hill"]
    writer, expander = scripted(model, script)
    (result,) = expander.expand(["fox"], 3, sampling=SAMPLING)
    assert texts(result) == ["a fox", "a boat", "a moon"]
    assert [expansion.logprob for expansion in result] == [-1.0, -3.0, -5.0]
    assert writer.asked == [[[0, 1, 2]], [[3]], [[4]]]


def test_a_text_that_only_says_the_query_again_is_drawn_again(model):
    writer, expander = scripted(model, ["Red  fox.", "a red fox, ink"])
    (result,) = expander.expand(["red fox"], 1, sampling=SAMPLING)
    assert texts(result) == ["a red fox, ink"]
    assert writer.asked == [[[0]], [[1]]]


def test_an_empty_text_is_drawn_again(model):
    writer, expander = scripted(model, ["", "a fox"])
    (result,) = expander.expand(["fox"], 1, sampling=SAMPLING)
    assert texts(result) == ["a fox"]
    assert writer.asked == [[[0]], [[1]]]


def test_only_queries_that_still_wait_are_drawn_again(model):
    # the long query always says something new, the short one repeats itself at first
    writer, expander = scripted(
        model, lambda asked, k: f"text {k}" if len(asked.inputs) > 4 or k > 1 else "text"
    )
    short, long = expander.expand(["in", "red fox in snow"], 2, sampling=SAMPLING)
    assert (texts(short), texts(long)) == (["text", "text 2"], ["text 0", "text 1"])
    assert writer.asked == [[[0, 1], [0, 1]], [[2]]]


def test_where_there_is_one_thing_to_say_repetitions_fill_up(model):
    writer, expander = scripted(model, lambda asked, k: "a fox")
    (result,) = expander.expand(["fox"], 3, sampling=SAMPLING)
    assert texts(result) == ["a fox"] * 3
    numbers = [k for (asked,) in writer.asked for k in asked]
    assert numbers == list(range(32))  # and no more than that


def test_of_candidates_those_that_differ_are_chosen(model):
    near = [f"a red fox in snow, oil on canvas, gold {word}" for word in ("one", "two", "six")]
    script = [near[0], near[1], "stone castle at dawn", near[2], "paper moon, pixel art"]
    writer, expander = scripted(model, script)
    (result,) = expander.expand(["fox"], 3, sampling=SAMPLING, candidates=5)
    assert writer.asked == [[[0, 1, 2, 3, 4]]]
    assert len(result) == 3
    assert {script[2], script[4]} < set(texts(result))


def test_candidates_are_chosen_by_the_embedding_given(model):
    script = ["a one", "a two", "a six", "a ten"]
    vectors = {"a one": (1, 0), "a two": (1, 0), "a six": (0, 1), "a ten": (1, 0)}

    def embed(found):
        return np.array([vectors[text] for text in found], np.float32)

    _, expander = scripted(model, script)
    (result,) = expander.expand(["fox"], 2, sampling=SAMPLING, candidates=4, embed=embed)
    assert "a six" in texts(result)


def test_as_many_candidates_as_texts_changes_nothing(expander, eight):
    again = expander.expand(["red fox"], 8, prefix="ABST", seed=5, sampling=SAMPLING, candidates=8)
    assert again[0] == eight


@pytest.mark.parametrize("budget", [1, 2, 3, 4, 8, 10, 14, 15])
def test_no_text_exceeds_the_budget_of_its_target(model, budget):
    target = word_target(budget)
    _, expander = scripted(model, [PROMPT], target=target)
    (result,) = expander.expand(["fox"], 1, sampling=GREEDY)
    assert target.count(result[0].text) <= budget
    assert PROMPT.startswith(result[0].text)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (15, PROMPT),
        (14, "a red fox, (oil on canvas, gold), at dawn, in snow"),
        (9, "a red fox, (oil on canvas, gold)"),
        (7, "a red fox"),
    ],
)
def test_a_text_ends_with_the_last_phrase_that_fits(model, budget, expected):
    _, expander = scripted(model, [PROMPT], target=word_target(budget))
    (result,) = expander.expand(["fox"], 1, sampling=GREEDY)
    assert texts(result) == [expected]


@pytest.mark.slow
def test_a_model_keeps_the_budget_of_its_target(model):
    target = word_target(4)
    expander = T5Expander(model, target=target)
    (result,) = expander.expand(["red fox"], 32, sampling=SamplingConfig(max_tokens=40))
    assert max(target.count(text) for text in texts(result)) == 4


def test_only_a_text_without_end_token_is_cut_at_its_last_phrase(model):
    text = "a red fox, oil on canvas"
    for ended, expected in ((True, text), (False, "a red fox")):
        _, expander = scripted(model, [text], ended=ended)
        (result,) = expander.expand(["fox"], 1, sampling=GREEDY)
        assert texts(result) == [expected]
        assert result[0].num_tokens == len(model.vocabulary.encode(text)) + ended


@pytest.mark.slow
def test_a_banned_phrase_is_in_no_text(expander):
    sampling = SamplingConfig(max_tokens=24)
    (plain,) = expander.expand(["red fox"], 32, sampling=sampling)
    words = [word for text in texts(plain) for word in letters_of(text).decode().split()]
    often = max(sorted({w for w in words if w.isascii() and len(w) > 1}), key=words.count)
    assert words.count(often) > 2
    banned = SamplingConfig(max_tokens=24, ban=(often,))
    (result,) = expander.expand(["red fox"], 32, sampling=banned)
    assert len(result) == 32
    assert not any(often in letters_of(text).decode().split() for text in texts(result))


def test_a_ban_without_words_is_refused(expander):
    with pytest.raises(ValueError, match="ban: '!' holds no letter or digit"):
        expander.expand(["red fox"], 1, sampling=SamplingConfig(ban=("!",)))


def joined(pieces, n):
    found = [""] * n
    for k, piece in pieces:
        assert piece
        found[k] += piece
    return found


@pytest.mark.slow
@pytest.mark.parametrize("budget", [None, 5])
def test_pieces_of_a_stream_joined_are_the_texts(model, budget):
    target = None if budget is None else word_target(budget)
    expander = T5Expander(model, target=target)
    sampling = SamplingConfig(max_tokens=40)
    for seed in range(3):
        found = joined(
            expander.stream(" red  fox ", 8, prefix="DTL", seed=seed, sampling=sampling), 8
        )
        request = Request(
            inputs=model.encode("red fox", "DTL"),
            seed=request_seed(seed, "DTL", "red fox"),
            numbers=range(8),
        )
        (drawn,) = expander._writer.draw([request], sampling)
        assert found == [expander._finish(text)[0] for text in drawn]


class StreamedScript(Generator):
    """A generator that writes one text piece by piece."""

    def __init__(self, model, text, *, ended):
        self.ids = [*model.vocabulary.encode(text), *[EOS_ID] * ended]

    def stream(self, request, sampling, *, ban=None, chunk_tokens=4):
        for end in range(1, len(self.ids) + 1):
            yield [Drawn(tokens=np.array(self.ids[:end], np.int32), logprob=-1.0)]

    def draw(self, requests, sampling, *, ban=None):
        text = Drawn(tokens=np.array(self.ids, np.int32), logprob=-1.0)
        return [[text for _ in request.numbers] for request in requests]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("budget", [None, 3, 6, 9, 11])
@pytest.mark.parametrize(
    "text",
    [
        PROMPT,
        "a red fox in a forest at dawn, in snow",
        "(a red fox, in snow",
        "a boat. at sea, 35.5 mm, gold",
        'a "glass city, gold" at night, in snow',
        "fox",
        "",
        "a, b, a long phrase that goes on and on and on and on without an end",
    ],
)
def test_a_stream_ends_as_the_whole_text_wherever_phrases_end(model, text, budget, ended):
    target = None if budget is None else word_target(budget)
    writer = StreamedScript(model, text, ended=ended)
    expander = T5Expander(model, target=target, writer=writer)
    (expected,) = expander.expand(["moon"], 1, sampling=GREEDY)
    assert joined(expander.stream("moon", 1, sampling=GREEDY), 1) == texts(expected)


def test_a_stream_comes_in_whole_phrases(model):
    writer = StreamedScript(model, "a red fox, oil on canvas, in snow", ended=True)
    pieces = list(T5Expander(model, writer=writer).stream("fox", 1, sampling=GREEDY))
    assert pieces == [(0, "a red fox"), (0, ", oil on canvas"), (0, ", in snow")]


def test_a_writer_that_does_not_stream_is_refused(model):
    _, expander = scripted(model, ["a fox"])
    with pytest.raises(ValueError, match="this runtime gives whole texts only"):
        next(expander.stream("fox", 1, sampling=SAMPLING))


def test_beams_are_best_first_and_different(expander):
    beams = BeamConfig(num_beams=4, max_tokens=6)
    result = expander.search_beams("red fox", 4, prefix="ABST", beams=beams)
    assert [expansion.query for expansion in result] == ["red fox"] * 4
    assert count_distinct(texts(result)) >= 2
    assert all(0 > expansion.logprob > -1e6 for expansion in result)
    assert expander.search_beams("red fox", 2, prefix="ABST", beams=beams) == result[:2]


@pytest.mark.parametrize("n", [0, 5])
def test_more_texts_than_beams_are_refused(expander, n):
    with pytest.raises(ValueError, match=rf"n: got {n}, expected 1 to 4, the number of beams"):
        expander.search_beams("red fox", n, beams=BeamConfig(num_beams=4))


def test_a_model_that_is_not_in_memory_needs_a_writer(model):
    bare = ModelInput(
        name=model.name,
        vocabulary=model.vocabulary,
        vocab_size=model.vocab_size,
        settings=model.settings,
    )
    with pytest.raises(TypeError, match="needs a writer of its own"):
        T5Expander(bare)
    expander = T5Expander(bare, writer=Script(bare, ["a fox"]))
    assert texts(expander.expand(["fox"], 1, sampling=SAMPLING)[0]) == ["a fox"]
    with pytest.raises(ValueError, match="beam search runs in the default runtime only"):
        expander.search_beams("fox", 1, beams=BeamConfig())


def test_a_trained_model_says_different_things(eight):
    assert count_distinct(texts(eight)) == 8


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_expansion_is_refused(expander, n):
    with pytest.raises(ValueError, match=rf"n: got {n}, expected 1 or more expansions a query"):
        expander.expand(["red fox"], n, sampling=SAMPLING)
    with pytest.raises(ValueError, match=rf"n: got {n}, expected 1 or more expansions a query"):
        next(expander.stream("red fox", n, sampling=SAMPLING))


def test_fewer_candidates_than_texts_are_refused(expander):
    with pytest.raises(ValueError, match=r"candidates: got 3, expected 4 \(n\) or more"):
        expander.expand(["red fox"], 4, sampling=SAMPLING, candidates=3)


@pytest.mark.parametrize("query", ["", " \n\t"])
def test_an_empty_query_is_refused(expander, query):
    with pytest.raises(ValueError, match="the query is empty; expected a few words"):
        expander.expand(["red fox", query], 1, sampling=SAMPLING)


def test_a_query_longer_than_the_model_reads_is_refused_with_its_length(expander):
    query = "red fox in snow " * 20
    with pytest.raises(ValueError, match=r"has \d+ tokens \(319 characters\).* at most 31; short"):
        expander.expand([query], 1, sampling=SAMPLING)


def test_an_unknown_prefix_is_refused_and_the_known_ones_listed(expander):
    with pytest.raises(ValueError, match=r"unknown prefix 'LOUD'; .*ABST \(abstract query\), DTL"):
        expander.expand(["red fox"], 1, prefix="LOUD", sampling=SAMPLING)

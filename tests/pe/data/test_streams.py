"""Streams: which places each takes, what a state holds, and what it may be given to."""

import itertools
import json
import threading

import numpy as np
import pytest

from pe.data.batching import Buckets, Example, FirstFit
from pe.data.streams import READ_ROWS, BatchIterator, Stream

BATCHERS = {
    "pack": lambda: FirstFit((32, 48), num_rows=3),
    "bucket": lambda: Buckets([(8, 8), (16, 24)], num_rows=3),
    "pad": lambda: Buckets([(16, 24)], num_rows=3),
}


def read(places):
    """Examples of made-up lengths, which depend on the place alone."""
    examples = []
    for place in places:
        sizes = np.random.default_rng(place).integers(1, [17, 25]).tolist()
        inputs, targets = (np.full(size, place + 2, np.int32) for size in sizes)
        features = {"inputs": inputs, "inputs_prefix": np.zeros_like(inputs), "targets": targets}
        examples.append(Example(place, place, features))
    return examples


def make_iterator(batching, numbers=(0,), *, num_streams=1, prefetch_batches=2):
    streams = {
        number: Stream(read, BATCHERS[batching], first=number, step=num_streams)
        for number in numbers
    }
    return BatchIterator(streams, num_streams=num_streams, prefetch_batches=prefetch_batches)


def places_of(batch):
    return sorted(int(row) - 1 for row in batch["rows"].reshape(-1) if row)


def assert_equal(batch, other):
    assert sorted(batch) == sorted(other)
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name])


@pytest.mark.parametrize("batching", list(BATCHERS))
@pytest.mark.parametrize("prefetch_batches", [0, 3])
@pytest.mark.parametrize("num_before", [0, 1, 30])
def test_a_restored_iterator_goes_on_bit_for_bit(batching, prefetch_batches, num_before):
    straight = make_iterator(batching, prefetch_batches=prefetch_batches)
    for _ in range(num_before):
        next(straight)
    state = json.loads(json.dumps(straight.get_state()))
    expected = list(itertools.islice(straight, 40))  # over the end of what was read at once
    fresh = make_iterator(batching, prefetch_batches=prefetch_batches)
    fresh.set_state(state)
    assert fresh.get_state() == state
    for batch, other in zip(itertools.islice(fresh, 40), expected, strict=True):
        assert_equal(batch, other)
    assert fresh.get_state() == straight.get_state()
    assert max(places_of(expected[-1])) > READ_ROWS


@pytest.mark.parametrize("batching", list(BATCHERS))
def test_an_iterator_goes_back_to_its_own_states(batching):
    iterator = make_iterator(batching)
    states, batches = [iterator.get_state()], []
    for _ in range(6):
        batches.append(next(iterator))
        states.append(iterator.get_state())
    for number in (4, 0, 2):
        iterator.set_state(states[number])
        assert_equal(next(iterator), batches[number])


@pytest.mark.parametrize("batching", list(BATCHERS))
def test_no_place_is_left_out_or_taken_twice(batching):
    iterator = make_iterator(batching)
    seen = [place for batch in itertools.islice(iterator, 25) for place in places_of(batch)]
    state = iterator.get_state()["streams"]["0"]
    assert sorted(seen + state["pending"]) == list(range(state["next"]))


def test_a_state_is_the_next_place_and_those_that_wait():
    iterator = make_iterator("pad", (1,), num_streams=3)
    assert places_of(next(iterator)) == [1, 4, 7]
    assert iterator.get_state() == {
        "num_streams": 3,
        "streams": {"1": {"next": 10, "pending": []}},
    }


@pytest.mark.parametrize("batching", ["pack", "pad"])
def test_two_hosts_make_together_what_one_host_makes(batching):
    alone = make_iterator(batching, (0, 1), num_streams=2)
    hosts = [make_iterator(batching, (number,), num_streams=2) for number in (0, 1)]
    for _ in range(12):
        batch, halves = next(alone), [next(host) for host in hosts]
        for name, array in batch.items():
            np.testing.assert_array_equal(array, np.concatenate([half[name] for half in halves]))
        assert [place % 2 for half in halves for place in places_of(half)] == (
            [0] * len(places_of(halves[0])) + [1] * len(places_of(halves[1]))
        )
    states = [host.get_state()["streams"] for host in hosts]
    assert alone.get_state()["streams"] == states[0] | states[1]
    other = make_iterator(batching, (1,), num_streams=2)
    other.set_state(alone.get_state())  # one of two hosts goes on from what one host saved
    assert_equal(next(other), next(hosts[1]))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"next": 0}, "state of the data: got .*expected {num_streams, streams}"),
        ({"streams": 1}, "state of the data: got"),
        ({"num_streams": 4, "streams": {}}, "one of 4 streams, expected 2; set .*num_streams"),
        ({"streams": {}}, "one of None streams, expected 2"),
        (
            {"num_streams": 2, "streams": {"0": {"next": 0, "pending": []}}},
            r"stream 1 is missing, it has \['0'\]; put together the states of all hosts",
        ),
        ({"num_streams": 2, "streams": {"1": {"next": 3}}}, "state of stream 1: got .*pending"),
        ({"num_streams": 2, "streams": {"1": {"next": 4, "pending": []}}}, r"places \(1, 3, "),
        ({"num_streams": 2, "streams": {"1": {"next": -1, "pending": []}}}, "state of stream 1"),
        ({"num_streams": 2, "streams": {"1": {"next": 3, "pending": [5]}}}, "state of stream 1"),
        ({"num_streams": 2, "streams": {"1": {"next": 3, "pending": ["1"]}}}, "state of stream 1"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(state, message):
    iterator, untouched = (make_iterator("pad", (1,), num_streams=2) for _ in range(2))
    for each in (iterator, untouched):
        next(each)
    with pytest.raises(ValueError, match=message):
        iterator.set_state(state)
    assert iterator.get_state() == untouched.get_state()
    assert_equal(next(iterator), next(untouched))


def test_a_state_with_more_waiting_than_a_batch_takes_is_refused():
    waiting = {"next": 9, "pending": list(range(9))}
    with pytest.raises(ValueError, match="9 examples wait, which is a batch of these settings"):
        make_iterator("pad").set_state({"num_streams": 1, "streams": {"0": waiting}})


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for():
    def fail(places):
        if max(places, default=0) >= READ_ROWS:
            raise ValueError("row 64 is broken")
        return read(places)

    stream = Stream(fail, BATCHERS["pad"], first=0, step=1)
    iterator = BatchIterator({0: stream}, num_streams=1, prefetch_batches=2)
    assert sum(1 for _ in itertools.islice(iterator, 21)) == 21  # 63 examples
    with pytest.raises(ValueError, match="row 64 is broken"):
        next(iterator)


def test_the_thread_ends_with_its_iterator():
    before = set(threading.enumerate())
    iterator = make_iterator("pad")
    next(iterator)
    (thread,) = set(threading.enumerate()) - before
    del iterator
    thread.join(timeout=30)
    assert not thread.is_alive()
    closed = make_iterator("pad")
    next(closed)
    closed.close()
    assert set(threading.enumerate()) <= before

"""The cache of answers: kept over a restart, shared, refused when it is none."""

import pytest

from pe.engines.llm import Completion
from pe.engines.llm_cache import LlmCache

ANSWER = Completion(text="ein Füchslein\n", is_whole=False, num_prompt_tokens=9, num_new_tokens=4)


def test_an_answer_is_there_after_a_restart(tmp_path):
    path = tmp_path / "new" / "cache.sqlite"
    with LlmCache(path) as cache:
        cache.put(b"k" * 16, ANSWER)
        cache.spend(3, 40)
    with LlmCache(path) as cache:
        assert cache.get(b"k" * 16) == ANSWER
        assert cache.get(b"l" * 16) is None
        assert cache.read_spent() == (3, 40)


def test_an_answer_that_was_written_survives_a_process_that_never_closes(tmp_path):
    path = tmp_path / "cache.sqlite"
    killed = LlmCache(path)
    killed.put(b"k", ANSWER)
    killed.spend(1, 2)
    killed.write()
    killed.put(b"l", ANSWER)  # not written
    with LlmCache(path) as other:
        assert other.get(b"k") == ANSWER
        assert other.get(b"l") is None
        other.spend(1, 2)
        other.write()
        assert killed.read_spent() == (2, 4)
    killed.close()


def test_a_file_that_is_no_cache_is_told_and_left_as_it_is(tmp_path):
    path = tmp_path / "cache.sqlite"
    path.write_bytes(b"not a database, but long enough to look at" * 50)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is no cache of answers .* move it away and run again"):
        LlmCache(path)
    assert path.read_bytes() == before

"""Embeddings of flavors are made once, kept whole or not at all, and ranked exactly."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe.data.clip_tokenizer import ClipTokenizer, ClipVocabulary, read_clip_vocabulary
from pe.engines import flavor_table
from pe.engines.flavor_table import default_folder, embed_phrases, find_top
from pe.engines.vision import ClipEncoder
from pe.weights.checkpoint import stored
from pe.weights.safetensors_file import write_safetensors

PHRASES = ("red fox", "oil", "golden hour", "wide shot of fog", "oil, dark")


@pytest.fixture
def embed(clip_encoder, tmp_path):
    """Embed into a folder; returns the embeddings and how many phrases were embedded for it."""

    def embed(phrases=PHRASES, encoder=clip_encoder, folder=tmp_path / "kept"):
        heard = [0]
        found = embed_phrases(encoder, phrases, folder=folder, progress=heard.append)
        return found, heard[-1]

    return embed


def test_embeddings_are_the_texts_rounded_to_float16(embed, clip_encoder):
    found, num_made = embed()
    assert num_made == len(PHRASES)
    assert found.dtype == np.float32
    wanted = clip_encoder.encode_texts(PHRASES)
    np.testing.assert_array_equal(found, wanted.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-3)


def test_embeddings_are_made_once(embed, tmp_path):
    first, _ = embed()
    (file,) = (tmp_path / "kept").iterdir()
    written = file.stat().st_mtime_ns
    second, num_made = embed()
    assert num_made == 0
    np.testing.assert_array_equal(first, second)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()] == [written]


@pytest.mark.parametrize(
    "phrases", [PHRASES[::-1], PHRASES[:-1], (*PHRASES[:-1], "oil", "dark"), (*PHRASES, "")]
)
def test_another_list_has_another_file(embed, tmp_path, phrases):
    embed()
    found, num_made = embed(phrases)
    assert num_made == len(phrases) == len(found)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_other_weights_have_another_file(embed, make_encoder):
    one, _ = embed()
    other, num_made = embed(encoder=make_encoder(seed=1))
    assert num_made == len(PHRASES)
    assert not np.allclose(one, other, atol=0.1)


def test_another_vocabulary_has_another_file(embed, make_checkpoint, clip_vocabulary):
    embed()
    given = read_clip_vocabulary(clip_vocabulary)
    tokenizer = ClipTokenizer(ClipVocabulary(given.ids, given.merges[:-1], given.path))
    assert embed(encoder=ClipEncoder(make_checkpoint(), tokenizer))[1] == len(PHRASES)


def test_a_write_that_is_cut_off_leaves_nothing_that_is_taken(embed, tmp_path, monkeypatch):
    wanted, _ = embed(folder=tmp_path / "other")

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            embed()
    assert not list((tmp_path / "kept").glob("phrases-*"))
    found, num_made = embed()
    assert num_made == len(PHRASES)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("damage", ["cut", "other name", "other shape", "other type"])
def test_a_damaged_file_is_made_anew(embed, tmp_path, damage):
    wanted, _ = embed()
    (file,) = (tmp_path / "kept").iterdir()
    values = wanted.astype(np.float16)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif damage == "other name":
        write_safetensors(file, {"other": stored(values)})
    elif damage == "other shape":
        write_safetensors(file, {"embeddings": stored(values[1:])})
    else:
        write_safetensors(file, {"embeddings": stored(wanted)})
    found, num_made = embed()
    assert num_made == len(PHRASES)
    np.testing.assert_array_equal(found, wanted)
    assert embed()[1] == 0
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [file.name]


def test_two_runs_that_embed_one_list_write_under_names_of_their_own(embed, monkeypatch, tmp_path):
    written = []
    write = flavor_table.write_safetensors

    def remember(path, arrays):
        written.append(path.name)
        write(path, arrays)

    monkeypatch.setattr(flavor_table, "write_safetensors", remember)
    embed()
    (file,) = (tmp_path / "kept").iterdir()
    assert written == [f".tmp-{os.getpid()}-{file.name}"]


def test_an_error_of_the_one_who_listens_is_no_error_of_the_folder(clip_encoder, tmp_path):
    def listen(num_done):
        raise BrokenPipeError("nobody there")

    with pytest.raises(BrokenPipeError):
        embed_phrases(clip_encoder, PHRASES, folder=tmp_path, progress=listen)


def test_a_folder_that_cannot_be_made_is_told_of_before_anything_is_embedded(embed, tmp_path):
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(ValueError, match=r"file.*set PE_CACHE to a folder"):
            embed(folder=folder)


def test_where_embeddings_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("PE_CACHE", str(tmp_path / "own"))
    assert default_folder() == tmp_path / "own"
    monkeypatch.delenv("PE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "prompt-expansion"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == Path(tmp_path / ".cache" / "prompt-expansion")


def test_the_example_of_find_top():
    labels = np.array([[0, 1], [0.6, 0.8], [1, 0]], np.float32)
    ids, cosines = find_top(np.array([[1, 0]], np.float32), labels, 2)
    assert ids.tolist() == [[2, 1]]
    np.testing.assert_array_equal(cosines, np.array([[1, 0.6]], np.float32))


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 70),
    st.integers(1, 80),
    st.sampled_from([1, 7, 16, 1000]),
    st.sampled_from([0, 1, 4]),
)
def test_the_nearest_are_those_of_a_stable_sort(seed, num_labels, count, block_labels, num_values):
    rng = np.random.default_rng(seed)
    queries, labels = rng.normal(size=(3, 5)), rng.normal(size=(num_labels, 5))
    if num_values:  # many equal cosines, exact in float32
        queries = np.eye(3, 5)
        labels = rng.integers(0, num_values, (num_labels, 5)) / 4
    queries, labels = queries.astype(np.float32), labels.astype(np.float32)
    ids, cosines = find_top(queries, labels, count, block_labels=block_labels)
    blocks = [labels[i : i + block_labels] for i in range(0, num_labels, block_labels)]
    every = np.concatenate([queries @ block.T for block in blocks], axis=1)
    wanted = np.argsort(-every, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(ids, wanted)
    np.testing.assert_array_equal(cosines, np.take_along_axis(every, wanted, axis=1))


def test_no_query_and_no_label_find_nothing():
    some, none = np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32)
    assert find_top(none, some, 2)[0].shape == (0, 2)
    assert find_top(some, none, 2)[0].shape == (2, 0)


@pytest.mark.slow
def test_another_type_to_compute_in_has_another_file(embed, make_encoder, make_checkpoint):
    encoder = make_encoder(dtype="bfloat16")
    assert dataclasses.asdict(encoder.config)["dtype"] == "bfloat16"
    embed()
    assert embed(encoder=encoder)[1] == len(PHRASES)

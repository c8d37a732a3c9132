"""Pictures with texts on disk, and batches whose place is a number."""

import dataclasses
import json

import numpy as np
import pytest

from pe.data.clip_tokenizer import ClipTokenizer
from pe.data.clip_vocabulary import train_clip_vocabulary
from pe.data.image_text import (
    INDEX_FILE,
    ImageTextBatches,
    ImageTextConfig,
    ImageTextRow,
    ImageTextSource,
    block_paths,
    cut_box,
    write_block,
)

NUM, BLOCK = 25, 10


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    index = {"size_px": 4, "num_rows": NUM, "block_rows": BLOCK, "settings": {}}
    (tmp_path / INDEX_FILE).write_text(json.dumps(index), encoding="utf-8")
    for number in range(3):
        size = min(BLOCK, NUM - number * BLOCK)
        rows = [
            ImageTextRow(caption=f"fox {i}", texts=(f"a fox {i}", f"foxes, {i}"), score=i / 2)
            for i in range(number * BLOCK, number * BLOCK + size)
        ]
        pixels = rng.integers(0, 256, (size, 4, 4, 3), dtype=np.uint8)
        write_block(tmp_path, number, pixels, rows)
    return tmp_path


def make_batches(folder, **settings):
    source = ImageTextSource(folder)
    tokenizer = ClipTokenizer(train_clip_vocabulary(source.all_texts(), 518))
    config = {"batch_rows": 4, "num_held_out": 5, "flip_frac": 0.0, **settings}
    return ImageTextBatches(source, tokenizer, ImageTextConfig(**config), context_tokens=12, seed=1)


def test_rows_come_back_as_they_were_written(folder):
    source = ImageTextSource(folder)
    assert len(source) == NUM
    assert source.rows[13] == ImageTextRow(
        caption="fox 13", texts=("a fox 13", "foxes, 13"), score=6.5
    )
    second = np.load(block_paths(folder, 1)[0])
    assert np.array_equal(source.pixels(np.asarray([13, 10])), second[[3, 0]])
    assert source.all_texts()[:3] == ["fox 0", "a fox 0", "foxes, 0"]


def test_a_folder_that_is_not_complete_is_refused(folder, tmp_path_factory):
    block_paths(folder, 1)[1].unlink()
    with pytest.raises(ValueError, match=r"00001\.jsonl is missing, 10 of 25 pictures are there"):
        ImageTextSource(folder)
    with pytest.raises(ValueError, match=r"holds no image_text\.json; expected a folder of pe le"):
        ImageTextSource(tmp_path_factory.mktemp("empty"))


def test_an_epoch_has_every_picture_once_and_none_that_is_held_out(folder):
    batches = make_batches(folder)
    epochs = [[n for _ in range(5) for n in next(batches)["numbers"].tolist()] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]


def test_a_row_is_of_one_picture(folder):
    batches = make_batches(folder)
    batch = next(batches)
    tokenizer, source = batches.tokenizer, batches.source
    assert np.array_equal(batch["pixels"], source.pixels(batch["numbers"]))
    for i, number in enumerate(batch["numbers"].tolist()):
        row = source.rows[number]
        given = [tokenizer.tokenize([text], 12)[0].tolist() for text in row.texts]
        assert batch["texts"][i].tolist() in given
        assert np.array_equal(batch["captions"][i], tokenizer.tokenize([row.caption], 24)[0])
        assert batch["scores"][i] == np.float32(row.score)


def test_pictures_are_mirrored_left_to_right(folder):
    batch = next(make_batches(folder, flip_frac=1.0))
    given = ImageTextSource(folder).pixels(batch["numbers"])
    assert np.array_equal(batch["pixels"], given[:, :, ::-1])


def test_a_place_is_enough_to_go_on(folder):
    batches = make_batches(folder, flip_frac=0.5)
    seen = [next(batches) for _ in range(9)]
    later = make_batches(folder, flip_frac=0.5)
    later.set_state({"number": 7})
    assert batches.get_state() == {"number": 9}
    for old in seen[7:]:
        new = next(later)
        assert all(np.array_equal(old[name], new[name]) for name in old)


def test_training_may_begin_with_the_first_pictures(folder):
    settings = {"first_frac": 0.25, "grow_batches": 8, "num_held_out": 5}
    batches = make_batches(folder, **settings)
    assert [batches.num_let_in(k) for k in (0, 4, 8, 99)] == [5, 12, 20, 20]
    drawn = [next(batches)["numbers"].tolist() for _ in range(13)]
    assert all(max(numbers) < batches.num_let_in(k) for k, numbers in enumerate(drawn))
    assert all(len(set(numbers)) == 4 for numbers in drawn)
    assert sorted(n for numbers in drawn[8:] for n in numbers) == list(range(20))
    later = make_batches(folder, **settings)
    later.set_state({"number": 5})
    assert [next(later)["numbers"].tolist() for _ in range(8)] == drawn[5:]


def test_what_gives_no_batch_is_refused(folder):
    with pytest.raises(ValueError, match=r"holds 25 pictures, 5 of them held out; expected 64"):
        make_batches(folder, batch_rows=64)
    for wrong in (
        {"batch_rows": 1}, {"num_held_out": 0}, {"flip_frac": 1.5}, {"first_frac": 0.0},
        {"grow_batches": -1},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"ImageTextConfig.{next(iter(wrong))}: got"):
            dataclasses.replace(ImageTextConfig(), **wrong)


def test_a_box_is_cut_out_and_enlarged():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 64, 3))
    for seed in range(20):
        cut = cut_box(ramp, 0.5, np.random.default_rng(seed)).astype(int)
        assert cut.shape == (64, 64, 3)
        span = cut[0, -1, 0] - cut[0, 0, 0]
        assert 0.45 * 252 < span <= 252
        assert np.all(np.diff(cut[0, :, 0]) >= 0)
        assert np.array_equal(cut[0], cut[-1])
    assert np.array_equal(cut_box(ramp, 1.0, np.random.default_rng(0)), ramp)


def test_boxes_are_drawn_by_the_batch_s_number(folder):
    whole, cut, again = (next(make_batches(folder, least_side=s)) for s in (1.0, 0.5, 0.5))
    assert np.array_equal(cut["pixels"], again["pixels"])
    assert not np.array_equal(cut["pixels"], whole["pixels"])
    assert np.array_equal(cut["numbers"], whole["numbers"])
    with pytest.raises(ValueError, match=r"least_side: got 0.0, expected more than 0, at most 1"):
        ImageTextConfig(least_side=0.0)

"""metrics.jsonl: one line each time, and lines past the restored step taken back."""

import json

import pytest

from pe.train.metrics import MetricWriter, read_metrics


def write(folder, lines, *, start_step=0):
    writer = MetricWriter(folder, start_step=start_step)
    for step, metrics in lines:
        writer.write(step, metrics)
    writer.close()


def test_every_write_is_one_line_and_one_event(tmp_path):
    write(tmp_path, [(1, {"nll": 2.5}), (2, {"nll": 2.25, "validation/x": 1.0})])
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert lines == ['{"step": 1, "nll": 2.5}', '{"step": 2, "nll": 2.25, "validation/x": 1.0}']
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    writer = MetricWriter(tmp_path, start_step=0)
    writer.write(1, {"nll": 2.5})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1, "nll": 2.5}]
    writer.close()


def test_lines_after_the_restored_step_are_taken_back(tmp_path):
    write(tmp_path, [(step, {"nll": float(step)}) for step in (1, 2, 3, 4)])
    write(tmp_path, [(3, {"nll": 30.0})], start_step=2)
    assert read_metrics(tmp_path / "metrics.jsonl") == [
        {"step": 1, "nll": 1.0},
        {"step": 2, "nll": 2.0},
        {"step": 3, "nll": 30.0},
    ]


def test_a_line_torn_by_a_kill_is_left_out_and_cleared_away(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "nll": 2.5}\n{"step": 2, "nl')
    assert read_metrics(path) == [{"step": 1, "nll": 2.5}]
    write(tmp_path, [(2, {"nll": 2.0})], start_step=1)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_number_comes_back_bit_for_bit(tmp_path):
    value = 0.1 + 0.2
    write(tmp_path, [(1, {"nll": value})])
    assert read_metrics(tmp_path / "metrics.jsonl")[0]["nll"] == value


def test_a_run_without_metrics_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_metrics(tmp_path / "metrics.jsonl")

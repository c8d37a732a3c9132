"""What a person sees of a build and of a training run."""

import pytest

from pe.console import StageProgress, describe_step, format_secs


def test_a_line_of_training_says_loss_speed_padding_and_utilisation():
    metrics = {"nll": 2.5, "tokens_per_sec": 81_000.0, "padding_frac": 0.06}
    assert describe_step(metrics) == "loss 2.500  81,000 tokens/s  padding 6%"
    metrics["flops_utilisation"] = 0.43
    assert describe_step(metrics) == "loss 2.500  81,000 tokens/s  padding 6%  utilisation 43%"


def test_durations_read_as_a_person_reads_them():
    assert [format_secs(secs) for secs in (5.0, 75.0, 4000.0)] == ["0:05", "1:15", "1:06:40"]


def test_stage_progress_says_rows_rate_and_time_left(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    said = []
    monkeypatch.setattr("pe.console.time.monotonic", lambda: now[0])
    monkeypatch.setattr("pe.console.say", said.append)
    progress = StageProgress()
    for secs, rows in ((100.0, 500), (111.0, 555), (122.0, 610)):
        now[0] = secs
        progress("invert", rows, 1000)
    assert said == [
        "invert: 555/1000 rows, 5.00 rows/s, 1:29 left",
        "invert: 610/1000 rows, 5.00 rows/s, 1:18 left",
    ]

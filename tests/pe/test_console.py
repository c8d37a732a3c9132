"""What a person sees of a training run."""

from pe.console import describe_step, format_secs


def test_a_line_of_training_says_loss_speed_padding_and_utilisation():
    metrics = {"nll": 2.5, "tokens_per_sec": 81_000.0, "padding_frac": 0.06}
    assert describe_step(metrics) == "loss 2.500  81,000 tokens/s  padding 6%"
    metrics["flops_utilisation"] = 0.43
    assert describe_step(metrics) == "loss 2.500  81,000 tokens/s  padding 6%  utilisation 43%"


def test_durations_read_as_a_person_reads_them():
    assert [format_secs(secs) for secs in (5.0, 75.0, 4000.0)] == ["0:05", "1:15", "1:06:40"]

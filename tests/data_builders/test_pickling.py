"""Stages travel to other machines before they are opened."""

import dataclasses

import pytest

from data_builders.image_ingest import ImageLoader
from data_builders.image_reader import ImageReader
from data_builders.main import BuildConfig, make_plan
from pe.data.image_file import ImageLimits
from pe.engines.inverter import InverterConfig


def test_every_stage_of_a_build_can_be_sent(clip_folder, pictures, tmp_path):
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="the extra [ray] is missing")
    table = tmp_path / "prompts.txt"
    table.write_text("a red fox in the snow\n", encoding="utf-8")
    config = BuildConfig()
    inverter = InverterConfig(encoder=str(clip_folder))
    for source, settings in (
        (table, config),
        (pictures, dataclasses.replace(config, inverter=inverter)),
    ):
        _, stages = make_plan(source, tmp_path / "out", settings, print)
        for stage in stages:
            sent = cloudpickle.loads(cloudpickle.dumps(stage))
            assert sent.config == stage.config


def test_a_reader_that_was_sent_reads(tmp_path):
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="the extra [ray] is missing")
    loader = cloudpickle.loads(cloudpickle.dumps(ImageLoader(ImageReader(tmp_path), ImageLimits())))
    (tmp_path / "a.png").write_bytes(b"one")
    row = {"reason": None, "index": -1, "file": "a.png", "offset": -1, "num_bytes": 3, "id": "a"}
    assert loader.reader.read(row) == b"one"

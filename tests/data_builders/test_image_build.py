"""A build from pictures, whole: sources, filter, inversion, queries, pairs."""

import dataclasses
import io
import json
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_builders.image_filter import ImageFilterConfig
from data_builders.image_plan import make_image_stages
from data_builders.main import BuildConfig, build, find_row
from data_builders.sources import SourceConfig
from pe import shards
from pe.engines.aesthetics import AestheticConfig
from pe.engines.interrogator import InterrogatorConfig
from pe.engines.inverter import InverterConfig
from pe.stages.local_runner import RunnerConfig

MODE = InterrogatorConfig(mode="best", num_candidates=16, min_flavors=2, max_flavors=3)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PE_CACHE", str(tmp_path_factory.getbasetemp() / "pe_cache"))


@pytest.fixture
def config(clip_folder, tmp_path):
    flavors = tmp_path / "flavors.txt"
    lines = ["oil painting\t9\tmedium", "cubism\t8\tmovement", "soft light\t7\tlight"]
    lines += [f"style {i}\t1\tflavor" for i in range(20)]
    flavors.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return BuildConfig(
        runner=RunnerConfig(shard_rows=4, batch_rows=2),
        inverter=InverterConfig(encoder=str(clip_folder), flavors=str(flavors), interrogator=MODE),
    )


def stage(stats, name):
    return next(part for part in stats["stages"] if part["name"] == name)


def read_texts(out: Path) -> list[tuple[str, ...]]:
    table = shards.read_shards(out / "pairs")
    names = ["id", "query", "prefix", "prompt", "split"]
    return sorted(tuple(row[name] for name in names) for row in table.to_pylist())


def test_pictures_become_pairs(pictures, config, tmp_path):
    out = tmp_path / "out"
    stats = build(pictures, out, config)
    for part in stats["stages"]:
        assert part["kept"] + part["dropped"] == part["in"]
    assert [part["name"] for part in stats["stages"]] == [
        "images", "filter", "invert", "screen", "duplicates", "queries", "pair", "screen_pair",
    ]  # fmt: skip
    assert stage(stats, "invert")["out"] == 12
    rows = shards.read_shards(out / "pairs").to_pylist()
    assert all(row["prompt"].startswith("a red fox number ") for row in rows)
    assert {"a red fox number 10", "red fox number 10"} & {row["query"] for row in rows}
    (way,) = find_row(out, rows[0]["id"])
    assert way["image"]["uri"].endswith(".png")
    assert (way["image"]["width"], way["image"]["height"]) == (96, 72)
    assert way["inversion"]["method"] == "clip/best"
    assert way["inversion"]["flavors"]
    assert rows[0]["parents"][2] == way["image"]["id"]


def test_unreadable_files_are_dropped_with_their_reasons_and_change_nothing_else(
    pictures, config, tmp_path
):
    build(pictures, tmp_path / "clean", config)
    picture = (pictures / "00.png").read_bytes()
    (pictures / "a_empty.jpg").write_bytes(b"")
    (pictures / "b_text.jpg").write_bytes(b"no picture, but words")
    (pictures / "c_torn.png").write_bytes(picture[: len(picture) // 2])
    (pictures / "d_odd.jpg").write_bytes((pictures / "01.png").read_bytes())  # a PNG all the same
    stats = build(pictures, tmp_path / "dirty", config)
    assert stage(stats, "images")["reasons"] == {"empty": 1, "no_image": 1, "truncated": 1}
    assert stage(stats, "invert")["reasons"] == {"no_caption": 1}
    assert read_texts(tmp_path / "dirty") == read_texts(tmp_path / "clean")


@pytest.mark.slow
def test_tars_and_parquet_give_the_pairs_of_the_folder(pictures, config, tmp_path):
    build(pictures, tmp_path / "folder_out", config)
    text = (pictures / "captions.jsonl").read_text(encoding="utf-8")
    captions = [json.loads(line) for line in text.splitlines()]
    tars, rows = tmp_path / "tars", []
    tars.mkdir()
    with tarfile.open(tars / "00000.tar", "w") as tar:
        for line in captions:
            data = (pictures / line["file"]).read_bytes()
            stem = line["file"].removesuffix(".png")
            for name, content in ((f"{stem}.png", data),
                                  (f"{stem}.txt", line["captions"][0].encode())):  # fmt: skip
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            rows.append({"image": {"bytes": data, "path": None}, "caption": line["captions"][0]})
    table = tmp_path / "table.parquet"
    pq.write_table(pa.Table.from_pylist(rows), table)
    build(tars, tmp_path / "tar_out", config)
    build(table, tmp_path / "table_out", config)
    texts = [row[1:] for row in read_texts(tmp_path / "folder_out")]
    assert [row[1:] for row in read_texts(tmp_path / "tar_out")] == texts
    assert [row[1:] for row in read_texts(tmp_path / "table_out")] == texts


def test_a_killed_build_goes_on_and_ends_with_the_same_shards(pictures, config, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    build(pictures, straight, config)

    def stop(name, num_rows, *rest):
        if (name, num_rows) == ("invert", 6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(pictures, killed, config, progress=stop)
    assert list(killed.glob("stages/invert-*/part-00000.parquet"))
    build(pictures, killed, config)
    for path in straight.glob("stages/*/*.parquet"):
        assert pq.read_table(killed / path.relative_to(straight)).equals(pq.read_table(path))
    assert read_texts(killed) == read_texts(straight)


@pytest.mark.slow
def test_scores_are_kept_filtered_and_give_the_prefix_of_high_aesthetics(
    pictures, config, head_file, clip_folder, tmp_path
):
    rating = AestheticConfig(weights=str(head_file), encoder=str(clip_folder))
    rated = dataclasses.replace(config, aesthetics=rating)
    stats = build(pictures, tmp_path / "rated", rated)
    assert stage(stats, "filter")["dropped"] == 0
    table = shards.read_shards(tmp_path / "rated" / "stages" / stats["stage_folders"][1])
    scores = sorted(
        image["aesthetic"] for images in table["children"].to_pylist() for image in images
    )
    assert len(set(scores)) == 12
    prefixes = shards.read_shards(tmp_path / "rated" / "pairs")["prefix"].to_pylist()
    assert "HAST" in prefixes
    keep = ImageFilterConfig(min_aesthetic=scores[4])
    stats = build(pictures, tmp_path / "kept", dataclasses.replace(rated, filter=keep))
    assert stage(stats, "filter")["reasons"] == {"low_aesthetic": 4}
    assert stage(stats, "invert")["in"] == 8


def test_a_threshold_without_scores_is_refused(pictures, config, tmp_path):
    keep = dataclasses.replace(config, filter=ImageFilterConfig(min_aesthetic=5.0))
    with pytest.raises(
        ValueError, match=r"nothing rates the pictures; set AestheticConfig\.weights"
    ):
        build(pictures, tmp_path / "out", keep)


def test_a_build_without_an_encoder_says_which_flag_names_one(pictures, tmp_path):
    with pytest.raises(ValueError, match="--encoder openai/clip-vit-large-patch14"):
        build(pictures, tmp_path / "out", BuildConfig())


def test_an_encoder_over_a_table_of_prompts_is_refused(config, tmp_path):
    table = tmp_path / "prompts.txt"
    table.write_text("a red fox in deep snow, oil painting\n", encoding="utf-8")
    with pytest.raises(ValueError, match="table of prompts, which no encoder looks at"):
        build(table, tmp_path / "out", config)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"inverter": InverterConfig(artists=True)}, r"InverterConfig\.artists"),
        (
            {"inverter": InverterConfig(interrogator=InterrogatorConfig(mode="fast"))},
            r"InterrogatorConfig\.mode",
        ),
        (
            {
                "inverter": InverterConfig(flavors="f.txt", captioner="coca"),
                "aesthetics": AestheticConfig(dtype="bfloat16"),
                "filter": ImageFilterConfig(min_aesthetic=5.0),
            },
            r"InverterConfig\.captioner, InverterConfig\.flavors, AestheticConfig\.dtype, "
            r"ImageFilterConfig\.min_aesthetic",
        ),
    ],
)
def test_settings_that_a_table_of_prompts_has_no_use_for_are_refused(tmp_path, settings, names):
    table = tmp_path / "prompts.txt"
    table.write_text("a red fox in deep snow, oil painting\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"leave out {names} \(as flags, too\)"):
        build(table, tmp_path / "out", BuildConfig(**settings))


def test_columns_of_a_table_are_refused_over_pictures(pictures, config, tmp_path):
    columns = dataclasses.replace(config, source=SourceConfig(query_column="q"))
    with pytest.raises(ValueError, match=r"leave out SourceConfig\.query_column"):
        build(pictures, tmp_path / "out", columns)


def test_the_negative_mode_makes_no_dataset(pictures, config, tmp_path):
    mode = InterrogatorConfig(mode="negative")
    inverter = dataclasses.replace(config.inverter, interrogator=mode)
    with pytest.raises(ValueError, match="'negative', which finds what is not in a picture"):
        build(pictures, tmp_path / "out", dataclasses.replace(config, inverter=inverter))


@pytest.mark.parametrize("out", [".", "out", "a/b/../out"])
def test_an_out_inside_the_pictures_is_refused(pictures, config, out):
    with pytest.raises(ValueError, match="is inside the source"):
        build(pictures, pictures / out, config)
    assert len(list(pictures.iterdir())) == 13


def test_a_source_that_is_not_there_is_told_of(config, tmp_path):
    for name in ("lost", "lost.tar", "lost.jpg", "lost.csv"):
        with pytest.raises(FileNotFoundError, match=f"there is nothing at .*{name}: expected"):
            build(tmp_path / name, tmp_path / "out", config)


def test_a_captioner_that_cannot_write_is_refused_before_anything_is_done(
    pictures, config, clip_folder, tmp_path
):
    inverter = dataclasses.replace(config.inverter, captioner=str(clip_folder))
    with pytest.raises(ValueError, match="is a CLIP, which writes no captions; name a CoCa"):
        build(pictures, tmp_path / "out", dataclasses.replace(config, inverter=inverter))
    assert not (tmp_path / "out").exists()


def test_the_vocabulary_is_no_part_of_what_scores_depend_on(pictures, config):
    stages = [
        make_image_stages(
            pictures,
            limits=config.limits,
            aesthetics=AestheticConfig(vocabulary=vocabulary),
            keep=config.filter,
            inverter=config.inverter,
            say=lambda text: None,
        )[0]
        for vocabulary in ("", "elsewhere")
    ]
    assert stages[0].config == stages[1].config


def test_a_vocabulary_of_another_model_ends_the_build_and_drops_nothing(
    pictures, config, clip_folder, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(clip_folder, other)
    ids = json.loads((other / "vocab.json").read_text(encoding="utf-8"))
    ids["one</w>"] = len(ids)
    (other / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    inverter = dataclasses.replace(config.inverter, encoder=str(other))
    with pytest.raises(ValueError, match="514 token embeddings, its vocabulary 515"):
        build(pictures, tmp_path / "out", dataclasses.replace(config, inverter=inverter))
    assert not list(tmp_path.glob("out/stages/invert-*/*.parquet"))


@pytest.mark.slow
def test_another_model_under_the_same_name_is_another_build(
    pictures, config, clip_folder, tmp_path
):
    moved = tmp_path / "moved"
    shutil.copytree(clip_folder, moved)
    inverter = dataclasses.replace(config.inverter, encoder=str(moved))
    out = tmp_path / "out"
    build(pictures, out, dataclasses.replace(config, inverter=inverter))
    data = bytearray((moved / "open_clip_model.safetensors").read_bytes())
    data[-1] ^= 1
    (moved / "open_clip_model.safetensors").write_bytes(bytes(data))
    with pytest.raises(ValueError, match="another source or other settings"):
        build(pictures, out, dataclasses.replace(config, inverter=inverter))

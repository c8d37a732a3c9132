"""What stands beside images is read for what it says, and said to be broken where it is."""

from pathlib import Path

from data_builders.sidecar import (
    Said,
    choose_caption,
    merge,
    read_fields,
    read_file_sidecar,
    read_folder_sidecars,
)


def read_list(folder: Path, **files: bytes):
    """Write name_suffix=bytes as name.suffix and read the folder's lists."""
    names = [name.replace("_", ".") for name in files]
    for name, data in zip(names, files.values(), strict=True):
        (folder / name).write_bytes(data)
    found = read_folder_sidecars(folder, names)
    return found.entries, found.broken


def test_read_fields_gives_the_rows_of_its_docstring():
    for record, expected in [
        ({"caption": " a fox ", "license": "CC0"}, Said(("a fox",), licence="CC0")),
        ({"captions": ["a fox", ""], "prompt": "fox"}, Said(("a fox",), prompt="fox")),
        ({"status": "failed_to_download"}, Said(failure="failed_to_download")),
        ({"caption": 7}, "broken_sidecar"),
        ({"text": b"caf\xe9"}, "bad_encoding"),
    ]:
        assert read_fields(record) == expected


def test_read_fields_knows_the_names_in_any_case_and_adds_captions_up():
    record = {"Text": "b", "Caption": "a", "captions": ["c", "a"], "Licence": 4, "source": "web"}
    assert read_fields(record) == Said(("a", "c", "b"), None, "web", "4")
    assert read_fields({"caption": ["a", "b"], "status": "success"}) == Said(("a", "b"))
    assert read_fields({"caption": None, "width": 7}) == Said()
    assert read_fields({"captions": ["a", {}]}) == "broken_sidecar"
    assert read_fields({"prompt": "\ud800"}) == "bad_encoding"


def test_read_file_sidecar_gives_the_rows_of_its_docstring():
    for suffix, data, expected in [
        (".txt", b"a red fox\n", Said(("a red fox",))),
        (".txt", b"caf\xe9", "bad_encoding"),
        (".json", b'{"prompt": "fox"}', Said(prompt="fox")),
        (".json", b"[1, 2]", "broken_sidecar"),
        (".txt", b"\xef\xbb\xbfa fox\r\nin snow\r\n", Said(("a fox\r\nin snow",))),
        (".txt", b"  \n", Said()),
        (".txt", b"a" * 1_048_577, "broken_sidecar"),
        (".txt", "a fox".encode("utf-16"), "bad_encoding"),
        (".json", b"", "broken_sidecar"),
        (".json", b'{"caption": ', "broken_sidecar"),
    ]:
        assert read_file_sidecar(suffix, data) == expected


def test_read_folder_sidecars_gives_the_rows_of_its_docstring(tmp_path):
    lines = (
        b'{"file": "a.jpg", "caption": "a fox"}\n'
        b'{"file": "./b.jpg", "captions": ["a", "b"]}\n'
        b'{"file": "a.jpg", "caption": "a cat"}\n'
        b'{"caption": "a dog"}\n'
    )
    entries, broken = read_list(tmp_path, captions_jsonl=lines)
    assert entries == {"a.jpg": Said(("a fox", "a cat")), "b.jpg": Said(("a", "b"))}
    assert broken == [("captions.jsonl", 4, "broken_sidecar")]


def test_a_broken_line_costs_that_line_only(tmp_path):
    lines = (
        b'{"file": "a.jpg", "caption": "a"}\n\n{"file": \n[1]\n'
        b'{"file": "b.jpg", "caption": "caf\xe9"}\n{"file": "c.jpg", "caption": 7}\n'
        b'{"file": "\\ud800.jpg"}\n{"file": "d.jpg", "prompt": "d"}'
    )
    entries, broken = read_list(tmp_path, captions_jsonl=lines)
    assert entries == {"a.jpg": Said(("a",)), "d.jpg": Said(prompt="d")}
    assert broken == [
        ("captions.jsonl", 3, "broken_sidecar"),
        ("captions.jsonl", 4, "broken_sidecar"),
        ("captions.jsonl", 5, "bad_encoding"),
        ("captions.jsonl", 6, "broken_sidecar"),
        ("captions.jsonl", 7, "broken_sidecar"),
    ]


def test_a_table_of_captions_may_name_a_file_on_several_lines(tmp_path):
    table = b'file_name,Text,licence\na.jpg,"a fox, asleep",CC0\na.jpg,a cat,\n\nb.jpg\n,c,\n'
    entries, broken = read_list(tmp_path, metadata_csv=table)
    assert entries == {"a.jpg": Said(("a fox, asleep", "a cat"), licence="CC0")}
    assert broken == [
        ("metadata.csv", 5, "broken_sidecar"),
        ("metadata.csv", 6, "broken_sidecar"),
    ]


def test_a_table_that_names_no_files_is_one_broken_line(tmp_path):
    assert read_list(tmp_path, metadata_csv=b"id,caption\n1,a\n2,b\n") == (
        {},
        [("metadata.csv", 1, "broken_sidecar")],
    )
    assert read_list(tmp_path, metadata_csv=b"") == ({}, [])


def test_lists_of_one_folder_add_up_in_a_fixed_order(tmp_path):
    entries, _ = read_list(
        tmp_path,
        metadata_csv=b"image,caption\na.jpg,third\n",
        metadata_jsonl=b'{"filename": "a.jpg", "caption": "second", "prompt": "p"}\n',
        captions_jsonl=b'{"path": "a.jpg", "caption": "first"}\n',
    )
    assert entries == {"a.jpg": Said(("first", "second", "third"), "p")}


def test_merge_and_choose_caption_give_the_rows_of_their_docstrings():
    assert merge(Said(("a",)), Said(("b",), "p")) == Said(("a",), "p")
    captions = ("a fox", "a red fox", "the red fox")
    assert choose_caption(captions, "first") == "a fox"
    assert choose_caption(captions, "longest") == "the red fox"
    assert choose_caption(("ab", "cd"), "longest") == "ab"
    assert choose_caption((), "longest") is None

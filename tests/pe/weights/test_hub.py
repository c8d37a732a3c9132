"""Names and paths of models: a made-up cache, a made-up hub, and no network."""

import os
import subprocess
import sys
import types
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from pe.weights.hub import find_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache folder of huggingface_hub, empty, with nothing else to be had."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def fill(cache, name="org/small", *, revision="main", commit=COMMIT, files=("config.json",)):
    """Lay a repository out as huggingface_hub does: blobs, links to them, and refs."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    for part in (folder / "blobs", folder / "refs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    (folder / "refs" / revision).write_text(commit)
    for i, file in enumerate(files):
        (folder / "blobs" / f"{i:064x}").write_bytes(b"{}")
        (snapshot / file).symlink_to(Path("../../blobs") / f"{i:064x}")
    return snapshot


@pytest.fixture
def online(tmp_path, monkeypatch):
    """A hub that answers what the test sets: files of a repository, or an error."""
    hub = types.SimpleNamespace(files=["config.json", "model.safetensors"], error=None, asked=[])

    class Api:
        def model_info(self, repo, *, revision):
            hub.asked.append((repo, revision))
            if hub.error is not None:
                raise hub.error
            siblings = [types.SimpleNamespace(rfilename=name) for name in hub.files]
            return types.SimpleNamespace(sha=COMMIT, siblings=siblings)

    def snapshot_download(repo, *, revision, allow_patterns):
        hub.asked.append((repo, revision, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return hub


def test_a_local_folder_is_used_as_it_stands_and_a_file_of_it_stands_for_it(tmp_path, monkeypatch):
    folder = tmp_path / "org" / "small"
    folder.mkdir(parents=True)
    names = ("config.json", "model.safetensors", "model.safetensors.index.json")
    for name in names:
        (folder / name).write_bytes(b"")
    assert find_files(str(folder)) == folder
    for name in names:
        assert find_files(str(folder / name)) == folder
    monkeypatch.chdir(tmp_path)
    assert find_files("org/small") == Path("org/small")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_files("~/org/small") == folder
    (folder / "notes.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"notes.txt is a file; expected a model's folder, or its"):
        find_files(str(folder / "notes.txt"))


@pytest.mark.parametrize(
    "name", ["small", "/absent/folder", "a/b/c", "", "org/", "org/a b", "../a"]
)
def test_what_is_no_folder_and_no_hub_name_is_an_error(name):
    with pytest.raises(ValueError, match=f"there is no folder '{name}', and it is no hub name"):
        find_files(name)


def test_offline_the_cache_gives_the_files_of_a_revision(cache):
    snapshot = fill(cache, files=("config.json", "model.safetensors"))
    other = fill(cache, revision="v2", commit="f" * 40)
    assert find_files("org/small") == snapshot
    assert find_files("org/small@main") == snapshot
    assert find_files("org/small@v2") == other
    assert find_files(f"org/small@{COMMIT}") == snapshot
    assert sorted(path.name for path in snapshot.iterdir()) == ["config.json", "model.safetensors"]


def test_offline_what_the_cache_lacks_is_an_error_that_names_the_variable(cache):
    message = (
        r"there is no folder 'org/absent', and org/absent is not, or not whole, in the cache "
        r".*cache, where HF_HUB_OFFLINE=1 confines the search; run once without HF_HUB_OFFLINE, or"
    )
    with pytest.raises(ValueError, match=message):
        find_files("org/absent")
    fill(cache)
    with pytest.raises(ValueError, match=r"org/small@v9 is not, or not whole, in the cache"):
        find_files("org/small@v9")


@pytest.mark.slow
def test_the_environment_alone_decides_in_a_process_of_its_own(cache):
    snapshot = fill(cache)
    code = (
        "from pe.weights.hub import find_files\n"
        "print(find_files('org/small'))\n"
        "import os; print(os.environ['HF_HUB_DISABLE_TELEMETRY'])\n"
        "from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)\n"
        "find_files('org/absent')\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(snapshot), "1", "True"]
    assert "ValueError: there is no folder 'org/absent', and org/absent is not" in done.stderr


def test_online_only_safe_files_of_one_revision_are_fetched(tmp_path, online):
    assert find_files("org/small@v2") == tmp_path
    (repo, revision), (fetched, commit, patterns) = online.asked
    assert (repo, revision) == ("org/small", "v2")
    assert (fetched, commit) == ("org/small", COMMIT)
    assert patterns == [
        "config.json",
        "generation_config.json",
        "pe_expander.json",
        "*.safetensors",
        "*.safetensors.index.json",
        "spiece.model",
        "sentencepiece.model",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ]


def test_a_repository_without_safetensors_is_refused_before_anything_is_fetched(online):
    online.files = ["config.json", "pytorch_model.bin", "tf_model.h5"]
    message = r"^org/small on the hub holds its weights only as pytorch_model.bin, tf_model.h5; "
    with pytest.raises(ValueError, match=message):
        find_files("org/small")
    assert online.asked == [("org/small", None)]
    online.files = ["spiece.model"]
    assert find_files("org/small", allow=("spiece.model",)).is_dir()
    online.files = ["config.json", "model.safetensors"]
    message = "holds no weights: expected a.safetensors or b.safetensors, found model.safetensors"
    with pytest.raises(ValueError, match=message):
        find_files("org/small", allow=("config.json", "a.safetensors", "b.safetensors"))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("GatedRepoError", r"^org/small@v2 is gated on the hub; accept its terms .* HF_TOKEN"),
        ("RevisionNotFoundError", r"^org/small on the hub has no revision 'v2'"),
        ("RepositoryNotFoundError", r"no folder 'org/small', and the hub has no public model"),
        ("HfHubHTTPError", r"fetching org/small@v2 from the hub failed \(HfHubHTTPError: "),
        ("OfflineModeIsEnabled", r"\(OfflineModeIsEnabled: no luck\); try again, set HF"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(online, kind, message):
    cls = getattr(errors, kind)
    online.error = cls.__new__(cls, "no luck\nat all")  # their own __init__ wants a response
    with pytest.raises(ValueError, match=message) as caught:
        find_files("org/small@v2")
    assert "\n" not in str(caught.value)


def test_a_connection_that_fails_does_not_fall_back_to_the_cache_in_silence(cache, online):
    fill(cache)
    online.error = ConnectionError("name resolution failed")
    with pytest.raises(
        ValueError, match=r"failed \(ConnectionError: name resolution failed\); try"
    ):
        find_files("org/small")

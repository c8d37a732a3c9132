"""A model's name or path -> a folder with its files, fetched from a model hub where need be.

Knows which files may be fetched, not what is in them. Files that can run code when they are read
(pickles) are never fetched. A tokenizer's files alone come by `pe.data.clip_tokenizer.fetch_files`.
"""

import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path

from pe.weights.hf import INDEX_SUFFIX, explain_no_weights

SUFFIX = ".safetensors"
ALLOWED = (
    "config.json",
    "generation_config.json",
    "pe_expander.json",
    f"*{SUFFIX}",
    f"*{INDEX_SUFFIX}",
    "spiece.model",
    "sentencepiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
# Models that come along with the package, by name; a folder of such a name is ./NAME
BUILT_IN = {"studio": Path(__file__).parent / "studio"}
HUB_NAME = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(@(?P<revision>[\w][\w./-]*))?", re.ASCII)


def find_files(name_or_path: str, *, allow: Sequence[str] = ALLOWED) -> Path:
    """Return the folder of a model: a local one as it stands, or a hub's `org/name[@revision]`.

    "studio" is the one that comes along. A config.json or safetensors file stands for its folder.
    From the hub only files that match `allow` are fetched, into its usual cache, and none where it
    asks for weights (.safetensors) and there are none; with HF_HUB_OFFLINE=1 the cache is all there
    is.
    Raises ValueError for a name that is neither, and for what the hub does not give.
    """
    if name_or_path in BUILT_IN:
        return BUILT_IN[name_or_path]
    path = Path(name_or_path).expanduser()
    if name_or_path and path.is_dir():
        return path
    if path.is_file():
        if path.name == "config.json" or path.name.endswith((SUFFIX, INDEX_SUFFIX)):
            return path.parent
        raise ValueError(
            f"{path} is a file; expected a model's folder, or its config.json or safetensors file"
        )
    match = HUB_NAME.fullmatch(name_or_path)
    if match is None:
        raise ValueError(
            f"there is no folder {name_or_path!r}, and it is no hub name (org/name or "
            "org/name@revision)"
        )
    return fetch(match["repo"], match["revision"], allow=allow)


def fetch(repo: str, revision: str | None, *, allow: Sequence[str]) -> Path:
    """Return the cache's folder of a hub's repository, after fetching what it lacks."""
    # Before the import, which reads it
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    named = f"{repo}@{revision}" if revision else repo
    weights = [pattern for pattern in allow if pattern.endswith(SUFFIX)]
    neither = f"there is no folder {repo!r}, and"
    if constants.HF_HUB_OFFLINE:
        try:
            found = snapshot_download(
                repo, revision=revision, allow_patterns=list(allow), local_files_only=True
            )
        except errors.LocalEntryNotFoundError as error:
            raise ValueError(
                f"{neither} {named} is not, or not whole, in the cache {constants.HF_HUB_CACHE}, "
                "where HF_HUB_OFFLINE=1 confines the search; run once without HF_HUB_OFFLINE, or "
                "give a local folder"
            ) from error
        return Path(found)
    try:
        # Asked for first, since snapshot_download takes what the cache has where the hub is silent
        info = HfApi().model_info(repo, revision=revision)
        names = [file.rfilename for file in info.siblings or []]
        found = None
        if not weights or any(fnmatch.filter(names, pattern) for pattern in weights):
            found = snapshot_download(repo, revision=info.sha, allow_patterns=list(allow))
    except errors.GatedRepoError as error:
        raise ValueError(
            f"{named} is gated on the hub; accept its terms on its page and set HF_TOKEN to a "
            "token of that account, or give a local folder"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ValueError(f"{repo} on the hub has no revision {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        raise ValueError(
            f"{neither} the hub has no public model {repo!r}; check the spelling, or set HF_TOKEN "
            "where it is a private one"
        ) from error
    except Exception as error:  # connection, proxy, time out, disk: classes vary with the library
        raise ValueError(
            f"{neither} fetching {named} from the hub failed "
            f"({type(error).__name__}: {first_line(error)}); try again, set HF_HUB_OFFLINE=1 to "
            "use what the cache holds, or give a local folder"
        ) from error
    if found is None:
        expected = " or ".join(weights)
        raise ValueError(explain_no_weights(f"{named} on the hub", names, expected=expected))
    return Path(found)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().partition("\n")[0]

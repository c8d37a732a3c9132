"""Answers of a language model on disk, and what they cost: one SQLite file beside a build.

An answer is kept from the moment it came: a run that is killed asks nothing again but what was
under way. Many threads and processes may use one file.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from pe.engines.llm import Completion

SCHEMA = """
create table if not exists answers (
  key blob primary key, text text not null, is_whole integer not null,
  num_prompt_tokens integer not null, num_new_tokens integer not null
) without rowid;
create table if not exists spent (num_requests integer not null, num_tokens integer not null);
insert into spent select 0, 0 where not exists (select * from spent);
"""
BUSY_SECS = 30.0


class LlmCache:
    """Completions by request key, and the sums spent. Without a path it lives in memory.

    Raises ValueError when the file is no such cache.
    """

    def __init__(self, path: Path | None):
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = sqlite3.connect(
            path or ":memory:", timeout=BUSY_SECS, isolation_level=None, check_same_thread=False
        )
        try:
            self._file.execute("pragma journal_mode=wal")
            self._file.execute("pragma synchronous=normal")  # a killed process loses nothing
            self._file.executescript(SCHEMA)
            self.read_spent()
        except sqlite3.DatabaseError as error:
            self._file.close()
            if isinstance(error, sqlite3.OperationalError):
                raise self._cannot(error) from error
            raise ValueError(
                f"{path} is no cache of answers ({error}); move it away and run again"
            ) from error
        self._answers: list[tuple] = []
        self._requests = self._tokens = 0

    def __enter__(self) -> "LlmCache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: bytes) -> Completion | None:
        """Return what is known of a request, or None."""
        try:
            with self._lock:
                row = self._file.execute(
                    "select text, is_whole, num_prompt_tokens, num_new_tokens from answers"
                    " where key = ?",
                    (key,),
                ).fetchone()
        except sqlite3.Error as error:
            raise self._cannot(error) from error
        if row is None:
            return None
        text, is_whole, num_prompt, num_new = row
        return Completion(
            text=text,
            is_whole=bool(is_whole),
            num_prompt_tokens=num_prompt,
            num_new_tokens=num_new,
        )

    def put(self, key: bytes, completion: Completion) -> None:
        """Keep an answer: it is on disk after the next `write`."""
        counts = (completion.num_prompt_tokens, completion.num_new_tokens)
        self._answers.append((key, completion.text, int(completion.is_whole), *counts))

    def spend(self, num_requests: int, num_tokens: int) -> None:
        """Count what was sent; it is on disk after the next `write`."""
        self._requests += num_requests
        self._tokens += num_tokens

    def write(self) -> None:
        """Write what was put and spent, in one transaction. Raises OSError, as `get` does."""
        answers, self._answers = self._answers, []
        requests, self._requests = self._requests, 0
        tokens, self._tokens = self._tokens, 0
        if not (answers or requests or tokens):
            return
        try:
            with self._lock, self._transaction():
                insert = "insert or ignore into answers values (?, ?, ?, ?, ?)"
                self._file.executemany(insert, answers)
                self._file.execute(
                    "update spent set num_requests = num_requests + ?, num_tokens = num_tokens + ?",
                    (requests, tokens),
                )
        except sqlite3.Error as error:
            raise self._cannot(error) from error

    def _cannot(self, error: sqlite3.Error) -> OSError:
        return OSError(f"the cache of answers {self.path} cannot be used: {error}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._file.execute("rollback")
            raise
        self._file.execute("commit")

    def read_spent(self) -> tuple[int, int]:
        """Return (requests, tokens) spent with this cache, by earlier runs too."""
        with self._lock:
            return self._file.execute("select num_requests, num_tokens from spent").fetchone()

    def close(self) -> None:
        self.write()
        self._file.close()

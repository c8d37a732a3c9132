"""Start tools/llm_stub.py for a test, and ask what it has seen."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STUB = Path(__file__).parents[3] / "tools" / "llm_stub.py"


class StubServer:
    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/stats", timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def serve_stub(**flags: Any) -> Iterator[StubServer]:
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(STUB), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield StubServer(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

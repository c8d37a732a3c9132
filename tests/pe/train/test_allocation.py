"""Freed memory that stays with the process: seen in a process of its own, by its page faults."""

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource, sys
from pe.train.allocation import keep_freed_memory

def ask(size=100_000_000):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "keep":
    assert keep_freed_memory()
ask()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
ask()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is told, on Linux alone")
def test_what_was_freed_is_not_asked_for_again():
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", SCRIPT, how], capture_output=True, check=True
            ).stdout
        )
        for how in ("leave", "keep")
    }
    assert faults["leave"] > 20_000  # 4 KiB pages
    assert faults["keep"] < 100

"""Memory that a process frees stays with it, so that training does not ask for it again each step.

glibc gives large blocks back to the system at once, and in the next step every page of them is made
and zeroed anew: 218,000 pages a step of Studio's encoder, 0.6 of 2.5 CPU seconds (measured
2026-12-01, 2 cores).
"""

import ctypes
import sys

# of mallopt(3)
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library to keep what this process frees; say whether it does.

    Only glibc is told. To be called before threads have allocated: each would keep its own.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, which has no such function
        return False
    options = ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, LARGEST_INT))
    return all(mallopt(option, value) == 1 for option, value in options)

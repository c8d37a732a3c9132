"""Errors of an accelerator: out of memory, or lost. By name, so that no framework is imported.

Knows JAX's and PyTorch's. Such an error says nothing about the data that were being worked on.
"""

DEVICE_ERRORS = frozenset({
    "JaxRuntimeError", "XlaRuntimeError",  # JAX: no memory, a failed kernel, a lost device
    "OutOfMemoryError", "AcceleratorError",  # PyTorch
})  # fmt: skip
NO_MEMORY = ("resource_exhausted", "out of memory")


def is_device_error(error: BaseException) -> bool:
    """Tell whether an exception is the accelerator's, by the names of its classes."""
    return any(kind.__name__ in DEVICE_ERRORS for kind in type(error).__mro__)


def explain_device_error(error: BaseException) -> str:
    """Say in a line what failed and what to do.

    "RESOURCE_EXHAUSTED: Out of memory"  ->  "the device failed (RESOURCE_EXHAUSTED: Out of memory):
    give it smaller batches or a smaller model, or free its memory; ..."
    """
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if any(mark in str(error).lower() for mark in NO_MEMORY):
        advice = "give it smaller batches or a smaller model, or free its memory"
    else:
        advice = "see whether it is there and free, then run the same command again"
    return f"the device failed ({first}): {advice}; build and train go on where they were"

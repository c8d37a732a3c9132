"""What an engine raises that answers requests: a language model, an image model, any server."""


class RequestError(Exception):
    """One request came to nothing; `reason` is a short snake_case code."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class UnavailableError(OSError):
    """The engine cannot go on at all; what is finished is kept. OSError: no row's own fault."""

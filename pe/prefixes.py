"""The closed set of control prefixes, and the one place where the input string is built.

The eight codes are those of arXiv:2312.16720, Table 1. The paper does not print the separator
between code and query; here it is one space.
"""

PREFIXES: dict[str, str] = {
    "ABST": "abstract query",
    "DTL": "add detail",
    "FLV": "add flavors only, content untouched",
    "HAST": "high aesthetics",
    "GRD": "grounded: keep the facts",
    "SPCT": "elicit specificity",
    "RFT": "re-fine-tuned on what the image model can draw",
    "MSTP": "multi-step: expand an expanded prompt again",
}


def check_prefix(prefix: str) -> str:
    """Return the prefix if it is one of the eight (or empty), else raise ValueError."""
    if prefix and prefix not in PREFIXES:
        known = ", ".join(f"{code} ({meaning})" for code, meaning in PREFIXES.items())
        raise ValueError(f"unknown prefix {prefix!r}; expected one of: {known}; or none")
    return prefix


def format_input(query: str, prefix: str = "") -> str:
    """Build the model's input string.

    Example:
      query         prefix   returns
      undying love  ABST     ABST undying love
      undying love           undying love
                    ABST     ABST
    """
    check_prefix(prefix)
    return f"{prefix} {query}".strip() if prefix else query

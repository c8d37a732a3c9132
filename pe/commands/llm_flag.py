"""The flags that name a language model, for every command that asks one."""

import argparse
from typing import Any


def add_llm_flags(command: argparse.ArgumentParser) -> None:
    """Add --llm_url, --llm_model and the budgets."""
    command.add_argument(
        "--llm_url",
        metavar="URL",
        help="an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; its key, if it wants "
        "one, is read from the environment variable OPENAI_API_KEY",
    )
    command.add_argument(
        "--llm_model",
        metavar="NAME",
        help="the server's name of the model; without --llm_url a T5 that runs here: a folder or "
        "a name on the hub",
    )
    command.add_argument(
        "--llm_concurrency", type=int, metavar="N", help="requests under way at once (64)"
    )
    command.add_argument(
        "--llm_budget_requests", type=int, metavar="N", help="send so many at most (no limit)"
    )
    command.add_argument(
        "--llm_budget_tokens", type=int, metavar="N", help="spend so many at most (no limit)"
    )


def llm_bindings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the gin bindings of these flags; None where a flag was not given."""
    return {
        "LlmConfig.url": args.llm_url,
        "LlmConfig.model": args.llm_model,
        "LlmConfig.concurrency": args.llm_concurrency,
        "LlmConfig.budget_requests": args.llm_budget_requests,
        "LlmConfig.budget_tokens": args.llm_budget_tokens,
    }

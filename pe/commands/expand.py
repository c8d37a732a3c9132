"""`pe expand`: queries in, prompts out."""

import argparse
import contextlib
import functools
import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe.commands.flag import new_command, quiet_libraries
from pe.commands.llm_flag import add_llm_flags, llm_bindings

if TYPE_CHECKING:
    from pe.decode.sampling import SamplingConfig
    from pe.decode.target_tokenizer import Target
    from pe.engines.expander import Expander, T5Expander
    from pe.records import Expansion

EXPANDERS = ("t5", "llm", "few_shot")
LLM_TOKENS = 200  # 80 words, and the JSON around them
T5_FLAGS = ("beams", "stream", "vocab", "template")  # and all of a trained model's


def add_expand(commands: Any, with_help: bool) -> None:
    del with_help
    from pe.prefixes import PREFIXES

    codes = "\n".join(f"  {code:5} {meaning}" for code, meaning in PREFIXES.items())
    command = new_command(
        commands,
        "expand",
        _run_expand,
        "Expand queries into detailed, different prompts.",
        f"prefixes:\n{codes}",
    )
    command.add_argument(
        "queries",
        nargs="*",
        metavar="QUERY",
        help="read from stdin, one a line, when none is given",
    )
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="the --out of pe train or pe convert, Hugging Face's layout or hub name, T5X",
    )
    command.add_argument(
        "--expander",
        choices=EXPANDERS,
        default="t5",
        help="t5: --model; baselines that ask a language model (--llm_url, --llm_model): llm "
        "rewrites the query, few_shot shows it examples (t5)",
    )
    add_llm_flags(command)
    command.add_argument("-n", type=int, metavar="N", help="expansions a query (4, or the beams)")
    command.add_argument("--prefix", default="", metavar="CODE", help="control prefix (none)")
    command.add_argument("--seed", type=int, default=0, help="same seed, same texts (0)")
    command.add_argument(
        "--target",
        metavar="ENCODER",
        help="keep to the budget of the text encoder that reads the prompts: clip, clip:K (K "
        "windows of 77), t5:256, t5:512, or PATH[:TOKENS] of its tokenizer (no budget)",
    )
    command.add_argument(
        "--candidates", type=int, metavar="M", help="draw M and keep the N most diverse (N)"
    )
    command.add_argument(
        "--ban", action="append", default=[], metavar="PHRASE", help="never say it; may be repeated"
    )
    command.add_argument("--temperature", type=float, metavar="T", help="0 is greedy (1.0)")
    command.add_argument("--top_k", type=int, metavar="K", help="draw among the K likeliest (all)")
    command.add_argument("--top_p", type=float, metavar="P", help="nucleus of mass P (all)")
    command.add_argument(
        "--min_p", type=float, metavar="P", help="at least P times the likeliest's probability"
    )
    command.add_argument(
        "--repetition_penalty", type=float, metavar="R", help="above 1: say less twice (1)"
    )
    command.add_argument(
        "--max_tokens", type=int, metavar="N", help="of the model's own (77, or twice the target's)"
    )
    command.add_argument(
        "--steps",
        type=int,
        default=1,
        metavar="T",
        help="expand each expansion again, T times in all (1)",
    )
    command.add_argument(
        "--pick", action="store_true", help="pick one of the N and expand it again, step by step"
    )
    command.add_argument("--beams", type=int, metavar="B", help="beam search instead of sampling")
    command.add_argument("--stream", action="store_true", help="print phrases as they are written")
    command.add_argument(
        "--runtime", choices=("jax", "ct2"), default="jax", help="ct2: a model of pe convert (jax)"
    )
    command.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the matrix products (auto: float32 on a CPU)",
    )
    command.add_argument("--vocab", metavar="FILE", help="vocabulary, where none lies beside it")
    command.add_argument("--template", metavar="TEXT", help="what it reads: 'Expand: {query}'")
    command.add_argument("--json", action="store_true", help="one JSON object a query and line")


def _run_expand(args: argparse.Namespace) -> None:
    quiet_libraries()
    from pe.decode.sampling import SamplingConfig
    from pe.decode.target_tokenizer import load_target
    from pe.prefixes import check_prefix

    check_prefix(args.prefix)
    if args.n is None:
        args.n = min(4, args.beams or 4)
    if args.n < 1:
        raise ValueError(f"-n: got {args.n}, expected 1 or more expansions a query")
    if args.stream and (args.json or args.beams or args.candidates):
        raise ValueError(
            "--stream prints texts as they are drawn: no --json, --beams, --candidates"
        )
    if args.steps < 1:
        raise ValueError(f"--steps: got {args.steps}, expected 1 or more")
    many_steps = args.steps > 1 or args.pick
    if many_steps and (args.stream or args.beams or (args.candidates and not args.pick)):
        raise ValueError("--steps and --pick go without --stream, --beams; --steps alone without "
                         "--candidates")  # fmt: skip
    if args.pick and (args.json or args.steps > 1):
        raise ValueError("--pick asks a person after each step: leave out --json and --steps")
    drawing = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "candidates")
    if args.beams is not None and (extra := [n for n in drawing if getattr(args, n) is not None]):
        raise ValueError(f"--beams draws nothing; leave out --{', --'.join(extra)}")
    target = None if args.target is None else load_target(args.target)
    names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_tokens")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if target is not None:  # a phrase that does not fit is cut, so there is more to write
        given.setdefault("max_tokens", 2 * target.budget)
    elif args.expander != "t5":
        given.setdefault("max_tokens", LLM_TOKENS)
    sampling = SamplingConfig(ban=tuple(args.ban), **given)
    from pe.engines.expander import BATCH_QUERIES

    queries = iter(args.queries or (line for line in sys.stdin if line.strip()))
    num_queries = 0
    with contextlib.ExitStack() as stack:
        expander = _make_expander(args, target, stack)
        if args.pick:
            _pick(expander, args, sampling)
            return
        while batch := list(itertools.islice(queries, 1 if args.stream else BATCH_QUERIES)):
            num_queries += len(batch)
            if args.stream:
                _print_stream(expander, batch[0], args, sampling)
            elif args.steps > 1:
                _print_steps(expander, batch, args, sampling)
            else:
                _print_sets(_expand(expander, batch, args, sampling), args)
    if not num_queries:
        raise ValueError("no query: expected QUERY arguments, or one query a line on stdin")


def _make_expander(
    args: argparse.Namespace, target: "Target | None", stack: contextlib.ExitStack
) -> Any:
    """Make the expander that is asked for; `stack` closes what it opens."""
    if args.expander != "t5":
        return _make_llm_expander(args, target, stack)
    from pe.engines.expander import T5Expander

    if args.model is None:
        raise ValueError("--model is missing: expected a trained model, or another --expander")
    if given := [name for name, value in llm_bindings(args).items() if value is not None]:
        raise ValueError(f"{', '.join(given)}: only --expander llm and few_shot ask such a model")
    settings = {} if args.template is None else {"template": args.template}
    vocabulary = None if args.vocab is None else Path(args.vocab)
    if args.runtime == "ct2":
        from pe.engines.ct2 import load_ct2

        model, writer = load_ct2(args.model, vocabulary=vocabulary, settings=settings)
        return T5Expander(model, target=target, writer=writer)
    from pe.engines.model import load_model

    model = load_model(args.model, vocabulary=vocabulary, dtype=args.dtype, settings=settings)
    return T5Expander(model, target=target)


def _make_llm_expander(
    args: argparse.Namespace, target: "Target | None", stack: contextlib.ExitStack
) -> "Expander":
    from pe.config import load_config
    from pe.console import say
    from pe.engines.llm import LlmConfig
    from pe.engines.llm_expander import LlmExpander
    from pe.engines.llm_session import LlmSession, make_llm

    flags = [f"--{name}" for name in T5_FLAGS if getattr(args, name)]
    if args.model is not None:
        flags.append("--model")
    if flags:
        raise ValueError(f"{', '.join(flags)}: of --expander t5 only; a language model is named by "
                         "--llm_model")  # fmt: skip
    given = {name: value for name, value in llm_bindings(args).items() if value is not None}
    config = load_config(LlmConfig, (), [f"{name}={value!r}" for name, value in given.items()])
    session = stack.enter_context(LlmSession(make_llm(config, say=say), config))
    style = "rewrite" if args.expander == "llm" else "few_shot"
    return LlmExpander(session, style, target=target)


def _expand(
    expander: Any, queries: list[str], args: argparse.Namespace, sampling: "SamplingConfig"
) -> "list[list[Expansion]]":
    if args.beams is None:
        return expander.expand(
            queries,
            args.n,
            prefix=args.prefix,
            seed=args.seed,
            sampling=sampling,
            candidates=args.candidates,
        )
    from pe.decode.beam import BeamConfig

    beams = BeamConfig(num_beams=args.beams, max_tokens=sampling.max_tokens)
    search = functools.partial(expander.search_beams, n=args.n, prefix=args.prefix, beams=beams)
    return [search(query, ban=sampling.ban) for query in queries]


def _print_sets(sets: "list[list[Expansion]]", args: argparse.Namespace) -> None:
    if not args.json:
        from pe.console import print_expansions

        print_expansions(sets)
        return
    for expansions in sets:
        rows = [
            {"text": e.text, "seed": e.seed, "logprob": e.logprob, "num_tokens": e.num_tokens}
            for e in expansions
        ]
        row = {"query": expansions[0].query, "prefix": args.prefix, "expansions": rows}
        print(json.dumps(row, ensure_ascii=False), flush=True)


def _later_prefix(args: argparse.Namespace) -> str:
    """Return the prefix of all steps behind the first: none where the first has none."""
    return "MSTP" if args.prefix else ""


def _print_steps(
    expander: Any, queries: list[str], args: argparse.Namespace, sampling: "SamplingConfig"
) -> None:
    """Print where each chain ends; with --json all of its steps."""
    from pe.engines.multi_step import expand_steps

    chains = expand_steps(
        expander,
        queries,
        args.n,
        args.steps,
        prefix=args.prefix,
        later_prefix=_later_prefix(args),
        seed=args.seed,
        sampling=sampling,
    )
    if args.json:
        for query, of_query in zip(queries, chains, strict=True):
            rows = [{"text": chain[-1].text, "steps": [e.text for e in chain]}
                    for chain in of_query]  # fmt: skip
            row = {"query": query.strip(), "prefix": args.prefix, "expansions": rows}
            print(json.dumps(row, ensure_ascii=False), flush=True)
        return
    from pe.console import print_chains

    print_chains(queries, chains)


def _pick(expander: Any, args: argparse.Namespace, sampling: "SamplingConfig") -> None:
    """Show expansions, read which one is to be expanded again, until there is nothing to read."""
    from pe.console import print_expansions

    def ask(text: str) -> str:
        print(text, end=" ", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip()

    if len(args.queries) > 1:
        raise ValueError(f"--pick goes on from one query, got {len(args.queries)}")
    query = " ".join(args.queries[0].split()) if args.queries else ask("query:")
    prefix, step = args.prefix, 0
    while query:
        (found,) = expander.expand(
            [query],
            args.n,
            prefix=prefix,
            seed=args.seed + step,
            sampling=sampling,
            candidates=args.candidates,
        )
        print_expansions([found], numbered=True)
        answer = ask(f"1 to {args.n} to expand again, another query, or Enter to end:")
        if answer.isdigit() and 1 <= int(answer) <= len(found):
            picked = found[int(answer) - 1].text
            if not expander.can_read(picked, _later_prefix(args)):
                print("it is as long as this model reads; pick another", file=sys.stderr)
                continue
            query, prefix, step = picked, _later_prefix(args), step + 1
        else:
            query, prefix, step = answer, args.prefix, 0


def _print_stream(
    expander: "T5Expander", query: str, args: argparse.Namespace, sampling: "SamplingConfig"
) -> None:
    """Print a text as it grows, or, of several, each piece on a line under its number."""
    pieces = expander.stream(query, args.n, prefix=args.prefix, seed=args.seed, sampling=sampling)
    for number, (k, piece) in enumerate(pieces):
        if number == 0:  # what cannot be streamed has been refused by now
            print(query.strip())
        if args.n == 1:
            print(piece, end="", flush=True)
        else:
            print(f"  {k + 1}: {piece.strip(' ,')}", flush=True)
    if args.n == 1:
        print()

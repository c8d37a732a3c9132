"""`pe convert`: a model, or a soft prompt, from one format into another."""

import argparse
import math
from pathlib import Path
from typing import Any

from pe.commands.flag import new_command, quiet_libraries

MODEL_FORMATS = ("hf", "t5x", "pe", "ct2")
PROMPT_FORMATS = ("peft", "npy", "prompt_tuning")
APPLIES_TO = {
    "vocab": MODEL_FORMATS,
    "soft_prompt": MODEL_FORMATS,
    "template": MODEL_FORMATS,
    "max_input_tokens": MODEL_FORMATS,
    "step": ("t5x",),
    "t5x_form": ("t5x",),
    "quantization": ("ct2",),
    "base_model": ("peft",),
}


def add_convert(commands: Any, with_help: bool) -> None:
    """Add the command."""
    del with_help
    command = new_command(
        commands,
        "convert",
        _run_convert,
        "Convert a model (a run of pe train, a model folder, Hugging Face's layout or hub name, a "
        "T5X checkpoint) or a soft prompt (.npy, prompt-tuning's file, a PEFT adapter).",
        "formats:\n"
        "  hf             Hugging Face's layout: config.json, safetensors, tokenizer\n"
        "  t5x            T5X's own checkpoint, or Orbax's with --t5x_form orbax\n"
        "  pe             a model folder of this project\n"
        "  ct2            CTranslate2, for pe expand --runtime ct2 (extra [ct2])\n"
        "  peft           a PEFT prompt-tuning adapter; SRC is a soft prompt, or a run or T5X\n"
        "                 checkpoint that has one\n"
        "  npy            an array [P, D]; SRC likewise\n"
        "  prompt_tuning  the file of the prompt-tuning library; SRC likewise",
    )
    command.add_argument("source", metavar="SRC", help="folder, file or hub name (org/name)")
    command.add_argument("out", metavar="DST", help="new folder (or file: npy, prompt_tuning)")
    command.add_argument("--to", required=True, choices=(*MODEL_FORMATS, *PROMPT_FORMATS))
    command.add_argument("--vocab", metavar="FILE", help="vocabulary, where none lies beside SRC")
    command.add_argument(
        "--soft_prompt", metavar="PATH", help="bake this soft prompt in as extra vocabulary rows"
    )
    command.add_argument("--template", metavar="TEXT", help="what SRC reads: 'Expand: {query}'")
    command.add_argument(
        "--max_input_tokens", type=int, metavar="N", help="what SRC reads at most (as trained)"
    )
    command.add_argument("--step", type=int, metavar="N", help="of a T5X checkpoint (0)")
    command.add_argument(
        "--t5x_form", choices=("native", "orbax"), help="T5X's own form, or Orbax's (native)"
    )
    command.add_argument(
        "--quantization",
        choices=("float32", "bfloat16", "int8", "int8_float32"),
        help="of CTranslate2 (int8)",
    )
    command.add_argument("--base_model", metavar="NAME", help="of a PEFT adapter")


def _run_convert(args: argparse.Namespace) -> None:
    quiet_libraries()
    out = Path(args.out)
    for flag, formats in APPLIES_TO.items():
        if getattr(args, flag) is not None and args.to not in formats:
            raise ValueError(f"--{flag} is of no use to --to {args.to}; leave it out")
    if args.to in PROMPT_FORMATS:
        from pe.engines.export import read_prompt
        from pe.weights.soft_prompt import write_soft_prompt

        if out.exists() and args.to != "peft":
            raise ValueError(f"{out} is there already; give a new file, or remove it first")
        prompt = read_prompt(Path(args.source))
        write_soft_prompt(prompt, out, form=args.to, base_model=args.base_model or "")
        print(f"soft prompt of {prompt.shape[0]} positions, width {prompt.shape[1]}, in {out}")
        return
    from pe.engines.export import convert_model

    settings = {"template": args.template, "max_input_tokens": args.max_input_tokens}
    checkpoint = convert_model(
        args.source,
        out,
        to=args.to,
        vocabulary=None if args.vocab is None else Path(args.vocab),
        soft_prompt=None if args.soft_prompt is None else Path(args.soft_prompt),
        settings={name: value for name, value in settings.items() if value is not None},
        step=args.step or 0,
        t5x_form=args.t5x_form or "native",
        quantization=args.quantization or "int8",
    )
    num_params = sum(math.prod(array.shape) for array in checkpoint.arrays.values())
    print(f"{args.source} as {args.to}: {num_params:,} parameters in {out}")

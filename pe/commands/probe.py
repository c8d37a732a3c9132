"""`pe probe`: an image model in, a table of the flavors that it can draw out."""

import argparse
import json
from pathlib import Path
from typing import Any

from pe.commands.flag import add_gin_flags, gin_epilog, load_settings, new_command, quiet_libraries
from pe.commands.t2i_flag import add_t2i_flags, t2i_bindings


def _probe_config() -> type:
    from pe.refine.probe import ProbeRunConfig

    return ProbeRunConfig


def add_probe(commands: Any, with_help: bool) -> None:
    command = new_command(
        commands,
        "probe",
        _run_probe,
        "Find out which flavors an image model can draw, by pictures with each and without it.",
        gin_epilog(_probe_config, with_help),
    )
    command.add_argument("--flavors", metavar="LIST", help="a list of flavors: a name, or a file")
    command.add_argument("--encoder", metavar="MODEL", help="a CLIP or CoCa that looks at them")
    add_t2i_flags(command)
    command.add_argument("--out", required=True, metavar="DIR", help="where table and plot go")
    add_gin_flags(command)


def _run_probe(args: argparse.Namespace) -> None:
    quiet_libraries()
    flags = {
        "ProbeRunConfig.flavors": args.flavors,
        "ProbeRunConfig.encoder": args.encoder,
        **t2i_bindings(args),
    }
    extra = [f"{name}={value!r}" for name, value in flags.items() if value is not None]
    config = load_settings(_probe_config(), args, extra)
    from pe.console import StageProgress, say
    from pe.engines import aesthetics
    from pe.engines.vision import share_encoder
    from pe.refine.probe import LINES, PAGE, SENT_LOG, probe_flavors
    from pe.studio.image_model import load_image_model
    from pe.text.flavor_list import load_flavors

    out = Path(args.out)
    flavors = load_flavors(config.flavors).phrases
    encoder = share_encoder(config.encoder, vocabulary=config.vocabulary)
    scorer = aesthetics.load_scorer(config.aesthetics)
    rater = json.dumps(aesthetics.name_weights(config.aesthetics), sort_keys=True)
    model = load_image_model(config.t2i, sent_log=out.with_name(out.name + SENT_LOG), say=say)
    try:
        with StageProgress() as progress:
            found = probe_flavors(
                flavors,
                out,
                config.probe,
                model=model,
                encoder=encoder,
                pictures=config.pictures,
                scorer=scorer,
                rater=rater if scorer else "",
                progress=lambda done, total: progress("flavors", done, total),
            )
    finally:
        model.close()
    print(f"{'flavor':28} {'rise':>7}  {'95% interval':>16}" + "  rating" * (scorer is not None))
    for effect in found:
        told = effect.reason or f"{effect.mean:+.3f}  {effect.low:+.3f} to {effect.high:+.3f}"
        rating = f"  {effect.rating.mean:+.2f}" if effect.rating else ""
        print(f"{effect.flavor:28} {told}{rating}")
    drawn = sum(effect.is_drawn for effect in found)
    say(f"{drawn:,} of {len(found):,} are drawn; see {out / PAGE}, and {out / LINES} for pe refine")

"""`mcnbench run EXPERIMENT`: runs an experiment, writes its run file as it goes, and prints its table."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import click

KINDS = {
    "training-speed": "mcnbench.measure.training_speed",
    "layer-speed": "mcnbench.measure.layer_speed",
    "gate-power": "mcnbench.compare.power",
    "cudnn-plans": "mcnbench.measure.cudnn_plans",
    "multi-gpu": "mcnbench.distributed.multi_gpu",
    "sequence": "mcnbench.measure.sequence",
}
"""The programs that run experiments, by the `kind` of the experiment's file: each module has `run` and `resume`."""


@click.command("run")
@click.argument("experiment", required=False)
@click.option(
    "-b", "--backend", "backends", multiple=True, help="Only this backend: a name, a module, a file. Repeatable."
)
@click.option(
    "-n", "--network", "networks", multiple=True, help="Only this network: a name or a TOML file. Repeatable."
)
@click.option("--batch", type=int, help="Images per step, instead of the experiment's.")
@click.option("--budget", metavar="TIME", help="Bounds the whole experiment, such as 90s, 3m or 7m30s.")
@click.option("--threads", type=int, help="Threads of every backend, instead of all cores that may be used.")
@click.option("--workers", metavar="N,N", help="Of multi-gpu: so many processes or devices, such as 1,2,4.")
@click.option("--sub-batch", type=int, help="Of multi-gpu: the most images that a worker holds at a time.")
@click.option("--device", help="Where to measure: cpu (the default) or cuda.")
@click.option(
    "--images", metavar="DIR", help="A folder of images to take crops of, instead of the photograph that ships."
)
@click.option("--quick", is_flag=True, help="Smaller batches and a smaller budget, as the experiment's [quick] says.")
@click.option("--seed", type=click.IntRange(0), help="Of parameters, images, masks and the order of turns.")
@click.option("--inherit-env", is_flag=True, help="Leave the environment variables of the workers as they are here.")
@click.option("--out", type=click.Path(path_type=Path), help="The run file; runs/EXPERIMENT-TIME.jsonl if not given.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="FILE", help="Go on with an interrupted run.")
def command(experiment: str | None, out: Path | None, resume: Path | None, quick: bool, **options: Any) -> None:
    """Run EXPERIMENT: a name such as training-speed, or a TOML file.

    Every time is of code that was shown to be right in the same process, before and after. Prints the table on standard
    output; all samples go into the run file as they are measured.
    """
    from mcnbench import experiment as experiments
    from mcnbench import runfile
    from mcnbench.errors import BadInput, unknown

    given = {name: value for name, value in options.items() if value is not None and value != () and value is not False}
    if resume is not None and "TORCHELASTIC_RUN_ID" in os.environ and os.environ["RANK"] != "0":
        from mcnbench.distributed import station

        station.serve()  # torchrun started us as one of several; the run file is on the first machine only
        return
    if resume is not None:
        begun = runfile.read(resume)
        kind = begun.run.experiment
        refused = [name for name in given if name != "budget"] + ["out"] * (out is not None) + ["quick"] * quick
        if refused:
            repeatable = {"backends": "backend", "networks": "network"}
            names = ", ".join("--" + repeatable.get(name, name).replace("_", "-") for name in refused)
            raise BadInput(f"--resume goes on with what '{resume}' was asked to do: leave out {names}")
        if experiment is not None and experiment not in (kind, begun.run.settings.get("name")):
            raise BadInput(f"'{resume}' is a run of {begun.run.settings.get('name', kind)}, not of {experiment}")
    else:
        if experiment is None:
            raise BadInput(f"which experiment? known: {', '.join(experiments.names())}; or give --resume FILE")
        name, content = experiments.load(experiment)
        kind = content["kind"]
    if kind == "gate":
        raise BadInput(f"experiment '{experiment}' is measured by mcnbench compare --against REV {experiment}")
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS, where=f"experiment '{experiment or resume}'")
    program = import_module(KINDS[kind])
    if resume is not None:
        program.resume(begun, given)
    else:
        program.run(name, content, given, quick, out or runfile.default_path(name))

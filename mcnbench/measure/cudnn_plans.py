"""The experiment kind "cudnn-plans": every plan of cuDNN for every convolution of a network, in each direction.

For each plan: its time, its worst error over the bound, whether it computes the same bits twice, its workspace, and how
it computes. Images are independent of each other, so y and dx are judged on a few of them; dw sums over all, so the dy
that it is judged with is zero but for those few. Judged before and, on fresh data, after it was timed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mcnbench import backends, blocks, experiment, network, runfile, training
from mcnbench.arrays import Array, pair, sides
from mcnbench.bounds import PRECISIONS
from mcnbench.errors import BadInput, NothingDone
from mcnbench.measure import device
from reports import schema
from reports.runfile import RunFile

KIND = "cudnn-plans"
JUDGED = 2  # images
BY_NORM = ("WINOGRAD", "FFT")
"""Notes of algorithms whose errors are bounded over a map, not element by element."""

Direction = Literal["fprop", "dgrad", "wgrad"]
MADE: dict[Direction, str] = {"fprop": "y", "dgrad": "dx", "wgrad": "dw"}


class Settings(BaseModel):
    """The keys of the experiment's file, and the options of the command line."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str = ""
    networks: list[str] = Field(min_length=1)
    batch: int = Field(ge=JUDGED)
    dtype: Literal["float32", "float64", "float16"] = "float32"
    device: Literal["cuda"] = "cuda"
    directions: list[Direction] = ["fprop", "dgrad", "wgrad"]
    workspace: int = Field(default=1 << 30, ge=0)
    """Bytes; plans that need more are left out."""
    compiled: bool = False
    """Also the plans that cuDNN compiles when they are built, seconds each."""
    repeats: int = Field(default=20, ge=3)
    seed: int = 0


@dataclass(frozen=True)
class Layer:
    """A convolution of a network: its sizes and options, and the names of the layers that share them."""

    network: str
    names: tuple[str, ...]
    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    options: Any


def run(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, path: Path) -> None:
    """Runs the experiment into a new run file, and prints its table."""
    content = {key: value for key, value in content.items() if key not in ("kind", "quick")}
    fewer = {"repeats": 3, "batch": 8} if quick else {}
    settings = experiment.check(Settings, {**content, **fewer, "name": name, **given}, f"experiment '{name}'")
    runfile.refuse_existing(path)
    receipt = backends.receipt("cudnn")
    first = runfile.first_line(KIND, settings.model_dump(), {"cudnn": receipt}, {"device": device.state()})
    found: list[schema.Measurement] = []
    with runfile.Writer.create(path, first) as writer:
        for layer in layers(settings):
            for direction in settings.directions:
                for measurement in plans(layer, direction, settings, receipt):
                    writer.write(measurement)
                    found.append(measurement)
                    click.echo(f"{measurement.case}: {measurement.verified.before}", err=True)
    if not found:
        raise NothingDone("nothing was measured: no convolution that cuDNN has a plan for")
    click.echo(table(found).to_string(index=False))
    click.echo(f"\nall samples: {path}", err=True)
    if not all(m.verified.holds for m in found):
        sys.exit(1)


def resume(begun: RunFile, given: dict[str, Any]) -> None:
    raise BadInput(f"'{begun.path}' is a run of {KIND}, which is short and begins anew: leave out --resume")


def layers(settings: Settings) -> list[Layer]:
    """The convolutions of the networks, each size once; fully connected layers are left to matrix products."""
    made: list[Layer] = []
    for name in settings.networks:
        net = network.load(name)
        shapes = net.shapes(settings.batch)
        same: dict[tuple[Any, ...], list[str]] = {}
        for layer in net.layers:
            if layer.block == "conv2d":
                x, w = (shapes[argument or ""] for argument in layer.arguments[:2])
                if x[2:] != w[2:]:
                    same.setdefault((x, w, shapes[layer.name], layer.options), []).append(layer.name)
        made += [Layer(net.name, tuple(names), *key) for key, names in same.items()]
    return made


def plans(layer: Layer, direction: Direction, settings: Settings, receipt: str) -> Iterator[schema.Measurement]:
    """Measures each plan of one direction of a convolution."""
    from impl.cudnn.census import Census
    from impl.cudnn.checks import Convolution

    (top, bottom, left, right), options = sides(layer.options.padding), layer.options
    convolution = Convolution(
        *(direction, settings.dtype, layer.x, layer.w, layer.y, (top, left), (bottom, right)),
        *(pair(options.stride), pair(options.dilation), options.groups),
    )
    of = backends.load("cudnn").from_numpy
    timed = _operands(layer, direction, settings, "timed", judged=False)
    census = Census(convolution, of(timed[0]), of(timed[1]), settings.workspace, settings.compiled)
    judgements = [_judgement(layer, direction, settings, when) for when in ("before", "after")]
    flops = blocks.block("conv2d").work([layer.x, layer.w], options).forward_flops
    for plan in census.plans:
        notes = census.notes(plan)
        tf32 = settings.dtype == "float32" and "TENSOR_CORE" in notes
        precision = "tf32" if tf32 else settings.dtype
        ratios, samples, error = [], [], None
        repeatable: bool | None = None
        try:
            for i, (operands, oracle, bounds) in enumerate(judgements):
                result = census.result(plan, of(operands[0]), of(operands[1]))
                ratios.append(_ratio(result, oracle, bounds[precision], direction, notes))
                if i == 0:
                    repeatable = census.repeatable(plan)
                    samples = [max(1, ns) for ns in census.times(plan, settings.repeats)]
        except RuntimeError as failure:  # cuDNN offers plans that then refuse to run
            error = " ".join(str(failure).split())
        yield schema.Measurement(
            case="/".join((KIND, layer.network, layer.names[0], direction, plan.name)),
            network=layer.network,
            backend="cudnn",
            device=settings.device,
            batch=settings.batch,
            dtype=settings.dtype,
            threads=1,
            images=settings.batch,
            flops=flops,
            launch=0,
            receipt=receipt,
            samples_ns=samples,
            round=list(range(len(samples))),
            verified=_verified(ratios, error),
            details={
                "layers": list(layer.names),
                "plan": plan.name,
                "notes": notes,
                "precision": precision,
                "workspace": plan.workspace,
                "repeatable": repeatable,
                "device": device.state(),
            },
            error=error,
        )


def table(found: list[schema.Measurement]) -> pd.DataFrame:
    """The plans of each convolution, the fastest first."""
    rows = []
    for m in found:
        _, _, layer, direction, _ = m.case.split("/")
        median = statistics.median(m.samples_ns) / 1000 if m.samples_ns else float("inf")
        rows.append(
            {
                "layer": layer,
                "direction": direction,
                "plan": m.details["plan"],
                "us": round(median, 1),
                "error / bound": m.verified.error_ratio,
                "verified": "yes" if m.verified.holds else m.error or "WRONG",
                "same bits": {True: "yes", False: "no", None: "-"}[m.details["repeatable"]],
                "MiB": round(m.details["workspace"] / 2**20, 1),
                "arithmetic": m.details["precision"],
                "notes": ", ".join(m.details["notes"]) or "-",
            }
        )
    frame = pd.DataFrame(rows)
    frame.insert(4, "of best", frame["us"] / frame.groupby(["layer", "direction"])["us"].transform("min"))
    order = frame.groupby(["layer", "direction"], sort=False).ngroup()
    return frame.assign(order=order).sort_values(["order", "us"], kind="stable").drop(columns="order").round(2)


def _operands(layer: Layer, direction: Direction, settings: Settings, what: str, judged: bool) -> tuple[Array, Array]:
    """What the direction reads: x and w, dy and w, or x and dy. To be judged, dy is zero but for a few images."""
    rng = training.seeded(settings.seed, f"{what} {layer.network} {layer.names[0]} {direction}")
    x, w, dy = (rng.standard_normal(shape).astype(settings.dtype) for shape in (layer.x, layer.w, layer.y))
    if judged:
        dy[JUDGED:] = 0
    return {"fprop": (x, w), "dgrad": (dy, w), "wgrad": (x, dy)}[direction]


def _judgement(
    layer: Layer, direction: Direction, settings: Settings, when: str
) -> tuple[tuple[Array, Array], Array, dict[str, Array]]:
    """Operands, what float64 makes of the judged images, and how far off each arithmetic may be there."""
    block = blocks.block("conv2d")
    operands = _operands(layer, direction, settings, when, judged=True)
    few = slice(JUDGED)
    x = operands[0][few] if direction != "dgrad" else np.zeros((JUDGED, *layer.x[1:]), settings.dtype)
    w = operands[1] if direction != "wgrad" else np.zeros(layer.w, settings.dtype)
    dy = np.zeros((JUDGED, *layer.y[1:]), settings.dtype)
    if direction != "fprop":
        dy = operands[0 if direction == "dgrad" else 1][few]
    y, pullback = block.oracle((x, w), layer.options)
    gradients = pullback(dy.astype(np.float64))
    oracle = {"y": y, "dx": gradients[0], "dw": gradients[1]}[MADE[direction]]
    assert oracle is not None
    names = {settings.dtype, "tf32"}
    bounds = {n: block.bound((x, w), layer.options, dy, PRECISIONS[n])[MADE[direction]] for n in names}
    # A float64 oracle has rounding errors of its own.
    return operands, oracle, {n: 2 * b if n == "float64" else b for n, b in bounds.items()}


def _ratio(result: Array, oracle: Array, bound: Array, direction: Direction, notes: list[str]) -> float:
    """The worst error over its bound, element by element, or over the whole for algorithms that only bound that."""
    part = result if direction == "wgrad" else result[:JUDGED]
    off = np.abs(part.astype(np.float64) - oracle)
    off = np.where(np.isnan(off), np.inf, off)
    if any(note.startswith(BY_NORM) for note in notes):
        return float(off.max() / bound.max())
    return float(np.max(np.where(off == 0, 0.0, off / np.maximum(bound, np.finfo(np.float64).tiny))))


def _verified(ratios: list[float], error: str | None) -> schema.Verified:
    verdicts: list[schema.Verdict] = ["HOLDS" if ratio <= 1 else "VIOLATED" for ratio in ratios]
    if error is not None:
        return schema.Verified(before="ERROR", message=error)
    return schema.Verified(
        before=verdicts[0],
        after=verdicts[1],
        error_ratio=max(ratios),
        message=None if max(ratios) <= 1 else f"the error is {max(ratios):.3g} times its bound",
    )

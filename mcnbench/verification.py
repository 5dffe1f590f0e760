"""Is a training step right? Each layer is, on the very arrays that it meets in the step; and so is the whole.

- Every run of layers is held to its blocks' bounds: its output on the inputs that it read, its gradients on the dy that
  it got; so are sums of gradients where a value has several readers, and the update of each parameter.
- The parameter gradients of the whole step agree with float64 to 1e-2 in relative L2 each. There is no bound for them:
  in float32 a ReLU or a maximum may fall on the other side of a kink, which is no error. (Where one is further off, it
  is held to a float64 step with the same decisions of ReLU and maxima instead.)
Also told: the error multiple, our gradients' error over that of PyTorch's in float32 on the same step, both to float64.

`record` runs in the process that is measured and needs no torch; `judge` runs anywhere, with all its cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from mcnbench import blocks, executor
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import PRECISIONS, Precision, coefficient
from mcnbench.network import IMAGES, LABELS, Layer, Network
from mcnbench.recording import Part, Recorded, record, sampled
from mcnbench.training import initial_parameters
from reports.schema import Verdict, Verified

if TYPE_CHECKING:
    from torch import Tensor

    from mcnbench.reference_step import Reference
    from mcnbench.step_check import Check, Followers, Judging

__all__ = ["GradientError", "Verification", "judge", "record"]

LARGEST_GRADIENT_ERROR = 1e-2  # relative L2; one kink in VGG-VD-19 at batch 2 was seen to make 4e-3
LEAST_OF_A_KINK = 1e-5  # relative L2; rounding in float32 makes some 1e-6, a kink 1e-4 and more


@dataclass(frozen=True)
class GradientError:
    """How far a parameter's gradient of the whole step is from float64, in relative L2: ours and PyTorch's."""

    parameter: str
    ours: float
    torch: float | None
    """None in a sparsely recorded step, of which it is not computed."""
    same_decisions: float | None = None
    """Ours to a float64 step with the same decisions of ReLU and maxima; computed where `ours` is large."""

    @property
    def wrong(self) -> bool:
        """Too far, and not because of a kink."""
        judged = self.ours if self.same_decisions is None else self.same_decisions
        return not judged <= LARGEST_GRADIENT_ERROR


@dataclass(frozen=True)
class Verification:
    """HOLDS, VIOLATED, or MISTRUSTED where a check could hardly have failed; and what was compared."""

    verdict: Verdict
    message: str | None
    """What was wrong, where; None if nothing was."""
    checks: tuple[Check, ...]
    gradients: tuple[GradientError, ...]

    @property
    def error_ratio(self) -> float:
        """The worst error over its bound of all layers' outputs, gradients and updates."""
        return max((check.ratio for check in self.checks), default=inf)

    @property
    def error_multiple(self) -> float | None:
        """The median over the parameters of our gradient's error over PyTorch's; None if that is not known.

        One ReLU on the other side of its kink, here or there, moves the gradients of all layers before it by far more
        than rounding does; they are left out, unless none would be left.
        """
        both = [(g.ours, g.torch) for g in self.gradients if g.torch is not None]
        rounded = [pair for pair in both if max(pair) < LEAST_OF_A_KINK] or both
        return median(a / b if b else (inf if a else 1.0) for a, b in rounded) if both else None

    def verified(self) -> Verified:
        """For the run file, as the verdict before the timed loop."""
        return Verified(
            before=self.verdict, error_ratio=self.error_ratio, error_multiple=self.error_multiple, message=self.message
        )


def judge(network: Network, folder: Path, *, whole: bool = True, share: float = 1.0) -> Verification:
    """Judges the step that `record` wrote to `folder`; where `whole` is false layer by layer only, at half the cost.
    Of the filters and channels of each convolution that share (of a sparse record: the share recorded) is judged,
    drawn from the images. Of the whole step's largest gradients it is that share, too."""
    from mcnbench.step_check import WrongShape

    recorded = Recorded(network, folder)
    precision = PRECISIONS[recorded.precision]
    share = recorded.sparse or share
    try:
        part = Part(share, recorded[IMAGES])
        checks = (*_layers(network, recorded, precision, part), *_sums(network, recorded, precision))
        checks += tuple(_updates(network, recorded, precision))
        gradients = _whole_step(network, recorded, share, part) if whole else ()
    except WrongShape as error:
        return Verification("VIOLATED", str(error), (), ())
    wrong = sorted((c for c in checks if not c.ratio <= 1), key=lambda c: c.ratio, reverse=True)
    far = [g for g in gradients if g.wrong]
    vacuous = [c for c in checks if not c.telling]
    if wrong:
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Verification("VIOLATED", f"{wrong[0]}{others}", checks, gradients)
    if far:
        message = f"the gradient of {far[0].parameter} in the whole step is off by {far[0].ours:.2g} in relative L2"
        return Verification("VIOLATED", message, checks, gradients)
    if vacuous:
        message = f"{vacuous[0].layers} {vacuous[0].output} is almost all zero or below its bound: nothing was shown"
        return Verification("MISTRUSTED", message, checks, gradients)
    return Verification("HOLDS", None, checks, gradients)


def _layers(network: Network, recorded: Recorded, precision: Precision, part: Part) -> list[Check]:
    """Each run of layers, on the inputs and the dy that it met."""
    from mcnbench.convolution_check import check_conv2d
    from mcnbench.step_check import Followers, Judging

    found: list[Check] = []
    for run in recorded.runs:
        first, followers = run[0], Followers(run[1:], recorded, precision)
        filters = "w" in blocks.block(first.block).INPUTS
        judging = Judging("+".join(layer.name for layer in run), recorded.normwise_factor if filters else None)
        y, dy = recorded[run[-1].name], recorded.arriving(network, run)
        before = followers.backward(dy, y)
        inputs = [None if a is None else _value(network, recorded, a) for a in first.arguments]
        gradients = [recorded.gradient(run, i) if executor.wanted(a) else None for i, a in enumerate(first.arguments)]
        if first.block == "conv2d":
            check_conv2d(judging, inputs, first, y, before, gradients, followers, precision, part)
        else:
            _check_block(judging, first, inputs, y, before.numpy(), gradients, followers, precision)
        found += judging.checks()
    return found


def _check_block(
    judging: Judging,
    layer: Layer,
    inputs: blocks.Inputs,
    y: Array,
    dy: Float64,
    gradients: blocks.Inputs,
    followers: Followers,
    precision: Precision,
) -> None:
    description = blocks.block(layer.block)
    wanted_y, pullback = description.oracle(inputs, layer.options)
    bounds = {name: _tensor(bound) for name, bound in description.bound(inputs, layer.options, dy, precision).items()}
    judging.compare("y", y, *followers.forward(_tensor(wanted_y), bounds["y"], slice(None)))
    names = blocks.gradient_names(description.INPUTS, len(inputs))
    for name, got, wanted in zip(names, gradients, pullback(dy), strict=True):
        if got is not None and wanted is not None:
            # A rounding of dy on its way adds no more than the bound, which has at least one for each summand.
            judging.compare(name, got, _tensor(wanted), bounds[name] * (1 + 2 * followers.roundings))


def _value(network: Network, recorded: Recorded, name: str) -> Array:
    return recorded[f"{name}/w" if name in network.parameters else name]


def _sums(network: Network, recorded: Recorded, precision: Precision) -> list[Check]:
    """The initial gradient, and the gradients that are sums over several readers."""
    from mcnbench.step_check import Judging

    parts: dict[str, list[Array]] = {}
    for run in recorded.runs:
        for i, name in enumerate(executor.arguments(run)):
            if name is not None and executor.wanted(name) and len(network.consumers[name]) > 1:
                parts.setdefault(name, []).append(recorded.gradient(run, i))
    found: list[Check] = []
    for name, summands in parts.items():
        judging = Judging(name)
        total = recorded[f"{name}/dw" if name in network.parameters else f"{name}/d"]
        exact = np.sum([part.astype(np.float64) for part in summands], axis=0)
        sums = np.sum([np.abs(part.astype(np.float64)) for part in summands], axis=0)
        judging.compare("d", total, _tensor(exact), _tensor(coefficient(len(summands) - 1, precision.u) * sums))
        found += judging.checks()
    end = network.layers[-1].name
    judging = Judging(end)
    start = np.float64(1 / recorded.batch)
    judging.compare("d", recorded[f"{end}/d"], _tensor(start), _tensor(precision.u * start))
    return found + judging.checks()


def _updates(network: Network, recorded: Recorded, precision: Precision) -> list[Check]:
    """Velocity and weights after the update: v = momentum v + (dw + weight_decay w), w = w - lr v."""
    from mcnbench.step_check import Judging

    u, eta = precision.u, precision.eta
    found: list[Check] = []
    for name in network.parameters:
        w, dw = (recorded.sampled(f"{name}/{kind}").astype(np.float64) for kind in ("w", "dw"))
        v = recorded[f"{name}/v"].astype(np.float64)
        decay = network.weight_decay if name.endswith(".w") else 0.0
        v_new = network.momentum * v + (dw + decay * w)
        w_new = w - network.lr * v_new
        size = network.momentum * np.abs(v) + np.abs(dw) + decay * np.abs(w)
        # Two constants are rounded, two products, two sums; the weights take one product and one sum more.
        v_bound = coefficient(6, u) * size + 4 * eta
        w_bound = coefficient(8, u) * network.lr * size + u * (np.abs(w_new) + np.abs(w)) + 5 * eta
        judging = Judging(name)
        judging.compare("v", recorded[f"{name}/v_new"], _tensor(v_new), _tensor(v_bound))
        judging.compare("w", recorded[f"{name}/w_new"], _tensor(w_new), _tensor(w_bound))
        found += judging.checks()
    return found


_last: dict[tuple[object, ...], Reference] = {}
"""The last step's reference: backends that take the same step are judged one after the other."""


def _whole_step(network: Network, recorded: Recorded, share: float, part: Part) -> tuple[GradientError, ...]:
    from mcnbench.reference_step import reference, relative_error, with_decisions

    values = {name: recorded[name] for name in (IMAGES, LABELS, *network.dropout) if name in recorded}
    start = recorded.initial if recorded.sparse else [_digest(recorded[f"{name}/w"]) for name in network.parameters]
    key = (network.name, network.layers, share, str(start), *map(_digest, values.values()))
    rows = recorded.rows(part)
    if key not in _last:
        _last.clear()
        parameters, peer = _parameters(network, recorded), recorded.sparse is None
        _last[key] = reference(network, values | parameters, share, peer=peer, rows=rows)
    exact, torch_errors = _last[key].gradients, _last[key].torch_errors
    errors = {name: relative_error(recorded[f"{name}/dw"], g, share, rows.get(name)) for name, g in exact.items()}
    decided: Mapping[str, float] = {}
    if not max(errors.values()) <= LARGEST_GRADIENT_ERROR:
        decided = with_decisions(network, recorded, values | _parameters(network, recorded), rows)
    return tuple(GradientError(name, errors[name], torch_errors.get(name), decided.get(name)) for name in errors)


def _parameters(network: Network, recorded: Recorded) -> dict[str, Array]:
    """Before the step; drawn again where not all of them were recorded."""
    if not recorded.sparse:
        return {name: recorded[f"{name}/w"] for name in network.parameters}
    assert recorded.initial is not None, "of later steps than the first, all parameters must be recorded"
    return initial_parameters(network, **recorded.initial)


def _digest(array: Array) -> tuple[Shape, int, int]:
    """Equal for equal arrays, whatever their order in memory."""
    bits = array.view(f"u{array.itemsize}")
    return array.shape, int(np.add.reduce(bits, axis=None, dtype=np.uint64)), crc32(sampled(array).tobytes())


def _tensor(a: Array | np.float64) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(a, np.float64).reshape(np.shape(a)))


if __name__ == "__main__":
    from mcnbench.cli import main
    from mcnbench.verification_table import command

    main(command)

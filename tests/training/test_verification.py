"""Verification of a step: right backends hold, planted faults are found and named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import impl.numpy_cpu as numpy_cpu
import mcnbench
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.backends.torch.training import TorchSteps
from mcnbench.network import Network
from mcnbench.training import Trainer
from mcnbench.verification import GradientError, Verification, judge, record

DATA = Path(__file__).parents[1] / "data"


def verify(network: Network, backend: Backend, folder: Path, steps: int = 2, **options: Any) -> Verification:
    """What is found after so many steps: only then have velocities and biases values that can be wrong."""
    trainer = Trainer(network, backend, 2, seed=1, **options)
    for _ in range(steps):
        trainer.step()
    record(trainer, folder, seed=2)
    return judge(network, folder)


@pytest.mark.parametrize("which", ["chain", "graph"])
@pytest.mark.parametrize(("backend", "variant"), [("numpy", None), ("torch", "contiguous"), ("torch", "channels_last")])
def test_right_backends_hold(
    which: str, backend: str, variant: str | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(which)
    found = verify(network, mcnbench.backend(backend), tmp_path, variant=variant)
    assert (found.verdict, found.message) == ("HOLDS", None)
    assert 0.1 < found.error_ratio <= 1
    assert {g.parameter for g in found.gradients} == set(network.parameters)
    assert max(g.ours for g in found.gradients) < 1e-5
    assert found.error_multiple is not None
    assert 0.2 < found.error_multiple < 5
    judged = {name for check in found.checks for name in check.layers.split("+")}
    assert judged >= {layer.name for layer in network.layers} | set(network.parameters)


def test_the_error_multiple_is_that_of_rounding_not_of_kinks() -> None:
    kink, rounding = GradientError("conv1.w", 1e-3, 5e-7, 6e-7), GradientError("fc8.w", 4e-7, 8e-7)
    assert Verification("HOLDS", None, (), (kink, rounding)).error_multiple == 0.5
    assert Verification("HOLDS", None, (), (kink,)).error_multiple == pytest.approx(2000)


def test_a_part_of_each_convolution_is_enough_to_hold_and_finds_what_is_wrong_everywhere(
    chain: Network, altered: Callable[..., Backend], tmp_path: Path
) -> None:
    trainer = Trainer(chain, mcnbench.backend("numpy"), 2, seed=1)
    trainer.step()
    record(trainer, tmp_path, seed=2)
    found = judge(chain, tmp_path, whole=False, share=0.25)
    assert (found.verdict, found.message) == ("HOLDS", None)
    assert {check.output for check in found.checks} >= {"y", "dx", "dw", "db"}

    for output, wrong in {"y": {"y": np.square}, "dw": {"dw": np.square}, "dx": {"dx": np.square}}.items():
        backend = altered(conv2d=changed(numpy_cpu.conv2d, **wrong), fused={})
        folder = tmp_path / output
        folder.mkdir()
        record(Trainer(chain, backend, 2, seed=1), folder, seed=2)
        found = judge(chain, folder, whole=False, share=0.25)
        assert found.verdict == "VIOLATED"
        assert f" {output}[" in (found.message or "")


def test_what_a_part_names_is_where_it_is(chain: Network, altered: Callable[..., Backend], tmp_path: Path) -> None:
    fifth = put(7.0, slice(None), 5)
    change = changed(numpy_cpu.conv2d, dx=lambda dx: fifth(dx) if dx.shape[1] == 12 else dx)
    backend = altered(conv2d=change, fused={})
    trainer = Trainer(chain, backend, 2, seed=1)
    verdicts, named = set(), set()
    for seed in range(6):
        (tmp_path / str(seed)).mkdir()
        record(trainer, tmp_path / str(seed), seed=seed)
        found = judge(chain, tmp_path / str(seed), whole=False, share=0.2)
        verdicts.add(found.verdict)
        named |= {check.where[1] for check in found.checks if check.output == "dx" and check.ratio > 1}
    assert named == {5}
    assert "VIOLATED" in verdicts
    assert verdicts != {"VIOLATED"}, "each time another part is judged"


def test_float64_holds_too(chain: Network, altered: Callable[..., Backend], tmp_path: Path) -> None:
    assert verify(chain, altered(), tmp_path, dtype="float64").verdict == "HOLDS"
    rounded = altered(conv2d=changed(numpy_cpu.conv2d, y=lambda y: y.astype("f4").astype("f8")), fused={})
    (tmp_path / "rounded").mkdir()
    assert verify(chain, rounded, tmp_path / "rounded", dtype="float64").verdict == "VIOLATED"


Change = Callable[[Array], Array]


def changed(block: Callable[..., Any], y: Change | None = None, **gradients: Change) -> Callable[..., Any]:
    """The block with something done to its output, or to its dx, dw, db."""

    def function(*inputs: Array, **options: Any) -> Any:
        made, own = block(*inputs, **options)

        def pullback(dy: Array) -> tuple[Array | None, ...]:
            made = zip(("dx", "dw", "db"), own(dy), strict=False)
            return tuple(gradients[name](d) if name in gradients and d is not None else d for name, d in made)

        return (y(made) if y else made), pullback

    return function


def put(value: float, *where: Any) -> Change:
    """Sets the elements there to the value."""

    def change(a: Array) -> Array:
        a = a.copy()
        a[where] = value
        return a

    return change


conv2d, conv2d_relu = numpy_cpu.conv2d, numpy_cpu.fused["conv2d", "relu"]


def relu_forgotten(x: Array, w: Array, b: Array | None, *, slope: float, **options: Any) -> Any:
    return conv2d(x, w, b, **options)


def relu_forgotten_backward(x: Array, w: Array, b: Array | None, *, slope: float, **options: Any) -> Any:
    return conv2d_relu(x, w, b, slope=slope, **options)[0], conv2d(x, w, b, **options)[1]


def bias_forgotten(x: Array, w: Array, b: Array | None, **options: Any) -> Any:
    y, pullback = conv2d(x, w, b, **options)
    return (y if b is None else y - b[:, None, None]), pullback


def alpha_divided_by_the_window(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> Any:
    return numpy_cpu.local_response_norm(x, window=window, kappa=kappa, alpha=alpha / window, beta=beta)


def mask_ignored(x: Array, mask: Array) -> Any:
    return x * 1, lambda dy: (dy * 1, None)


def first_call_again() -> Callable[..., Any]:
    """A cache whose key forgets the values."""
    known: dict[Any, Any] = {}

    def function(*inputs: Array, **options: Any) -> Any:
        key = (*(None if a is None else a.shape for a in inputs), str(options))
        if key not in known:
            known[key] = conv2d(*inputs, **options)
        return known[key]

    return function


def momentum_of_the_new_gradient(
    w: Array, v: Array, dw: Array, *, lr: float, momentum: float, weight_decay: float
) -> None:
    """v = momentum (v + dw + decay w)."""
    v[...] = momentum * (v + dw + weight_decay * w)
    w -= lr * v


def nesterov(w: Array, v: Array, dw: Array, *, lr: float, momentum: float, weight_decay: float) -> None:
    gradient = dw + weight_decay * w
    v[...] = momentum * v + gradient
    w -= lr * (gradient + momentum * v)


def decay_on_everything(w: Array, v: Array, dw: Array, *, lr: float, momentum: float, weight_decay: float) -> None:
    v[...] = momentum * v + dw + 0.0005 * w
    w -= lr * v


def decay_outside_momentum(w: Array, v: Array, dw: Array, *, lr: float, momentum: float, weight_decay: float) -> None:
    v[...] = momentum * v + dw
    w -= lr * (v + weight_decay * w)


def ends_before_the_last(w: Array, v: Array, dw: Array, **options: float) -> None:
    last = w.reshape(-1)[-1].copy(), v.reshape(-1)[-1].copy()
    numpy_cpu.sgd(w, v, dw, **options)
    w[(-1,) * w.ndim], v[(-1,) * v.ndim] = last


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    # what is wrong: the functions that replace the backend's; the layers and the output where it must be found
    "dx a little too large": ({"conv2d": changed(conv2d, dx=lambda a: a * np.float32(1.0001))}, "fc4", "dx"),
    "dw scaled": ({"conv2d": changed(conv2d, dw=lambda a: a * 2)}, "fc4", "dw"),
    "db of one filter missing": ({"conv2d": changed(conv2d, db=put(0, 0))}, "fc4", "db"),
    "y through float16": ({"conv2d": changed(conv2d, y=lambda a: a.astype("f2").astype("f4"))}, "fc4", "y"),
    "y of the first image for all": ({"conv2d": changed(conv2d, y=lambda a: a[[0] * len(a)])}, "fc4", "y"),
    "bias forgotten": ({"conv2d": bias_forgotten}, "fc4", "y"),
    "values of the first call": ({"conv2d": first_call_again()}, "fc4", "y"),
    "fused: ReLU forgotten": ({"fused": {("conv2d", "relu"): relu_forgotten}}, "fc3+relu3", "y"),
    "fused: ReLU forgotten backward": ({"fused": {("conv2d", "relu"): relu_forgotten_backward}}, "fc3+relu3", "dw"),
    "fused: dw scaled": ({"fused": {("conv2d", "relu"): changed(conv2d_relu, dw=lambda a: a * 2)}}, "fc3+relu3", "dw"),
    "fused: y a little too large": (
        {"fused": {("conv2d", "relu"): changed(conv2d_relu, y=lambda a: a * np.float32(1.001))}},
        "conv1+relu1",
        "y",
    ),
    "dropout's mask ignored": ({"dropout": mask_ignored}, "drop3", "y"),
    "dropout's scale ignored backward": ({"dropout": changed(numpy_cpu.dropout, dx=lambda a: a * 0.6)}, "drop3", "dx"),
    "alpha divided by the window": ({"local_response_norm": alpha_divided_by_the_window}, "norm1", "y"),
    "last row of the pooling": ({"max_pool2d": changed(numpy_cpu.max_pool2d, y=put(0, ..., -1, 0))}, "pool1", "y"),
    "pooling's gradient doubled": ({"max_pool2d": changed(numpy_cpu.max_pool2d, dx=lambda a: a * 2)}, "pool2", "dx"),
    "softmax's gradient doubled": (
        {"softmax_log_loss": changed(numpy_cpu.softmax_log_loss, dx=lambda a: a * 2)},
        "loss",
        "dx",
    ),
    "momentum of the new gradient": ({"sgd": momentum_of_the_new_gradient}, "fc4.w", "v"),
    "Nesterov's momentum": ({"sgd": nesterov}, "fc4.w", "w"),
    "weight decay on biases": ({"sgd": decay_on_everything}, "fc4.b", "v"),
    "weight decay outside momentum": ({"sgd": decay_outside_momentum}, "fc4.w", "v"),
    "no update": ({"sgd": lambda w, v, dw, **options: None}, "conv1.w", "w"),
    "update without the last element": ({"sgd": ends_before_the_last}, "conv1.w", "w"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found(fault: str, chain: Network, altered: Callable[..., Backend], tmp_path: Path) -> None:
    functions, layers, output = FAULTS[fault]
    found = verify(chain, altered(**functions), tmp_path)
    assert found.verdict == "VIOLATED"
    assert found.message is not None
    assert "error / bound" in found.message
    assert "\n" not in found.message
    assert (layers, output) in {(c.layers, c.output) for c in found.checks if c.ratio > 1}


ONE_IMAGE_HIDES = "y of the first image for all"


def hasty(network: Network, backend: Backend, folder: Path) -> list[Verification]:
    """As a hasty check does: one image, a tenth of each convolution, sparsely recorded; the whole step before only."""
    trainer, found = Trainer(network, backend, 2, seed=1), []
    for place in (folder / "before", folder / "after"):
        place.mkdir()
        record(trainer, place, seed=2 + len(found), batch=1, share=0.1, sparse=True)
        found.append(judge(network, place, whole=not found, share=0.1))
        trainer.step()
    return found


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {ONE_IMAGE_HIDES}))
def test_a_hasty_check_finds_the_planted_faults_too(
    fault: str, chain: Network, altered: Callable[..., Backend], tmp_path: Path
) -> None:
    found = hasty(chain, altered(**FAULTS[fault][0]), tmp_path)
    assert "VIOLATED" in [f.verdict for f in found]
    assert any("error / bound" in (f.message or "") for f in found)


@pytest.mark.parametrize("which", ["chain", "graph"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_sparse_record_is_judged_as_a_full_one(
    which: str, backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(which)
    found = []
    for sparse in (False, True):
        folder = tmp_path / str(sparse)
        folder.mkdir()
        trainer = Trainer(network, mcnbench.backend(backend), 2, seed=1, variant="contiguous")
        record(trainer, folder, seed=2, share=0.25, sparse=sparse)
        found.append(judge(network, folder, share=0.25))
    full, part = found
    assert (part.verdict, part.message) == ("HOLDS", None)
    ratios, all_ratios = ({(c.layers, c.output): c.ratio for c in checks} for checks in (part.checks, full.checks))
    assert ratios == pytest.approx(all_ratios)
    assert {g.parameter for g in part.gradients} == set(network.parameters)
    assert max(g.ours for g in part.gradients) < 1e-5
    assert part.error_multiple is None


@pytest.mark.parametrize("wrong", ["parameters", "filter"])
def test_the_whole_step_of_a_sparse_record_begins_with_the_initial_parameters(
    wrong: str, chain: Network, altered: Callable[..., Backend], tmp_path: Path
) -> None:
    """What no layer by itself can show: other parameters, and a filter that this part of the layer does not include."""

    def one_filter(y: Array) -> Array:
        return y if y.shape[1] != 8 else y * np.where(np.arange(8) == 3, 2, 1).astype(y.dtype)[:, None, None]

    backend = altered() if wrong == "parameters" else altered(conv2d=changed(conv2d, y=one_filter), fused={})
    trainer = Trainer(chain, backend, 2, seed=1)
    if wrong == "parameters":
        trainer._steps.parameters["conv1.w"] *= np.float32(1.1)
    messages = set()
    for seed in range(2, 8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        trainer = Trainer(chain, backend, 2, seed=1) if wrong == "filter" else trainer
        trainer.steps_taken = 0
        record(trainer, folder, seed=seed, share=0.1, sparse=True)
        found = judge(chain, folder, share=0.1)
        assert found.verdict == "VIOLATED"
        messages.add(" in the whole step is off by " in (found.message or ""))
    assert True in messages


def test_the_message_says_where(chain: Network, altered: Callable[..., Backend], tmp_path: Path) -> None:
    wrong = changed(numpy_cpu.max_pool2d, y=put(np.nan, 1, 3, 1, 1))
    found = verify(chain, altered(max_pool2d=wrong), tmp_path, steps=0)
    assert found.message is not None
    assert found.message.startswith("pool1 y[1, 3, 1, 1] is nan, wanted ")


def test_an_output_of_another_shape(chain: Network, altered: Callable[..., Backend], tmp_path: Path) -> None:
    wrong = changed(numpy_cpu.softmax_log_loss, y=lambda a: a.reshape(1))
    found = verify(chain, altered(softmax_log_loss=wrong), tmp_path)
    assert (found.verdict, found.error_ratio) == ("VIOLATED", np.inf)
    assert found.message == "loss y has shape (1,), wanted ()"


def test_wrong_sums_in_a_graph_are_found(graph: Network, tmp_path: Path) -> None:
    """A framework's own step that forgets one reader of a value."""

    class Forgetful(TorchSteps):
        def observed(self, inputs: Any, see: Any) -> None:
            def wrong(name: str, array: Array) -> None:
                see(name, array * np.float32(0.5) if name == "stem_relu/d" else array)

            super().observed(inputs, wrong)

    found = verify(graph, own_step(Forgetful), tmp_path)
    assert found.verdict == "VIOLATED"
    assert any(check.layers == "stem_relu" and check.ratio > 1 for check in found.checks)


def test_an_own_step_that_is_wired_wrongly_is_found(graph: Network, tmp_path: Path) -> None:
    class Crossed(TorchSteps):
        def _run(self, run: Any, given: Any) -> torch.Tensor:
            if run[0].name == "sum":
                given = [given[0], given[1], given[2] + 0 * given[1] * given[2] + given[1]]
            return super()._run(run, given)

    found = verify(graph, own_step(Crossed), tmp_path)
    assert found.verdict == "VIOLATED"


def test_an_own_step_with_the_sum_of_the_losses_is_found(chain: Network, tmp_path: Path) -> None:
    class Summed(TorchSteps):
        def loss(self, inputs: Any, outputs: Any = None, readings: Any = None) -> torch.Tensor:
            return super().loss(inputs, outputs, readings) * len(inputs["images"])

    found = verify(chain, own_step(Summed), tmp_path)
    assert found.verdict == "VIOLATED"
    assert any(check.layers == "loss" and check.output == "d" and check.ratio > 1 for check in found.checks)


def own_step(steps: Callable[..., Any]) -> Backend:
    torch_backend = mcnbench.backend("torch").implementation
    return Backend(
        "own", type("Own", (), {**vars(torch_backend), "training_step": staticmethod(steps), "variants": ()})
    )


def test_a_step_that_shows_nothing_is_mistrusted(
    chain: Network, altered: Callable[..., Backend], tmp_path: Path
) -> None:
    """Biases so low that every ReLU is shut: outputs and gradients are zero, whatever the blocks do."""
    shut = altered(prepare=lambda w: np.full_like(w, -1e6) if w.shape == (12,) else w)
    found = verify(chain, shut, tmp_path, steps=0)
    assert found.verdict == "MISTRUSTED"
    assert found.message is not None
    assert "is almost all zero or below its bound: nothing was shown" in found.message
    assert ("fc3+relu3", "y") in {(c.layers, c.output) for c in found.checks if not c.telling}


def test_a_gradient_that_is_off_by_a_kink_is_held_to_float64_with_the_same_decisions(
    chain: Network, altered: Callable[..., Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here no decision differs, so both float64 steps agree; the limit is set so that the second one is taken."""
    monkeypatch.setattr("mcnbench.verification.LARGEST_GRADIENT_ERROR", 1e-9)
    found = verify(chain, mcnbench.backend("numpy"), tmp_path)
    assert {g.parameter for g in found.gradients} == set(chain.parameters)
    for g in found.gradients:
        assert g.same_decisions is not None
        assert g.same_decisions == pytest.approx(g.ours, rel=1e-6), g.parameter
    assert found.verdict == "VIOLATED"
    assert found.message is not None
    assert found.message.startswith("the gradient of conv1.w in the whole step is off by ")


def test_other_decisions_of_relu_and_maxima_are_no_error(chain: Network, tmp_path: Path) -> None:
    """Float64 steps that decide as another step did: of its maxima and of what its ReLUs let through."""
    from mcnbench.recording import Recorded
    from mcnbench.reference_step import reference, relative_error, with_decisions

    record(Trainer(chain, mcnbench.backend("numpy"), 2, seed=1), tmp_path, seed=2)
    recorded = Recorded(chain, tmp_path)
    names = ("images", "labels", "drop3.mask")
    values = {name: recorded[name] for name in names} | {p: recorded[f"{p}/w"] for p in chain.parameters}
    # Moved so far that many a kink lies between the step as recorded and the one in float64.
    values["images"] = values["images"] + np.random.default_rng(0).standard_normal((2, 4, 19, 17), np.float32)
    plain, decided = reference(chain, values), with_decisions(chain, recorded, values, {})
    for name in ("conv1.w", "conv2.w"):
        assert decided[name] < 0.7 * relative_error(recorded[f"{name}/dw"], plain.gradients[name]), name


def test_the_recording_side_needs_no_torch() -> None:
    code = (
        "import sys, tempfile, pathlib, mcnbench\n"
        "from mcnbench import network\n"
        "from mcnbench.training import Trainer\n"
        "from mcnbench.verification import record\n"
        f"trainer = Trainer(network.load({str(DATA / 'chain.toml')!r}), mcnbench.backend('numpy'), 2)\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    record(trainer, pathlib.Path(folder), seed=1)\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_command_prints_every_layer_and_tells_right_from_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "mcnbench.verification"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # three processes beside those of other tests
    right = subprocess.run([*command, str(DATA / "chain.toml")], capture_output=True, text=True, check=False)
    assert right.returncode == 0, right.stderr
    assert "HOLDS: worst error / bound 0." in right.stdout
    assert "conv1+relu1" in right.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from impl.numpy_cpu import *\nfrom impl.numpy_cpu import conv2d as right\nfused = {}\n"
        "def conv2d(*inputs, **options):\n"
        "    y, pullback = right(*inputs, **options)\n"
        "    return y * 1.01, pullback\n"
    )
    found = subprocess.run(
        [*command, str(DATA / "chain.toml"), "-b", str(wrong)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "VIOLATED: worst error / bound" in found.stdout
    unknown = subprocess.run([*command, "alexnot"], capture_output=True, text=True, check=False)
    assert (unknown.returncode, unknown.stderr) == (2, "mcnbench: unknown network 'alexnot'; did you mean 'alexnet'?\n")

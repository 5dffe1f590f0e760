"""Training steps: on any backend the same, by the formulas; gradients add up; nothing is held longer than needed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import mcnbench
import mcnbench.backends.torch
from mcnbench import executor
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.errors import BadInput
from mcnbench.network import Network
from mcnbench.network_file import parse
from mcnbench.training import Trainer, draw_inputs, initial_parameters

BLOCKS_OF_TORCH = Backend(
    "torch's blocks",
    SimpleNamespace(
        **{
            name: getattr(mcnbench.backends.torch, name)
            for name in dir(mcnbench.backends.torch)
            if name not in ("training_step", "variants")
        }
    ),
)
BACKENDS = {"numpy": mcnbench.backend("numpy"), "torch": mcnbench.backend("torch"), "blocks of torch": BLOCKS_OF_TORCH}


def after_steps(network: Network, backend: Backend, steps: int, **options: Any) -> dict[str, Array]:
    """The parameters before and velocities and gradients of one more step after `steps` on a batch of 3."""
    trainer = Trainer(network, backend, 3, seed=5, **options)
    for _ in range(steps):
        trainer.step()
    seen: dict[str, Array] = {}
    trainer.observed(2, 6, lambda name, array: seen.__setitem__(name, np.array(array)))
    return seen


@pytest.fixture(scope="module")
def exact(chain: Network, graph: Network) -> dict[str, dict[str, Array]]:
    return {
        net.name: after_steps(net, mcnbench.backend("torch"), 3, dtype="float64", variant="contiguous")
        for net in (chain, graph)
    }


@pytest.mark.parametrize("which", ["chain", "graph"])
@pytest.mark.parametrize(
    ("backend", "variant"),
    [
        ("numpy", None),
        ("torch", "contiguous"),
        ("torch", "channels_last"),
        ("blocks of torch", None),
        pytest.param("jax", None, marks=pytest.mark.skipif(not find_spec("jax"), reason="JAX is not installed")),
    ],
)
def test_steps_agree_with_float64(
    which: str, backend: str, variant: str | None, exact: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(which)
    seen = after_steps(network, BACKENDS.get(backend) or mcnbench.backend(backend), 3, variant=variant)
    wanted = exact[network.name]
    for name in network.parameters:
        for kind in ("w", "v", "dw", "w_new", "v_new"):
            difference = np.linalg.norm(seen[f"{name}/{kind}"] - wanted[f"{name}/{kind}"])
            assert difference <= 1e-5 * np.linalg.norm(wanted[f"{name}/{kind}"]), f"{name}/{kind}"
    assert np.isclose(seen["loss"], wanted["loss"], rtol=1e-5)
    assert seen.keys() >= wanted.keys() - {f"{name}/d{i}" for name in wanted for i in range(4)}


def test_the_graph_by_hand(graph: Network) -> None:
    """Gradients of shared parameters and of values with several readers add up, as autograd adds them; one update."""
    start = initial_parameters(graph, 5)
    inputs = draw_inputs(graph, 3, 5)
    p = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    stem = F.relu(F.conv2d(torch.from_numpy(inputs["images"]), p["stem.w"], p["stem.b"], padding=1))
    left = F.relu(F.conv2d(stem, p["left.w"], padding=1))
    total = F.conv2d(left, p["left.w"], padding=1) + F.conv2d(stem, p["right.w"], p["right.b"]) + stem
    pooled = F.max_pool2d(torch.cat((total, left), 1), 2)
    scores = F.conv2d(pooled, p["scores.w"], p["scores.b"])
    F.cross_entropy(scores[:, :, 0, 0], torch.from_numpy(inputs["labels"])[:, 0, 0]).backward()

    trainer = Trainer(graph, mcnbench.backend("numpy"), 3, seed=5)
    trainer.step()
    seen: dict[str, Array] = {}
    trainer.observed(1, 6, lambda name, array: seen.__setitem__(name, np.array(array)))
    for name, w in start.items():
        gradient = p[name].grad
        assert gradient is not None
        decay = 0.0005 if name.endswith(".w") else 0.0
        velocity = gradient.numpy() + decay * w
        assert np.allclose(seen[f"{name}/v"], velocity, rtol=1e-4, atol=1e-5 * np.abs(velocity).max()), name
        assert np.allclose(seen[f"{name}/w"] - w, -0.05 * velocity, rtol=1e-3, atol=1e-3 * np.abs(velocity).max()), name


def test_momentum_and_weight_decay(chain: Network) -> None:
    seen = after_steps(chain, mcnbench.backend("numpy"), 2)
    for name in chain.parameters:
        w, v, dw = (seen[f"{name}/{kind}"].astype(np.float64) for kind in ("w", "v", "dw"))
        decay = 0.0005 if name.endswith(".w") else 0.0
        assert np.abs(v).max() > 0
        assert np.allclose(seen[f"{name}/v_new"], 0.9 * v + dw + decay * w, rtol=1e-5, atol=1e-6 * np.abs(v).max())
        assert np.allclose(seen[f"{name}/w_new"], w - chain.lr * (0.9 * v + dw + decay * w), rtol=1e-6)


def test_parameters_images_and_masks_are_the_same_for_all_and_follow_the_seed(chain: Network) -> None:
    inputs, again, other = draw_inputs(chain, 4, 1), draw_inputs(chain, 4, 1, "float64"), draw_inputs(chain, 4, 2)
    assert set(inputs) == {"images", "labels", "drop3.mask"}
    for name, array in inputs.items():
        assert np.array_equal(array, again[name].astype(array.dtype))
        assert not np.array_equal(array, other[name])
    assert set(np.unique(inputs["drop3.mask"])) == {0, np.float32(1) / np.float32(0.6)}
    assert np.array_equal(draw_inputs(chain, 2, 1)["labels"], inputs["labels"][:2])
    parameters = initial_parameters(chain, 1)
    assert 0.008 < parameters["fc3.w"].std() < 0.012
    assert not parameters["fc3.b"].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_parameters_of_one_folder_are_drawn_once(chain: Network, dtype: str, tmp_path: Path) -> None:
    own = initial_parameters(chain, 1, dtype)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: initial_parameters(chain, 1, dtype, str(tmp_path)), range(4)))
    for parameters in found:
        assert {name: (w.dtype, w.tobytes()) for name, w in parameters.items()} == {
            name: (w.dtype, w.tobytes()) for name, w in own.items()
        }
    drawn = (tmp_path / "fc3.w.npy").stat().st_mtime_ns
    found[0]["fc3.w"] += 1
    again = initial_parameters(chain, 1, dtype, str(tmp_path))
    assert np.array_equal(again["fc3.w"], own["fc3.w"])
    assert (tmp_path / "fc3.w.npy").stat().st_mtime_ns == drawn
    trainer = Trainer(chain, mcnbench.backend("torch"), 2, seed=1, variant="contiguous", shared=str(tmp_path))
    trainer.step()
    assert np.array_equal(initial_parameters(chain, 1, dtype, str(tmp_path))["fc3.w"], own["fc3.w"])


def test_runs_that_a_backend_fuses(chain: Network, graph: Network, altered: Callable[..., Backend]) -> None:
    assert Trainer(chain, mcnbench.backend("numpy"), 1).runs[0] == ("conv1", "relu1")
    runs = Trainer(graph, mcnbench.backend("numpy"), 1).runs
    assert ("left", "left_relu") in runs
    assert ("again",) in runs
    assert all(len(names) == 1 for names in Trainer(chain, altered(fused={}), 1).runs)
    # A ReLU whose convolution somebody else reads too cannot be part of it.
    layers = [
        {"name": "conv", "block": "conv2d", "out_channels": 2, "kernel_size": 1},
        {"name": "relu", "block": "relu"},
        {"name": "sum", "block": "add", "inputs": ["conv", "relu"]},
        {"name": "loss", "block": "softmax_log_loss"},
    ]
    branched = parse({"input": [3, 2, 2], "batch": 1, "layers": layers}, "branched", where="here")
    assert [names for names in Trainer(branched, mcnbench.backend("numpy"), 1).runs if len(names) > 1] == []


def test_the_gradient_of_the_images_is_not_asked_for(chain: Network, altered: Callable[..., Backend]) -> None:
    asked: list[tuple[bool, ...]] = []
    own = mcnbench.backend("numpy").conv2d

    def conv2d(x: Array, w: Array, b: Array | None = None, **options: Any) -> Any:
        y, pullback = own(x, w, b, **options)

        def seen(dy: Array, needs: tuple[bool, ...]) -> Any:
            asked.append(needs)
            return pullback(dy, needs=needs)

        return y, seen

    Trainer(chain, altered(conv2d=conv2d, fused={}), 1).step()
    assert asked[-1] == (False, True, True), "the first layer's, last in the sweep"
    assert asked[:-1] == [(True, True, True), (True, True, True), (True, True, False)], "conv2 has no bias"


def test_a_pullback_that_raises_type_error_is_heard(chain: Network, altered: Callable[..., Backend]) -> None:
    def relu(x: Array, *, slope: float) -> Any:
        def pullback(dy: Array, needs: Any = None) -> Any:
            raise TypeError("my own mistake")

        return x, pullback

    with pytest.raises(TypeError, match="my own mistake"):
        Trainer(chain, altered(relu=relu, fused={}), 1).step()


class Tracked(np.ndarray):
    """An array to which a weak reference can be made."""


class Alive:
    """Counts those of some objects that are still there."""

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []

    def add(self, one: Any) -> Any:
        self._references.append(weakref.ref(one))
        return one

    def __len__(self) -> int:
        return sum(reference() is not None for reference in self._references)


def test_outputs_and_pullbacks_are_released_as_soon_as_nothing_needs_them() -> None:
    layers = [{"name": f"relu{i}", "block": "relu"} for i in range(6)]
    network = parse({"input": [1, 2, 2], "batch": 1, "layers": layers}, "relus", where="here")
    outputs, pullbacks = Alive(), Alive()
    most_outputs, held = 0, []

    class Pullback:
        """Holds nothing of the output."""

        def __call__(self, dy: Array) -> tuple[Array]:
            held.append((len(pullbacks), len(outputs)))
            return (outputs.add(np.array(dy).view(Tracked)),)

    def relu(x: Array, *, slope: float) -> Any:
        nonlocal most_outputs
        y, pullback = outputs.add(np.array(x).view(Tracked)), pullbacks.add(Pullback())
        most_outputs = max(most_outputs, len(outputs))
        return y, pullback

    units = executor.units(network, Backend("tracked", SimpleNamespace(relu=relu)))
    gc.disable()
    try:
        executor.sweep(network, units, {"images": np.ones((1, 1, 2, 2))}, np.ones((1, 1, 2, 2)), lambda name, dw: None)
    finally:
        gc.enable()
    assert most_outputs == 2, "a layer's input and its output, while nothing else holds them"
    # The first layer reads the images, so five pullbacks run. Each finds itself and those before it, and two arrays at
    # the most: the network's output, which is returned, and its own dy.
    assert [count for count, _ in held] == [6, 5, 4, 3, 2]
    assert max(count for _, count in held) <= 2


def test_a_network_without_a_loss_cannot_be_trained() -> None:
    layers = [{"name": "conv", "block": "conv2d", "out_channels": 2, "kernel_size": 1}]
    network = parse({"input": [3, 2, 2], "batch": 1, "layers": layers}, "bare", where="here")
    with pytest.raises(BadInput, match="network 'bare' ends in 'conv', which is not a loss"):
        Trainer(network, mcnbench.backend("numpy"), 1)


def test_a_backend_that_lacks_a_block_says_so(chain: Network, altered: Callable[..., Backend]) -> None:
    with pytest.raises(BadInput, match="backend 'altered' has no block local_response_norm, which layer 'norm1'"):
        Trainer(chain, altered(local_response_norm=None), 1)


def test_a_forward_only_backend_says_so(chain: Network, altered: Callable[..., Backend]) -> None:
    with pytest.raises(BadInput, match="block relu of this backend is forward-only"):
        Trainer(chain, altered(relu=lambda x, slope: (np.maximum(x, 0), None), fused={}), 1).step()


def test_torch_tries_its_memory_formats_and_names_the_faster(chain: Network) -> None:
    trainer = Trainer(chain, mcnbench.backend("torch"), 2)
    assert set(trainer.tried) == {"contiguous", "channels_last"}
    assert trainer.variant == min(trainer.tried, key=lambda name: trainer.tried[name])


def test_torch_pools_without_a_copy_where_ceil_mode_means_the_same() -> None:
    """VGG-F's first pooling, [0 1 0 1]: what a user of PyTorch writes as ceil_mode; and one where it differs."""
    from mcnbench.backends.torch import training

    x = torch.randn(1, 2, 54, 54)
    options: dict[str, Any] = {"window": 3, "stride": 2, "ceil_mode": False}
    node = training.FUNCTIONS["max_pool2d"](x.requires_grad_(), padding=(0, 1, 0, 1), **options).grad_fn
    assert node is not None
    assert node.next_functions[0][0].name().endswith("AccumulateGrad"), "no padding in between"
    for padding in ((0, 1, 0, 1), (0, 2, 0, 2), (1, 0, 1, 0), (1, 1, 1, 1)):
        got = training.FUNCTIONS["max_pool2d"](x, padding=padding, **options)
        want, _ = mcnbench.backends.torch.max_pool2d(x, padding=padding, **options)
        assert torch.equal(got, want), padding

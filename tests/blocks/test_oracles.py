"""The oracles against the printed formulas in 150 digits, where they are hardest to evaluate.

Gradients are central differences in 150 digits: nothing is derived by hand. The oracle's error must be a ten-millionth
of the float32 bound and lie within the float64 bound; the implementations must lie within theirs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from mcnbench import blocks
from mcnbench.bounds import PRECISIONS, error_ratio
from tests.blocks.call import call

mp.dps = 150
STEP = mpf(10) ** -70

exp, log, tanh = (np.frompyfunc(f, 1, 1) for f in (mp.exp, mp.log, mp.tanh))
root = np.frompyfunc(mp.sqrt, 1, 1)


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softmax(x, *, temperature):
    e = exp(x / mpf(temperature))
    return e / e.sum(axis=1, keepdims=True)


def at_label(x, labels):
    return np.take_along_axis(x, labels[:, None], axis=1)


def log_loss(x, labels):
    return np.asarray(-log(at_label(x, labels)).sum())


def softmax_log_loss(x, labels):
    return np.asarray((log(exp(x).sum(axis=1, keepdims=True)) - at_label(x, labels)).sum())


def p_distance(x, target, *, p, root):
    total = (abs(x - target) ** mpf(p)).sum(axis=1, keepdims=True)
    return total ** (1 / mpf(p)) if root else total


def batch_norm(x, gain, bias, *, epsilon, moments=None):
    count = x.size // x.shape[1]
    if moments is None:
        mean = x.sum(axis=(0, 2, 3), keepdims=True) / count
        variance = ((x - mean) ** 2).sum(axis=(0, 2, 3), keepdims=True) / count
    else:
        mean, variance = (exact(a).reshape(1, -1, 1, 1) for a in moments)
    return gain.reshape(1, -1, 1, 1) * (x - mean) / root(variance + mpf(epsilon)) + bias.reshape(1, -1, 1, 1)


def local_response_norm(x, *, window, kappa, alpha, beta):
    y = x.copy()
    for k in range(x.shape[1]):
        group = x[:, max(0, k - (window - 1) // 2) : k + window // 2 + 1]
        y[:, k] *= (mpf(kappa) + mpf(alpha) * (group**2).sum(axis=1)) ** -mpf(beta)
    return y


def spatial_norm(x, *, window, alpha, beta):
    y = x.copy()
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            top, left = i - (window[0] - 1) // 2, j - (window[1] - 1) // 2
            near = x[:, :, max(0, top) : top + window[0], max(0, left) : left + window[1]]
            mean = (near**2).sum(axis=(2, 3)) / (near.shape[2] * near.shape[3])
            y[:, :, i, j] *= (1 + mpf(alpha) * mean) ** -mpf(beta)
    return y


def exact(a):
    return np.frompyfunc(lambda v: mpf(float(v)), 1, 1)(a) if a.dtype.kind == "f" else a


def differentiated(function: Callable[..., Any], inputs: list[Any], dy: Any, options: dict[str, Any]) -> list[Any]:
    """[y, a gradient for each real input] in 150 digits, rounded to float64."""
    arrays, weights = [exact(a) for a in inputs], exact(dy)
    results = [function(*arrays, **options)]
    for which, a in enumerate(arrays):
        if inputs[which].dtype.kind != "f":
            continue
        gradient = np.empty(a.shape, object)
        for at in np.ndindex(*a.shape):
            moved = []
            for sign in (1, -1):
                other = a.copy()
                other[at] += sign * STEP
                moved.append(np.sum(function(*arrays[:which], other, *arrays[which + 1 :], **options) * weights))
            gradient[at] = (moved[0] - moved[1]) / (2 * STEP)
        results.append(gradient)
    return [np.asarray(np.frompyfunc(float, 1, 1)(r), np.float64) for r in results]


def pixel(*values: float) -> Any:
    return np.array(values, np.float32).reshape(1, -1, 1, 1)


RNG = np.random.default_rng(0)
FAR = [-1e4, -745, -104, -89, -88, -20, -1, -1e-4, -1e-30, 0, 1e-30, 1e-4, 1, 20, 88, 89, 104, 710, 1e4]
LINE = np.array(FAR, np.float32).reshape(1, 1, 1, -1)
SCORES = RNG.standard_normal((1, 5, 1, 3)).astype(np.float32)
LABELS = np.array([[[0, 2, 4]]])
BATCH = RNG.standard_normal((2, 2, 2, 2)).astype(np.float32)
GAIN, BIAS = np.array([1.5, -2], np.float32), np.array([0.25, 3], np.float32)
MIXED = (RNG.standard_normal((1, 5, 2, 2)) * 10.0 ** RNG.integers(-3, 4, (1, 5, 2, 2))).astype(np.float32)
MOMENTS = np.array([1e4, 0], np.float32), np.array([1, 1e-3], np.float32)

CASES: list[tuple[str, str, Any, list[Any], dict[str, Any]]] = [
    ("sigmoid", "ends", sigmoid, [LINE], {}),
    ("tanh", "ends", tanh, [LINE], {}),
    ("softmax", "1e4 and more", softmax, [SCORES + 10000], {"temperature": 1.0}),
    ("softmax", "-1e4 and less", softmax, [SCORES - 10000], {"temperature": 1.0}),
    ("softmax", "1e4 apart", softmax, [SCORES * 10000], {"temperature": 1.0}),
    ("softmax", "hot", softmax, [SCORES], {"temperature": 3.0}),
    ("softmax", "gap", softmax, [pixel(0, -40, -95, -103.9, -150)], {"temperature": 1.0}),
    ("softmax_log_loss", "1e4 and more", softmax_log_loss, [SCORES + 10000, LABELS], {}),
    ("softmax_log_loss", "1e4 apart", softmax_log_loss, [SCORES * 10000, LABELS], {}),
    ("softmax_log_loss", "well classified", softmax_log_loss, [pixel(40, 0, 1), LABELS[:, :, :1]], {}),
    ("log_loss", "near 1 and 0", log_loss, [np.array([[[[1 - 2**-24, 1e-38, 0.5]]]], np.float32), 0 * LABELS], {}),
    ("batch_norm", "mean 1e4", batch_norm, [BATCH + 10000, GAIN, BIAS], {"epsilon": 1e-4}),
    ("batch_norm", "constant", batch_norm, [0 * BATCH + np.float32(0.3), GAIN, BIAS], {"epsilon": 1e-4}),
    ("batch_norm", "given", batch_norm, [BATCH + 10000, GAIN, BIAS], {"epsilon": 1e-4, "moments": MOMENTS}),
    (
        "local_response_norm",
        "even",
        local_response_norm,
        [MIXED],
        {"window": 4, "kappa": 2.0, "alpha": 0.1, "beta": 0.75},
    ),
    (
        "local_response_norm",
        "kappa 0",
        local_response_norm,
        [MIXED],
        {"window": 3, "kappa": 0.0, "alpha": 1.0, "beta": 1.3},
    ),
    ("spatial_norm", "even", spatial_norm, [MIXED], {"window": (2, 3), "alpha": 2.0, "beta": 0.5}),
    *(
        ("p_distance", f"p {p} root {root} near", p_distance, [SCORES, SCORES * factor], {"p": p, "root": root})
        for p in (0.5, 1.0, 1.5, 2.0, 3.0)
        for root in (True, False)
        for factor in (np.float32(1 + 2**-22), np.float32(-3))
    ),
]


@pytest.fixture(scope="module", params=CASES, ids=[f"{name}-{what}" for name, what, *_ in CASES])
def case(request):
    """The block's name, inputs, options, dy and the exact [y, gradients ...]."""
    name, _, function, inputs, options = request.param
    shape = np.shape(function(*(exact(a) for a in inputs), **options))
    dy = np.asarray(np.random.default_rng(1).standard_normal(shape), np.float32)
    return name, inputs, options, dy, differentiated(function, inputs, dy, options)


def worst(results: list[Any], case: Any, precision: str) -> float:
    """The largest error / bound against the exact results."""
    name, inputs, options, dy, wanted = case
    description = blocks.block(name)
    bounds = description.bound(inputs, blocks.make_options(name, options), dy, PRECISIONS[precision])
    assert len(bounds) == len(wanted) == len(results)
    ratios = [error_ratio(got, want, bound) for got, want, bound in zip(results, wanted, bounds.values(), strict=True)]
    assert all(np.isfinite(bound).any() for bound in bounds.values())
    return max(float(ratio.max()) for ratio in ratios)


def results(implementation: str, case: Any, dtype: Any) -> list[Any]:
    name, inputs, options, dy, _ = case
    given = {k: tuple(a.astype(dtype) for a in v) if k == "moments" else v for k, v in options.items()}
    cast = [a.astype(dtype) if a.dtype.kind == "f" else a for a in inputs]
    y, pullback = call(implementation, name, *cast, **given)
    return [y, *(g for g in pullback(dy.astype(dtype)) if g is not None)]


@pytest.mark.filterwarnings("error")
def test_oracle(case):
    computed = results("oracle", case, np.float64)
    assert worst(computed, case, "float32") < 1e-7
    assert worst(computed, case, "float64") <= 1


@pytest.mark.parametrize("implementation", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_implementation(case, implementation, dtype):
    assert worst(results(implementation, case, dtype), case, np.dtype(dtype).name) <= 1


def test_oracle_of_float64_data_far_from_zero():
    """float32 data near 1e4 have squares that are exact in float64, which would hide a one-pass variance."""
    inputs = [1.1 * BATCH.astype(np.float64) + 1e4, GAIN.astype(np.float64), BIAS.astype(np.float64)]
    options = {"epsilon": 1e-4}
    dy = np.random.default_rng(1).standard_normal(BATCH.shape)
    case = "batch_norm", inputs, options, dy, differentiated(batch_norm, inputs, dy, options)
    assert worst(results("oracle", case, np.float64), case, "float64") <= 1


def test_gradient_of_a_well_classified_pixel_keeps_its_digits():
    """exp(-40) / s at the label, which softmax - 1 would round to 0: no bound asks for it, other precisions may."""
    _, pullback = call("oracle", "softmax_log_loss", pixel(40, 0), np.zeros((1, 1, 1), np.int64))
    assert pullback(np.ones(()))[0][0, 0].item() == pytest.approx(float(-mp.exp(-40) / (1 + mp.exp(-40))), rel=1e-14)

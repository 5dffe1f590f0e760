"""Each block's bound: right float32 results lie within it, and the mistakes that it is there for lie outside.

The mistakes are float32 programs as people write them. Each is shown where the error exists: softmax without the
maximum taken out, for example, is harmless on small scores.
"""

import numpy as np
import pytest

from mcnbench import blocks
from mcnbench.bounds import PRECISIONS, certain, coefficient, error_ratio, judged, power_error, sum_coefficient
from tests.blocks.call import call
from tests.blocks.samples import make, output_like, sample

F32 = PRECISIONS["float32"]
f32 = np.float32


def ratios(name, inputs, options, dy, results):
    """The worst error / bound of each of `results`, {"y": ..., "dx": ...}, in float32."""
    description, made = blocks.block(name), make(name, options)
    y, pullback = description.oracle(inputs, made)
    bounds = description.bound(inputs, made, dy, F32)
    names = blocks.gradient_names(description.INPUTS, len(inputs))
    wanted = {"y": y, **dict(zip(names, pullback(dy.astype(np.float64)), strict=True))}
    return {k: float(error_ratio(got, wanted[k], bounds[k]).max()) for k, got in results.items()}


def right(backend, name, inputs, options, dy):
    y, pullback = call(backend, name, *inputs, **options)
    names = blocks.gradient_names(blocks.block(name).INPUTS, len(inputs))
    return {"y": y, **{k: g for k, g in zip(names, pullback(dy), strict=True) if g is not None}}


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", blocks.names())
def test_right_results_are_within(name, backend):
    for seed in range(5):
        inputs, options = case = sample(name, seed=seed)
        dy = output_like(name, case, seed)
        worst = ratios(name, inputs, options, dy, right(backend, name, inputs, options, dy))
        assert max(worst.values()) <= 1, worst


@pytest.mark.parametrize("name", blocks.names())
def test_a_relative_error_of_1e_5_and_float16_are_outside(name):
    """Of every output, and of every gradient but those to filters and gains, which are sums that cancel."""
    inputs, options = case = sample(name)
    dy = output_like(name, case)
    results = {k: v for k, v in right("numpy", name, inputs, options, dy).items() if k[:2] in ("y", "dx")}
    with np.errstate(over="ignore"):
        for spoil in (lambda a: a * f32(1 + 1e-5), lambda a: a.astype(np.float16).astype(f32)):
            worst = ratios(name, inputs, options, dy, {k: spoil(v) for k, v in results.items()})
            assert min(worst.values()) > 1, worst


RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 8, 5, 4)).astype(f32)
DY = RNG.standard_normal(X.shape).astype(f32)
LABELS = RNG.integers(0, 8, (2, 5, 4))
BATCH = RNG.standard_normal((4, 3, 4, 4)).astype(f32)
GAIN, BIAS = np.array([1, 2, -1.5], f32), np.array([0, 1, 2], f32)
POSITIVE = np.linspace(0.5, 1, X.size, dtype=f32).reshape(X.shape)


def normalised(x, gain, bias, mean, variance, epsilon=1e-4):
    row = (1, -1, 1, 1)
    return gain.reshape(row) * (x - mean) / np.sqrt(variance + f32(epsilon)) + bias.reshape(row)


def one_pass(x, gain, bias):
    mean = x.mean((0, 2, 3), keepdims=True)
    return normalised(x, gain, bias, mean, (x * x).mean((0, 2, 3), keepdims=True) - mean * mean)


def unbiased(x, gain, bias):
    return normalised(x, gain, bias, x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True, ddof=1))


def epsilon_outside(x, gain, bias):
    variance = (x.std((0, 2, 3), keepdims=True) + f32(1e-4)) ** 2
    return normalised(x, gain, bias, x.mean((0, 2, 3), keepdims=True), variance, epsilon=0)


def exp_of_difference_to_log_sum(x):
    top = x.max(1, keepdims=True)
    return np.exp(x - (top + np.log(np.exp(x - top).sum(1, keepdims=True))))


def label_of(x, labels=LABELS):
    return np.take_along_axis(x, labels[:, None], 1)


def log_sum_first(x, labels):
    top = x.max(1, keepdims=True)
    return np.asarray(((top + np.log(np.exp(x - top).sum(1, keepdims=True))) - label_of(x, labels)).sum())


def plain_softmax(x):
    e = np.exp(x)
    return e / e.sum(1, keepdims=True)


def channel_sums(squares, before, after):
    padded = np.pad(squares, ((0, 0), (before, after), (0, 0), (0, 0)))
    return sum(padded[:, i : i + squares.shape[1]] for i in range(before + after + 1))


def lrn(x, sums, alpha=0.1):
    return x * (f32(2) + f32(alpha) * sums) ** f32(-0.75)


def sliding(x):
    """Windows of 3 channels, the new square added and the old one subtracted."""
    squares = np.pad(x * x, ((0, 0), (1, 2), (0, 0), (0, 0)))
    total = squares[:, 0:3].sum(1)
    sums = np.empty_like(x)
    for k in range(x.shape[1]):
        sums[:, k] = total
        if k + 1 < x.shape[1]:
            total = total + squares[:, k + 3] - squares[:, k]
    return lrn(x, sums)


def summed_area(x):
    """3 x 3 means from a table of sums over rectangles."""
    table = np.pad(x.cumsum(2, dtype=f32).cumsum(3, dtype=f32), ((0, 0), (0, 0), (1, 0), (1, 0)))
    sums = table[:, :, 3:, 3:] - table[:, :, :-3, 3:] - table[:, :, 3:, :-3] + table[:, :, :-3, :-3]
    return sums / f32(9)


def padded_mean(x):
    """3 x 3 means that count the padding."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3)).mean((4, 5), dtype=f32)


def tf32(a):
    """Rounded to 11 significant bits, as tensor cores round the factors."""
    mantissa, exponent = np.frexp(a)
    return np.ldexp(np.round(mantissa * 2048) / 2048, exponent).astype(f32)


def matmul(x, w):
    return np.einsum("nchw,kc->nkhw", x, w[:, :, 0, 0])


def float16_sums(x, w):
    total = np.zeros((2, 4, 5, 4), np.float16)
    for c in range(8):
        total += (x[:, c : c + 1] * w[:, c, 0, 0].reshape(1, 4, 1, 1)).astype(np.float16)
    return total.astype(f32)


WEIGHTS = RNG.standard_normal((4, 8, 1, 1)).astype(f32)
LRN = {"window": 5, "kappa": 2.0, "alpha": 0.1, "beta": 0.75}
SCALES = (X * 10.0 ** np.where(np.arange(8) % 4 == 0, 4, -2).reshape(1, 8, 1, 1)).astype(f32)
MEAN_1 = (1 + RNG.standard_normal((1, 1, 32, 32))).astype(f32)
FAR = f32(10000)


def mistakes():
    """Name: block, inputs, options, the wrong y. Overflow is part of some of them."""
    return {
        "conv2d: float16 accumulation": ("conv2d", [X, WEIGHTS, None], {}, float16_sums(X, WEIGHTS)),
        "conv2d: TF32 products": ("conv2d", [X, WEIGHTS, None], {}, matmul(tf32(X), tf32(WEIGHTS))),
        "batch_norm: one-pass variance, mean 100": (
            "batch_norm",
            [BATCH + 100, GAIN, BIAS],
            {},
            one_pass(BATCH + f32(100), GAIN, BIAS),
        ),
        "batch_norm: one-pass variance, mean 1e4": (
            "batch_norm",
            [BATCH + FAR, GAIN, BIAS],
            {},
            one_pass(BATCH + FAR, GAIN, BIAS),
        ),
        "batch_norm: unbiased variance": ("batch_norm", [BATCH, GAIN, BIAS], {}, unbiased(BATCH, GAIN, BIAS)),
        "batch_norm: epsilon outside the root": (
            "batch_norm",
            [BATCH, GAIN, BIAS],
            {},
            epsilon_outside(BATCH, GAIN, BIAS),
        ),
        "softmax: maximum not taken out": ("softmax", [X + FAR], {}, plain_softmax(X + FAR)),
        "softmax: exp(x - logsumexp)": ("softmax", [X + FAR], {}, exp_of_difference_to_log_sum(X + FAR)),
        "softmax: exponential through float16": (
            "softmax",
            [X],
            {},
            plain_softmax(np.log(np.exp(X).astype(np.float16).astype(f32))),
        ),
        "softmax_log_loss: log(softmax)": (
            "softmax_log_loss",
            [X * FAR, LABELS],
            {},
            -np.log(label_of(exp_of_difference_to_log_sum(X * FAR))).sum(),
        ),
        "softmax_log_loss: maximum not taken out": (
            "softmax_log_loss",
            [X * 40, LABELS],
            {},
            (np.log(np.exp(X * 40).sum(1, keepdims=True)) - label_of(X * 40)).sum(),
        ),
        "softmax_log_loss: log-sum-exp first": (
            "softmax_log_loss",
            [X[:1, :, :1, :1] + FAR, LABELS[:1, :1, :1]],
            {},
            log_sum_first(X[:1, :, :1, :1] + FAR, LABELS[:1, :1, :1]),
        ),
        "sigmoid: exp / (1 + exp)": ("sigmoid", [X * 100], {}, np.exp(X * 100) / (1 + np.exp(X * 100))),
        "sigmoid: 1 - 1 / (1 + exp)": ("sigmoid", [X * 5], {}, 1 - 1 / (1 + np.exp(X * 5))),
        "sigmoid: (1 + tanh) / 2": ("sigmoid", [X * 5], {}, (1 + np.tanh(X * f32(2.5))) / 2),
        "tanh: (e^2x - 1) / (e^2x + 1)": ("tanh", [X / 100], {}, (np.exp(X / 50) - 1) / (np.exp(X / 50) + 1)),
        "tanh: the same, large": ("tanh", [X * 100], {}, (np.exp(X * 200) - 1) / (np.exp(X * 200) + 1)),
        "tanh: 2 sigmoid(2x) - 1": ("tanh", [X / 100], {}, 2 / (1 + np.exp(-X / 50)) - 1),
        "lrn: alpha divided by the window": (
            "local_response_norm",
            [X],
            LRN,
            lrn(X, channel_sums(X * X, 2, 2), 0.1 / 5),
        ),
        "lrn: a window of 3 for 5": ("local_response_norm", [X], LRN, lrn(X, channel_sums(X * X, 1, 1))),
        "lrn: an even window leans down": (
            "local_response_norm",
            [X],
            {**LRN, "window": 4},
            lrn(X, channel_sums(X * X, 2, 1)),
        ),
        "lrn: sliding sums": ("local_response_norm", [SCALES], {**LRN, "window": 3}, sliding(SCALES)),
        "spatial_norm: mean over the padding": (
            "spatial_norm",
            [X],
            {"window": 3, "alpha": 0.1, "beta": 0.75},
            X * (1 + f32(0.1) * padded_mean(X * X)) ** f32(-0.75),
        ),
        "avg_pool2d: padding counted": ("avg_pool2d", [X], {"window": 3, "padding": 1}, padded_mean(X)),
        "avg_pool2d: summed-area table": ("avg_pool2d", [MEAN_1], {"window": 3}, summed_area(MEAN_1)),
        "log_loss: 1e-6 added in the log": (
            "log_loss",
            [POSITIVE, LABELS],
            {},
            -np.log(label_of(POSITIVE) + f32(1e-6)).sum(),
        ),
        "log_loss: absolute error of the log": (
            "log_loss",
            [1 - X * X / 10**5, LABELS],
            {},
            -(np.log(label_of(1 - X * X / 10**5)) + f32(2**-21)).sum(),
        ),
        "p_distance: x^2 - 2 x t + t^2": (
            "p_distance",
            [X, X * f32(1.001)],
            {"p": 2.0, "root": False},
            (X * X - 2 * X * (X * f32(1.001)) + (X * f32(1.001)) ** 2).sum(1, keepdims=True),
        ),
        "p_distance: 1e-6 added to the difference": (
            "p_distance",
            [X, X * f32(1.001)],
            {"p": 1.0},
            (np.abs(X - X * f32(1.001)) + f32(1e-6)).sum(1, keepdims=True),
        ),
        "add: through float16": ("add", [X, DY], {}, (X.astype(np.float16) + DY.astype(np.float16)).astype(f32)),
        "max_pool2d: padded by zeros": (
            "max_pool2d",
            [-POSITIVE],
            {"window": 3, "padding": 1},
            np.lib.stride_tricks.sliding_window_view(
                np.pad(-POSITIVE, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3)
            ).max((4, 5)),
        ),
    }


with np.errstate(all="ignore"):
    FAULTS = mistakes()


@pytest.mark.parametrize("fault", FAULTS)
def test_mistakes_are_outside(fault):
    name, inputs, options, wrong = FAULTS[fault]
    dy = output_like(name, (inputs, options))
    good = ratios(name, inputs, options, dy, {"y": right("numpy", name, inputs, options, dy)["y"]})["y"]
    bad = ratios(name, inputs, options, dy, {"y": np.asarray(wrong)})["y"]
    assert good <= 1 < bad, f"right {good:.3g}, wrong {bad:.3g}"


def test_batch_norm_gradient_without_the_variance_term():
    inputs, dy = [BATCH, GAIN, BIAS], RNG.standard_normal(BATCH.shape).astype(f32)
    scale = GAIN.reshape(1, -1, 1, 1) / np.sqrt(BATCH.var((0, 2, 3), keepdims=True) + f32(1e-4))
    wrong = scale * (dy - dy.mean((0, 2, 3), keepdims=True))
    assert ratios("batch_norm", inputs, {}, dy, {"dx": wrong})["dx"] > 1


def test_epsilon_outside_the_root_shows_in_the_gradient_of_a_constant_channel():
    x, dy = np.full(BATCH.shape, 0.5, f32), RNG.standard_normal(BATCH.shape).astype(f32)
    wrong = GAIN.reshape(1, -1, 1, 1) / f32(1e-4) * (dy - dy.mean((0, 2, 3), keepdims=True))
    assert ratios("batch_norm", [x, GAIN, BIAS], {}, dy, {"dx": wrong})["dx"] > 100


def test_gradients_to_the_wrong_channels_window():
    """LRN's gradient sums over the windows that see an element: for an even window that is the window mirrored."""
    options = {**LRN, "window": 4}
    d = f32(2) + f32(0.1) * channel_sums(X * X, 1, 2)

    def gradient(before, after):
        return DY * d ** f32(-0.75) - f32(0.15) * X * channel_sums(DY * X * d ** f32(-1.75), before, after)

    assert ratios("local_response_norm", [X], options, DY, {"dx": gradient(2, 1)})["dx"] <= 1
    assert ratios("local_response_norm", [X], options, DY, {"dx": gradient(1, 2)})["dx"] > 1


def test_equal_summands_need_the_certain_coefficient():
    """Adding one number again and again rounds alike each time, which the probable bound excludes."""
    count = 100_000
    a = np.full(count, 0.1, f32)
    total = np.cumsum(a, dtype=f32)[-1]
    error = abs(float(total) - float(a.astype(np.float64).sum()))
    magnitude = float(np.abs(a).astype(np.float64).sum())
    assert error > coefficient(count, F32.u) * magnitude
    assert error <= sum_coefficient(a.astype(np.float64), 0, F32.u) * magnitude


def test_varied_summands_get_the_probable_coefficient():
    a = np.random.default_rng(0).standard_normal((2, 100_000))
    assert (sum_coefficient(a, 1, F32.u, axis=(1,)) == coefficient(100_001, F32.u)).all()
    assert coefficient(100_001, F32.u) < certain(100_001, F32.u) / 10
    a[0] = 1 + 1e-5 * a[0]  # spread far below the mean
    a[1] = np.sign(a[1])  # two values
    assert (sum_coefficient(a, 1, F32.u, axis=(1,)) == certain(100_001, F32.u)).all()


def test_constant_images_and_filters_get_the_certain_coefficient():
    x, w = np.full((1, 100, 3, 3), 0.1, f32), np.full((1, 100, 3, 3), 0.1, f32)
    dy = np.ones((1, 1, 1, 1), f32)
    constant = blocks.block("conv2d").bound([x, w, None], make("conv2d", {}), dy, F32)["y"]
    total = float((x.astype(np.float64) * w).sum())
    assert constant == pytest.approx(certain(900, F32.u) * total, rel=1e-9)
    x = RNG.random(x.shape).astype(f32)
    varied = blocks.block("conv2d").bound([x, w, None], make("conv2d", {}), dy, F32)["y"]
    assert varied == pytest.approx(coefficient(900, F32.u) * float((x.astype(np.float64) * w).sum()), rel=1e-9)


def test_power_error_covers_the_ends_of_the_base():
    rng = np.random.default_rng(0)
    base, error = rng.uniform(0.1, 10, 1000), 10.0 ** rng.uniform(-8, -1.5, 1000)
    for exponent in (-0.75, 0.5, 3.0):
        bound = power_error(base, error, exponent, F32.u)
        for end in (base - error, base + error):
            assert (np.abs(end**exponent / base**exponent - 1) <= bound).all()
    assert power_error(np.ones(1), np.ones(1), -0.5, F32.u) == np.inf
    assert power_error(np.ones(1), np.ones(1), 0, F32.u) == 0


def test_judged_and_error_ratio():
    inf, nan = np.inf, np.nan
    value, bound = np.array([1, F32.big, 1, 1]), np.array([1e-7, 1e-7, nan, 1e-7])
    assert judged(bound, value, F32).tolist() == [1e-7, inf, inf, 1e-7]
    assert judged(bound, value, F32, np.array([1, 1, 1, inf])).tolist() == [1e-7, inf, inf, inf]
    assert judged(np.array(1e-7), np.array(1.0), PRECISIONS["float64"]) == 2e-7
    got, wanted = np.array([1, 2, nan, inf, nan, 1, -inf, 3]), np.array([1, 1, nan, inf, 1, nan, inf, 4])
    assert error_ratio(got, wanted, np.full(8, 0.5)).tolist() == [0, 2, 0, 0, inf, inf, inf, 2]
    assert error_ratio(got, wanted, np.zeros(8)).tolist() == [0, inf, 0, 0, inf, inf, inf, inf]
    assert error_ratio(got, wanted, np.full(8, inf)).tolist() == [0] * 8


@pytest.mark.parametrize("name", ["conv2d", "softmax_log_loss", "batch_norm", "local_response_norm", "p_distance"])
def test_overflow_is_not_judged(name):
    """The bound of results that may overflow is inf, not NaN and not a number."""
    inputs, options = sample(name)
    inputs[0] = np.full_like(inputs[0], np.finfo(f32).max)
    if name == "softmax_log_loss":
        inputs[0][:, ::2] *= -1
    dy = output_like(name, (inputs, options))
    assert np.isinf(blocks.block(name).bound(inputs, make(name, options), dy, F32)["y"]).any()
    for bound in blocks.block(name).bound(inputs, make(name, options), dy, F32).values():
        assert not np.isnan(bound).any()


def test_p_distance_that_overflows_is_judged_nowhere():
    """D = inf makes 0 * inf of the gradient also where the difference is 0."""
    x, target = np.array([1e30, 2], f32).reshape(1, 2, 1, 1), np.array([0, 2], f32).reshape(1, 2, 1, 1)
    bounds = blocks.block("p_distance").bound(
        [x, target], make("p_distance", {"p": 2.0}), np.ones((1, 1, 1, 1), f32), F32
    )
    assert all(np.isinf(bound).all() for bound in bounds.values())

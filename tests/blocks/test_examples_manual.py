"""What the MatConvNet manual (chapters 4 and 6) and MatConvNet's code define, in numbers to be checked by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.blocks.call import IMPLEMENTATIONS, call, on_maps

pytestmark = pytest.mark.parametrize("backend", IMPLEMENTATIONS)


def channels(*values):
    """One pixel with these channels."""
    return np.array(values, np.float64).reshape(1, -1, 1, 1)


def test_convolution_does_not_flip_and_pads_top_bottom_left_right(backend):
    """Section 4.1: correlation; padding is (top, bottom, left, right)."""
    y, *_ = on_maps(backend, "conv2d", [[1, 2], [3, 4]], [[1, 10]], padding=(1, 0, 0, 2))
    assert_array_equal(y, [[0, 0, 0], [21, 2, 0], [43, 4, 0]])


def test_convolution_figure_4_1(backend):
    """Section 4.1, Figure 4.1: H' = 4, stride 2, padding 2 and 3; the last padded sample is never used."""
    x = np.arange(1, 7).reshape(6, 1)
    y, dx, *_ = on_maps(backend, "conv2d", x, np.array([[1], [10], [100], [1000]]), stride=(2, 1), padding=(2, 3, 0, 0))
    assert_array_equal(y, [2100, 4321, 6543, 65])
    assert_array_equal(dx, [101, 1010, 101, 1010, 101, 1010])


def test_filter_groups(backend):
    """Section 4.1: the first group of filters sees the first D' channels, and so on."""
    x = np.arange(1.0, 5).reshape(1, 4, 1, 1)
    w = np.array([[1, 10], [100, 1000], [1, 10], [100, 1000]], np.float64).reshape(4, 2, 1, 1)
    y, pullback = call(backend, "conv2d", x, w, None, groups=2)
    assert_array_equal(y.ravel(), [21, 2100, 43, 4300])
    dx, dw, db = pullback(np.arange(1.0, 5).reshape(1, 4, 1, 1))
    assert_array_equal(dx.ravel(), [201, 2010, 403, 4030])
    assert_array_equal(dw.reshape(4, 2), [[1, 2], [2, 4], [9, 12], [12, 16]])
    assert db is None


def test_transposed_convolution_upsamples_and_crops(backend):
    """Section 4.2: H'' = S (H - 1) + H' - crops; the filters' axes are (C, K / groups, R, S)."""
    y, *_ = on_maps(backend, "conv_transpose2d", [[1, 2, 3]], [[1, 10, 100, 1000]], stride=2)
    assert_array_equal(y, [1, 10, 102, 1020, 203, 2030, 300, 3000])
    y, *_ = on_maps(backend, "conv_transpose2d", [[1, 2, 3]], [[1, 10, 100, 1000]], stride=2, padding=(0, 0, 2, 3))
    assert_array_equal(y, [102, 1020, 203])
    x, w = channels(1, 2), np.array([[1, 10, 100], [1000, 10000, 100000]], np.float64).reshape(2, 3, 1, 1)
    y, _ = call(backend, "conv_transpose2d", x, w, np.array([1.0, 2, 3]))
    assert_array_equal(y.ravel(), [2002, 20012, 200103])
    y, _ = call(backend, "conv_transpose2d", x, w, None, groups=2)
    assert_array_equal(y.ravel(), [1, 10, 100, 2000, 20000, 200000])


def test_transposed_convolution_is_the_transpose(backend):
    """Section 4.2: vec y = M^T vec x, where M is the convolution: here the two Jacobians of one geometry."""
    rng = np.random.default_rng(0)
    w = rng.integers(-3, 4, (4, 2, 3, 2)).astype(np.float64)
    options = {"stride": (2, 3), "padding": (1, 0, 1, 1), "groups": 2}
    x = rng.integers(-3, 4, (2, 4, 5, 4)).astype(np.float64)
    dy = rng.integers(-3, 4, call(backend, "conv2d", x, w, None, **options)[0].shape).astype(np.float64)
    dx = call(backend, "conv2d", x, w, None, **options)[1](dy)[0]
    y, pullback = call(backend, "conv_transpose2d", dy, w, None, **options)
    assert_array_equal(y, dx[:, :, : y.shape[2], : y.shape[3]])
    assert (dx[:, :, y.shape[2] :] == 0).all()
    cut = x[:, :, : y.shape[2], : y.shape[3]]
    assert_array_equal(pullback(cut)[0], call(backend, "conv2d", cut, w, None, **options)[0])


def test_average_divides_by_the_pixels_inside_the_image(backend):
    """Section 4.3: "the normalization factor at the boundaries is smaller"; windows of 1, 2 and 4 pixels here."""
    y, dx = on_maps(backend, "avg_pool2d", [[4, 8], [12, 16]], window=2, padding=1, stride=1)
    assert_array_equal(y, [[4, 6, 8], [8, 10, 12], [12, 14, 16]])
    assert_array_equal(dx, np.full((2, 2), 1 + 0.5 + 0.5 + 0.25))


def test_pooling_padding_sides_and_caffe_sizes(backend):
    """Sections 4.3 and 5.2.1: padding (top, bottom, left, right); in ceil mode the last window may reach beyond."""
    y, _ = on_maps(backend, "max_pool2d", [[1, 2, 3], [4, 5, 6]], window=2, stride=2, padding=(1, 0, 0, 1))
    assert_array_equal(y, [2, 3])
    y, _ = on_maps(
        backend, "max_pool2d", [[1, 2, 3], [4, 5, 6]], window=2, stride=2, padding=(1, 0, 0, 1), ceil_mode=True
    )
    assert_array_equal(y, [[2, 3], [5, 6]])
    y, _ = on_maps(backend, "avg_pool2d", [[1, 2, 3, 4, 5]], window=(1, 2), stride=2, ceil_mode=True)
    assert_array_equal(y, [1.5, 3.5, 5])


def test_max_pooling_propagates_nan_and_ignores_padding(backend):
    """design: NaN propagates (MatConvNet's own ignores it), padding is -inf."""
    x = np.array([[1, 2, 3], [np.nan, 5, 6], [7, -np.inf, 9]])
    y, _ = on_maps(backend, "max_pool2d", x, window=2)
    assert_array_equal(y, [[np.nan, 6], [np.nan, 9]])
    y, _ = on_maps(backend, "max_pool2d", x - 100, window=(2, 1), stride=2, padding=(1, 0, 0, 0))
    assert_array_equal(y, [[-99, -97], [np.nan, -91]])


def test_leaky_relu_at_zero_and_nan(backend):
    """vl_nnrelu: the leak applies at x <= 0, so the derivative at 0 is the slope."""
    y, dx = on_maps(backend, "relu", [[-2, -0.0, 0, 3]], slope=0.5)
    assert_array_equal(y, [-1, 0, 0, 3])
    assert_array_equal(dx, [0.5, 0.5, 0.5, 1])
    y, _ = on_maps(backend, "relu", [[np.nan, np.inf, -np.inf]])
    assert_array_equal(y, [np.nan, np.inf, 0])


@pytest.mark.parametrize(
    ("window", "sums"),
    # The squares of 1, 2, 3, 4 are 1, 4, 9, 16. Even windows reach further up: k .. k + 1, and k - 1 .. k + 2.
    [(1, (1, 4, 9, 16)), (2, (5, 13, 25, 16)), (3, (5, 14, 29, 25)), (4, (14, 30, 29, 25)), (9, (30, 30, 30, 30))],
)
def test_local_response_norm_window(backend, window, sums):
    """Section 4.5.1 with kappa = 0, alpha = 1, beta = 1, so that y = x / sum; an even window leans upwards."""
    y, _ = call(backend, "local_response_norm", channels(1, 2, 3, 4), window=window, kappa=0.0, alpha=1.0, beta=1.0)
    assert_allclose(y.ravel(), np.arange(1, 5) / np.array(sums), rtol=1e-14)


def test_local_response_norm_gradient(backend):
    """Section 6.5.1 for an even window, kappa = 1, alpha = 1, beta = 1, by hand: D = 1 + 1 + 4, 1 + 4."""
    _, pullback = call(backend, "local_response_norm", channels(1, 2), window=2, kappa=1.0, alpha=1.0, beta=1.0)
    (dx,) = pullback(channels(1, 10))
    first = 1 / 6 - 2 * 1 * (1 * 1 / 36)
    second = 10 / 5 - 2 * 2 * (1 * 1 / 36 + 10 * 2 / 25)
    assert_allclose(dx.ravel(), [first, second], rtol=1e-14)


def test_batch_norm_has_the_biased_variance_and_epsilon_inside_the_root(backend):
    """Section 4.5.2 by hand: values 1, 3 have mean 2 and variance 1; sqrt(1 + 3) = 2."""
    x, gain, bias = np.array([1.0, 3]).reshape(2, 1, 1, 1), np.array([4.0]), np.array([10.0])
    y, pullback = call(backend, "batch_norm", x, gain, bias, epsilon=3.0)
    assert_allclose(y.ravel(), [8, 12], rtol=1e-14)
    dx, dgain, dbias = pullback(np.array([1.0, 2]).reshape(2, 1, 1, 1))
    assert_allclose(dgain, [0.5], rtol=1e-14)  # (-1 * 1 + 1 * 2) / 2
    assert_allclose(dbias, [3], rtol=1e-14)
    # Section 6.5.2: gain / 2 (dy - 3 / 2 -+ 1 / 2 * 0.5 / 2)
    assert_allclose(dx.ravel(), [2 * (1 - 1.5 + 0.125), 2 * (2 - 1.5 - 0.125)], rtol=1e-13)


def test_batch_norm_with_given_moments_is_affine(backend):
    """Inference: y = gain (x - mean) / sqrt(variance + epsilon) + bias, and no gradient through the moments."""
    x = np.array([1.0, 3, 5, 7]).reshape(1, 2, 1, 2)
    moments = np.array([1.0, 5]), np.array([3.0, 15])
    y, pullback = call(backend, "batch_norm", x, np.array([2.0, 4]), np.array([1.0, -1]), epsilon=1.0, moments=moments)
    assert_allclose(y.ravel(), [1, 3, -1, 1], rtol=1e-14)
    dx, dgain, dbias = pullback(np.ones((1, 2, 1, 2)))
    assert_allclose(dx.ravel(), [1, 1, 1, 1], rtol=1e-14)
    assert_allclose(dgain, [1, 0.5], rtol=1e-14)
    assert_allclose(dbias, [2, 2], rtol=1e-14)


def test_batch_norm_mean_far_above_the_deviation(backend):
    """Mean 1e4, deviation 1, in float32: E[x^2] - mean^2 has no digit left there. 1e4 and 1e4 + 2 are exact."""
    x = (1e4 + 2 * (np.arange(64) % 2)).astype(np.float32).reshape(4, 1, 4, 4)
    y, _ = call(backend, "batch_norm", x, np.ones(1, np.float32), np.zeros(1, np.float32), epsilon=0.0)
    assert_allclose(y, x - np.float32(10001), atol=1e-6)


@pytest.mark.parametrize(
    ("window", "first"),
    # 2: the pixel and the one after it; 3: one before (cropped) and one after; 4: the pixel, one before, two after.
    [(1, 1), (2, (1 + 4) / 2), (3, (1 + 4) / 2), (4, (1 + 4 + 9) / 3)],
)
def test_spatial_norm_window(backend, window, first):
    """Sections 4.5.3 and 6.5.3: floor((W' - 1) / 2) before the pixel, the mean over the pixels inside the image."""
    y, _ = on_maps(backend, "spatial_norm", [[1, 2, 3, 4]], window=(1, window), alpha=2.0, beta=1.0)
    assert_allclose(y[0], 1 / (1 + 2 * first), rtol=1e-14)


def test_spatial_norm_gradient(backend):
    """Section 6.5.3 by hand: x = 1, 2, window 2, alpha = 1, beta = 1: n2 = 5 / 2 and 4 / 1."""
    _, dx = on_maps(backend, "spatial_norm", [[1, 2]], dy=[[1, 10]], window=(1, 2), alpha=1.0, beta=1.0)
    d, e = 1 + 5 / 2, 1 + 4
    first = 1 / d - 2 * 1 * (1 * 1 / d**2 / 2)
    second = 10 / e - 2 * 2 * (1 * 1 / d**2 / 2 + 10 * 2 / e**2)
    assert_allclose(dx, [first, second], rtol=1e-13)


def test_softmax_gradient(backend):
    """Section 6.5.4 for two channels: dx = y0 y1 (dy0 - dy1) / T; log 3 gives 3/4 and 1/4."""
    x = channels(2 * np.log(3), 0)
    y, pullback = call(backend, "softmax", x, temperature=2.0)
    assert_allclose(y.ravel(), [0.75, 0.25], rtol=1e-14)
    assert_allclose(pullback(channels(16, 0))[0].ravel(), [1.5, -1.5], rtol=1e-13)


def test_losses_sum_over_images_and_pixels(backend):
    """Sections 4.6.1 and 4.6.2: the plain sum of -log x at the labels, here four times 1/4."""
    x = np.full((2, 4, 1, 2), 0.25)
    labels = np.array([0, 1, 2, 3]).reshape(2, 1, 2)
    y, pullback = call(backend, "log_loss", x, labels)
    assert y.shape == ()
    assert_allclose(y, 4 * np.log(4), rtol=1e-14)
    dx, none = pullback(np.array(0.5))
    assert none is None
    assert_array_equal(dx, np.where(labels[:, None] == np.arange(4).reshape(1, 4, 1, 1), -2, 0))
    y, pullback = call(backend, "softmax_log_loss", np.log(x), labels)
    assert_allclose(y, 4 * np.log(4), rtol=1e-14)
    dx, none = pullback(np.array(2.0))
    assert none is None
    assert_allclose(dx, np.where(labels[:, None] == np.arange(4).reshape(1, 4, 1, 1), -1.5, 0.5), rtol=1e-14)


def test_log_loss_of_zero_is_infinite(backend):
    y, _ = call(backend, "log_loss", channels(0, 1), np.zeros((1, 1, 1), np.int64))
    assert y == np.inf


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_softmax_log_loss_at_large_scores(backend, scale):
    """x = 0 and 1e4 in float32: losses of 1e4 and 0, exactly; exp(1e4) is far out of range."""
    x = np.array([0, scale], np.float32).reshape(1, 2, 1, 1)
    for label, loss in ((0, max(scale, 0)), (1, max(-scale, 0))):
        y, pullback = call(backend, "softmax_log_loss", x, np.full((1, 1, 1), label))
        assert y == loss
        wrong = 1 if loss else 0
        assert_array_equal(np.abs(pullback(np.float32(1))[0].ravel()), [wrong, wrong])


@pytest.mark.parametrize(
    ("p", "root", "y", "dx"),
    # d = 3, -4 and 0
    [
        (1, True, 7, (1, -1, 0)),
        (1, False, 7, (1, -1, 0)),
        (2, True, 5, (0.6, -0.8, 0)),
        (2, False, 25, (6, -8, 0)),
        (3, False, 91, (27, -48, 0)),
        (3, True, 91 ** (1 / 3), (9 * 91 ** (-2 / 3), -16 * 91 ** (-2 / 3), 0)),
        (0.5, False, 3**0.5 + 2, (0.5 / 3**0.5, -0.25, 0)),
    ],
)
def test_p_distance(backend, p, root, y, dx):
    """Sections 4.6.3 and 6.6.3 by hand. A gradient is 0 where the difference is."""
    got, pullback = call(backend, "p_distance", channels(4, -1, 2), channels(1, 3, 2), p=p, root=root)
    assert got.shape == (1, 1, 1, 1)
    assert_allclose(got.item(), y, rtol=1e-14)
    gradient, to_target = pullback(np.ones((1, 1, 1, 1)))
    assert_allclose(gradient.ravel(), dx, rtol=1e-13)
    assert_array_equal(to_target, -gradient)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("root", [True, False])
def test_p_distance_of_equal_vectors_has_no_nan(backend, p, root):
    """D = 0, where the root has no derivative: 0 is usual, NaN is not."""
    x = channels(1, 2, 3)
    y, pullback = call(backend, "p_distance", x, x.copy(), p=p, root=root)
    assert y.item() == 0
    assert_array_equal(pullback(np.ones((1, 1, 1, 1)))[0].ravel(), [0, 0, 0])


def test_dropout_mask_is_scaled_already(backend):
    """vl_nndropout: y = mask x, the mask being 0 or 1 / (1 - rate); it has no gradient."""
    x, mask = channels(1, 2, 3), channels(0, 2, 2)
    y, pullback = call(backend, "dropout", x, mask)
    assert_array_equal(y.ravel(), [0, 4, 6])
    dx, none = pullback(channels(1, 1, 1))
    assert_array_equal(dx.ravel(), [0, 2, 2])
    assert none is None


def test_concat_and_add(backend):
    """vl_nnconcat and dagnn.Sum: the gradients are the slices of dy, and dy."""
    y, pullback = call(backend, "concat", channels(1, 2), channels(3))
    assert_array_equal(y.ravel(), [1, 2, 3])
    first, second = pullback(channels(4, 5, 6))
    assert_array_equal(first.ravel(), [4, 5])
    assert_array_equal(second.ravel(), [6])
    y, pullback = call(backend, "add", channels(1, 2), channels(3, 4), channels(5, 6))
    assert_array_equal(y.ravel(), [9, 12])
    gradients = pullback(channels(7, 8))
    assert len(gradients) == 3
    for dx in gradients:
        assert_array_equal(dx.ravel(), [7, 8])

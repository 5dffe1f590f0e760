"""Worked examples of Raj's slides "Convolutional Networks III" (CMU, 2020) and of Aggarwal, "Neural Networks and Deep
Learning", chapter 8.

Where a document prints an input but not the result, the result was computed by its formula, and the comment says so.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.blocks.call import IMPLEMENTATIONS, call, on_maps

pytestmark = pytest.mark.parametrize("backend", IMPLEMENTATIONS)

SLIDE_INPUT = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
SLIDE_FILTER = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
COUNTING = np.arange(1, 10).reshape(3, 3)


def test_slides_scanning_example(backend):
    """CMU slides, "Input map * filter": the first value, 4, is printed; the others and the gradients are computed."""
    y, dx, dw, _ = on_maps(backend, "conv2d", SLIDE_INPUT, SLIDE_FILTER)
    assert_array_equal(y, [[4, 3, 4], [2, 4, 3], [2, 3, 4]])
    assert_array_equal(dx, [[1, 1, 2, 1, 1], [1, 2, 3, 2, 1], [2, 3, 5, 3, 2], [1, 2, 3, 2, 1], [1, 1, 2, 1, 1]])
    assert_array_equal(dw, [[6, 7, 6], [4, 7, 7], [4, 6, 6]])
    assert_array_equal(on_maps(backend, "conv2d", SLIDE_INPUT, SLIDE_FILTER, stride=2)[0], [[4, 4], [2, 4]])


def test_slides_flipped_filter(backend):
    """CMU slides, "BP: convolutional layer", the filter 1 .. 9 (which no flip leaves unchanged): computed."""
    y, dx, *_ = on_maps(backend, "conv2d", SLIDE_INPUT, COUNTING)
    assert_array_equal(y, [[26, 35, 34], [20, 34, 33], [26, 31, 22]])
    assert_array_equal(dx[0], [1, 3, 6, 5, 3])
    assert_array_equal(dx[2], [12, 27, 45, 33, 18])
    one_hot = np.zeros((3, 3))
    one_hot[1, 1] = 1
    _, dx, *_ = on_maps(backend, "conv2d", SLIDE_INPUT, COUNTING, dy=one_hot)
    assert_array_equal(dx, np.pad(COUNTING, 1))


def test_slides_expanding_convolution(backend):
    """CMU slides, transposed convolution with a step of 2 and a bias, z = b + scattered filters: computed, b = 2."""
    y, _, _, db = on_maps(backend, "conv_transpose2d", [[1, 2], [3, 4]], COUNTING, [2], stride=2)
    rows = [[1, 2, 5, 4, 6], [4, 5, 14, 10, 12], [10, 14, 36, 24, 30], [12, 15, 34, 20, 24], [21, 24, 55, 32, 36]]
    assert_array_equal(y, np.array(rows) + 2)
    assert db == 25


def test_slides_overlapping_windows_accumulate(backend):
    """CMU slides, pooling: "+=", because adjacent windows may overlap; assignment would give 1 and 1/9 everywhere."""
    peak = np.zeros((5, 5))
    peak[2, 2] = 1
    _, dx = on_maps(backend, "max_pool2d", peak, window=3)
    assert dx[2, 2] == 9
    _, dx = on_maps(backend, "avg_pool2d", peak, window=3, dy=9)
    assert_allclose(dx, np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]), rtol=1e-15)


def test_slides_tied_maxima(backend):
    """CMU slides leave ties open; mcnbench takes the first in row-major order: the corner of a window of zeros."""
    _, dx = on_maps(backend, "max_pool2d", np.zeros((4, 4)), window=2, stride=2)
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    assert_array_equal(dx, expected)


BOOK_INPUT = np.array(
    [
        [6, 3, 4, 4, 5, 0, 3],
        [4, 7, 4, 0, 4, 0, 4],
        [7, 0, 2, 3, 4, 5, 2],
        [3, 7, 5, 0, 3, 0, 7],
        [5, 8, 1, 2, 5, 4, 2],
        [8, 0, 1, 0, 6, 0, 0],
        [6, 4, 1, 3, 0, 4, 5],
    ]
)
BOOK_FILTER = [[1, 0, 1], [1, 0, 0], [0, 0, 2]]


def test_aggarwal_figure_8_2(backend):
    """Aggarwal, section 8.2, Figure 8.2 prints two windows: 16 at (5, 1) and 26 at (2, 5). Its matrices are lost; these
    agree with both windows, and the other values are computed."""
    y, *_ = on_maps(backend, "conv2d", BOOK_INPUT, BOOK_FILTER)
    assert y[4, 0] == 16
    assert y[1, 4] == 26
    rows = [[18, 20, 21, 14, 16], [25, 7, 16, 3, 26], [14, 14, 21, 16, 13], [15, 15, 21, 2, 15], [16, 16, 7, 14, 23]]
    assert_array_equal(y, rows)
    y, *_ = on_maps(backend, "conv2d", BOOK_INPUT, BOOK_FILTER, stride=2)
    assert_array_equal(y, np.array(rows)[::2, ::2])
    y, *_ = on_maps(backend, "conv2d", BOOK_INPUT, BOOK_FILTER, padding=1)
    assert_array_equal(y[1:-1, 1:-1], rows)
    assert_array_equal(y[0], [14, 14, 3, 12, 4, 13, 0])


def test_aggarwal_figure_8_4_max_pooling(backend):
    """Aggarwal, section 8.2.5, Figure 8.4 and exercise 8: 3 x 3 and 4 x 4 windows; many ties. Computed."""
    y, dx = on_maps(backend, "max_pool2d", BOOK_INPUT, window=3)
    assert_array_equal(y, [[7, 7, 5, 5, 5], [7, 7, 5, 5, 7], [8, 8, 5, 5, 7], [8, 8, 6, 6, 7], [8, 8, 6, 6, 6]])
    expected = np.zeros((7, 7))
    for (i, j), count in {(0, 4): 3, (1, 1): 4, (2, 5): 2, (3, 2): 2, (3, 6): 3, (4, 1): 6, (5, 4): 5}.items():
        expected[i, j] = count
    assert_array_equal(dx, expected)
    y, dx = on_maps(backend, "max_pool2d", BOOK_INPUT, window=3, stride=2)
    assert_array_equal(y, [[7, 5, 5], [8, 5, 7], [8, 6, 6]])
    expected = np.zeros((7, 7))
    for (i, j), count in {(0, 4): 2, (1, 1): 1, (3, 2): 1, (3, 6): 1, (4, 1): 2, (5, 4): 2}.items():
        expected[i, j] = count
    assert_array_equal(dx, expected)
    y, _ = on_maps(backend, "max_pool2d", BOOK_INPUT, window=4)
    assert_array_equal(y, [[7, 7, 5, 7], [8, 8, 5, 7], [8, 8, 6, 7], [8, 8, 6, 7]])


def test_aggarwal_figure_8_8_convolution_as_a_matrix(backend):
    """Aggarwal, section 8.3.3, Figure 8.8: C is 4 x 9; input and filter are ours. The gradient is C^T g (Table 8.4)."""
    a, b, c, d = 1, 2, 3, 4
    matrix = np.array(
        [
            [a, b, 0, c, d, 0, 0, 0, 0],
            [0, a, b, 0, c, d, 0, 0, 0],
            [0, 0, 0, a, b, 0, c, d, 0],
            [0, 0, 0, 0, a, b, 0, c, d],
        ]
    )
    x, g = np.array([[1, 3, 4], [9, 6, 7], [5, 0, 2]]), np.array([[1, 2], [3, 4]])
    y, dx, *_ = on_maps(backend, "conv2d", x, [[a, b], [c, d]], dy=g)
    assert_array_equal(y, (matrix @ x.ravel()).reshape(2, 2))
    assert_array_equal(y, [[58, 57], [36, 28]])
    assert_array_equal(dx, (matrix.T @ g.ravel()).reshape(3, 3))
    assert_array_equal(dx, [[1, 4, 4], [6, 20, 16], [9, 24, 16]])
    y, *_ = on_maps(backend, "conv2d", x, [[1, 10], [100, 1000]])
    assert_array_equal(y, [[6931, 7643], [569, 2076]])


def test_aggarwal_local_response_norm(backend):
    """Aggarwal, section 8.2.8, equation 8.2, k = 2, alpha = 1e-4, beta = 0.75, n = 5 on 10, 20 ... 80: computed (the
    printed a_i^2 under the sum over j must be a_j^2). alpha is not divided by n."""
    options = {"window": 5, "kappa": 2.0, "alpha": 1e-4, "beta": 0.75}
    maps = np.arange(10.0, 90, 10).reshape(1, 8, 1, 1)
    y, _ = call(backend, "local_response_norm", maps, **options)
    expected = [
        [5.651837543488, 10.708635064209, 14.866752773557, 17.999543588309],
        [20.192328318362, 21.619855906625, 26.028212177133, 31.330759058306],
    ]
    assert_allclose(y.ravel(), np.ravel(expected), rtol=1e-12)
    y, _ = call(backend, "local_response_norm", maps, **{**options, "window": 15})  # equation 8.1: all channels
    assert_allclose(y.ravel(), 3.509247313958 * np.arange(1, 9), rtol=1e-12)


def test_aggarwal_relu_backward(backend):
    """Aggarwal, section 8.5.1: dx = g where z > 0; the numbers are those of Springenberg et al. (2014), Figure 1."""
    z, g = [[1, -1, 5], [2, -5, -7], [-3, 2, 4]], [[-2, 3, -1], [6, -3, 1], [2, -1, 3]]
    y, dx = on_maps(backend, "relu", z, dy=g)
    assert_array_equal(y, [[1, 0, 5], [2, 0, 0], [0, 2, 4]])
    assert_array_equal(dx, [[-2, 0, -1], [6, 0, 0], [0, -1, 3]])


def test_aggarwal_edge_detector(backend):
    """Aggarwal, sections 8.2 (Figure 8.1b) and exercise 7: a vertical edge gives 0, a horizontal one does not."""
    edges = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    horizontal = np.repeat([[0], [0], [0], [1], [1]], 5, axis=1)
    assert_array_equal(on_maps(backend, "conv2d", horizontal.T, edges)[0], np.zeros((3, 3)))
    assert_array_equal(on_maps(backend, "conv2d", horizontal, edges)[0], [[0] * 3, [-3] * 3, [-3] * 3])
    slanted = on_maps(backend, "conv2d", np.tril(np.ones((5, 5))), edges)[0]
    assert_array_equal(slanted, [[-2, -2, -1], [-1, -2, -2], [0, -1, -2]])
    rows = [[4, 6, 4, -3, -3], [0, -1, 0, 1, -2], [-5, -6, 1, 1, 0], [6, 11, 1, -3, 4], [3, 3, 4, 4, 2]]
    assert_array_equal(on_maps(backend, "conv2d", BOOK_INPUT, edges)[0], rows)
    columns = [[7, 3, -3, 2, 4], [3, 11, 0, -2, -2], [7, 10, -4, -4, 1], [9, 13, -7, -2, 5], [16, 7, -8, -3, 4]]
    assert_array_equal(on_maps(backend, "conv2d", BOOK_INPUT, np.transpose(edges))[0], columns)


def test_aggarwal_exercise_1(backend):
    """Aggarwal, section 8.9, exercise 1: 2, 1, 3, 4, 7 with 1, 0, 1, without, with half and with full padding."""
    series, weights = [[2, 1, 3, 4, 7]], [[1, 0, 1]]
    for padding, expected in {0: [5, 5, 10], 1: [1, 5, 5, 10, 4], 2: [2, 1, 5, 5, 10, 4, 7]}.items():
        y, *_ = on_maps(backend, "conv2d", series, weights, padding=(0, padding))
        assert_array_equal(y, expected)


def test_aggarwal_global_average_pooling(backend):
    """Aggarwal, section 8.2.6: 7 x 7 maps to one value each, the mean of 49; its gradient is uniform."""
    y, dx = on_maps(backend, "avg_pool2d", np.arange(98).reshape(2, 7, 7), window=7, dy=np.reshape([49, 98], (2, 1, 1)))
    assert_array_equal(y, [24, 73])
    assert_allclose(dx, np.stack([np.full((7, 7), 1), np.full((7, 7), 2)]), rtol=1e-15)


def test_padding_of_pooling_never_counts(backend):
    """Zero padding would give a maximum of 0 and a mean of 4/9 (Aggarwal, section 8.2.1, pads convolutions only)."""
    y, _ = on_maps(backend, "max_pool2d", -np.ones((3, 3)), window=3, padding=1)
    assert_array_equal(y, -np.ones((3, 3)))
    y, _ = on_maps(backend, "avg_pool2d", np.ones((2, 2)), window=3, padding=1)
    assert_array_equal(y, np.ones((2, 2)))
    y, _ = on_maps(backend, "avg_pool2d", np.ones((2, 2)), window=3, padding=1, count_include_pad=True)
    assert_allclose(y, np.full((2, 2), 4 / 9), rtol=1e-15)


@pytest.mark.parametrize(
    ("size", "window", "stride", "floor", "ceil"),
    # AlexNet's maps divide evenly; ZFNet's (110, 26) tell floor from ceil; the last needs the correction.
    [(55, 3, 2, 27, 27), (27, 3, 2, 13, 13), (110, 3, 2, 54, 55), (26, 3, 2, 12, 13), (5, 1, 3, 2, 2)],
)
def test_aggarwal_tables_8_1_and_8_2_pooled_sizes(backend, size, window, stride, floor, ceil):
    """Aggarwal, sections 8.4.1 and 8.4.2, Table 8.1: 55 and 13 need ceil mode in ZFNet."""
    for ceil_mode, places in ((False, floor), (True, ceil)):
        for block in ("max_pool2d", "avg_pool2d"):
            x = np.arange(float(size)).reshape(1, 1, 1, size)
            options = {"window": (1, window), "stride": stride, "ceil_mode": ceil_mode}
            y, _ = call(backend, block, x, **options)
            assert y.shape == (1, 1, 1, places)
            if block == "max_pool2d":
                assert_array_equal(y[0, 0, 0], np.minimum(np.arange(places) * stride + window, size) - 1)

"""Worked examples of Wu, "Introduction to Convolutional Neural Networks" (2017), and of Visin's thesis, section 2.3.

Where the document prints an input but not the result, the result was computed by its formula, and the comment says so.
Positions are the documents', counted from 0.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.blocks.call import IMPLEMENTATIONS, call, on_maps

A = np.array([[1, 2, 3, 1], [4, 5, 6, 1], [7, 8, 9, 1]])  # Wu, equation 16
K = np.array([[1, 2], [3, 4]])  # not symmetric: shows a flip or an exchange of rows and columns, which ones would hide
DY = np.array([[1, 2, 3], [4, 5, 6]])

pytestmark = pytest.mark.parametrize("backend", IMPLEMENTATIONS)


def test_wu_equation_16_convolution(backend):
    """Wu, section 6.1, Figure 3 and section 6.3, equation 16."""
    y, *_ = on_maps(backend, "conv2d", A, np.ones((2, 2)))
    assert_array_equal(y, [[12, 16, 11], [24, 28, 17]])


def test_wu_figure_5_gradient_adds_up_over_the_filter_positions(backend):
    """Wu, section 6.7, Figure 5: element 5 is in four convolutions. With dy and filter of ones, dx counts them."""
    _, dx, *_ = on_maps(backend, "conv2d", A, np.ones((2, 2)), dy=1)
    assert_array_equal(dx, [[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]])


def test_wu_equations_15_35_and_46(backend):
    """Wu, sections 6.1, 6.5 and 6.7, on the matrix of equation 16: computed by the formulas, with K and DY above."""
    y, dx, dw, _ = on_maps(backend, "conv2d", A, K, dy=DY)
    assert_array_equal(y, [[37, 47, 27], [67, 77, 39]])
    assert_array_equal(dx, [[1, 4, 7, 6], [7, 23, 33, 24], [12, 31, 38, 24]])
    assert_array_equal(dw, [[91, 67], [154, 103]])


def test_wu_stride_and_padding(backend):
    """Wu, section 6.1, on the matrix of equation 16: computed. The same size: floor((H - 1) / 2) rows above."""
    ones = np.ones((2, 2))
    assert_array_equal(on_maps(backend, "conv2d", A, ones, stride=2)[0], [12, 11])
    padded = [[1, 3, 5, 4, 1], [5, 12, 16, 11, 2], [11, 24, 28, 17, 2], [7, 15, 17, 10, 1]]
    assert_array_equal(on_maps(backend, "conv2d", A, ones, padding=1)[0], padded)
    same = [[12, 16, 11, 2], [24, 28, 17, 2], [15, 17, 10, 1]]
    assert_array_equal(on_maps(backend, "conv2d", A, ones, padding=(0, 1, 0, 1))[0], same)


def test_wu_sobel_edges(backend):
    """Wu, section 6.2: the kernel is printed, the image (dark above, bright below) is ours. A flip would give +4."""
    sobel = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]])
    image = np.repeat([[0], [0], [1], [1]], 4, axis=1)
    assert_array_equal(on_maps(backend, "conv2d", image, sobel)[0], np.full((2, 2), -4))
    assert_array_equal(on_maps(backend, "conv2d", image, sobel.T)[0], np.zeros((2, 2)))
    y, *_ = on_maps(backend, "conv2d", np.stack([image] * 3), np.stack([sobel] * 3))
    assert_array_equal(y, np.full((2, 2), -12))


def test_wu_max_pooling_apart(backend):
    """Wu, section 7: of a 2 x 2 region with its largest element at (0, 1), only that element gets the gradient."""
    y, dx = on_maps(backend, "max_pool2d", [[1, 4], [2, 3]], dy=7, window=2, stride=2)
    assert y == 4
    assert_array_equal(dx, [[0, 7], [0, 0]])


def test_wu_max_pooling_overlapping(backend):
    """Wu, section 7, last example: dx[2, 2] = dy[1, 1] + dy[1, 2]. The rest is computed; there are no ties."""
    y, dx = on_maps(backend, "max_pool2d", A, dy=DY, window=2)
    assert_array_equal(y, [[5, 6, 6], [8, 9, 9]])
    assert_array_equal(dx, [[0, 0, 0, 0], [0, 1, 5, 0], [0, 4, 11, 0]])


def test_wu_average_pooling(backend):
    """Wu, section 7, equation 49, on the matrix of equation 16 at stride 1: computed."""
    y, dx = on_maps(backend, "avg_pool2d", A, dy=DY, window=2)
    assert_array_equal(y, [[3, 4, 2.75], [6, 7, 4.25]])
    assert_array_equal(dx, np.array([[1, 3, 5, 3], [5, 12, 16, 9], [4, 9, 11, 6]]) / 4)


def test_wu_column_major_matrix(backend):
    """Wu, section 7: 2 x 2 max pooling of 1 .. 16 in Matlab's order: computed."""
    y, _ = on_maps(backend, "max_pool2d", np.arange(1, 17).reshape(4, 4).T, window=2, stride=2)
    assert_array_equal(y, [[6, 14], [8, 16]])


def test_wu_fully_connected_is_a_convolution(backend):
    """Wu, section 6.8: a 3 x 4 kernel on the matrix of equation 16 gives a 1 x 1 map, their dot product: computed."""
    kernel = np.arange(12).reshape(3, 4)
    y, dx, dw, _ = on_maps(backend, "conv2d", A, kernel, dy=2)
    assert y == (A * kernel).sum()
    assert_array_equal(dx, 2 * kernel)
    assert_array_equal(dw, 2 * A)


def test_wu_relu_and_sigmoid_derivatives(backend):
    """Wu, section 5: equation 13 (derivative 0 at x = 0), and the sigmoid's derivative of at most 1/4, at x = 0."""
    y, dx = on_maps(backend, "relu", [[-1, 0, 2]])
    assert_array_equal(y, [0, 0, 2])
    assert_array_equal(dx, [0, 0, 1])
    y, dx = on_maps(backend, "sigmoid", [[0, 1, -1]])
    assert y[0] == 0.5
    assert dx[0] == 0.25
    assert (dx[1:] < 0.25).all()


def test_visin_convolution_matrix(backend):
    """Visin, section 2.3.7: the 4 x 16 matrix C of i = 4, k = 3, s = 1, p = 0, and its transpose."""
    w = np.arange(1, 10).reshape(3, 3)
    matrix = np.zeros((4, 16))
    for row, start in enumerate((0, 1, 4, 5)):
        for r in range(3):
            matrix[row, start + 4 * r : start + 4 * r + 3] = w[r]
    for i, unit in enumerate(np.eye(16)):
        assert_array_equal(on_maps(backend, "conv2d", unit.reshape(4, 4), w)[0].ravel(), matrix[:, i])
    for i, unit in enumerate(np.eye(4)):
        assert_array_equal(on_maps(backend, "conv_transpose2d", unit.reshape(2, 2), w)[0].ravel(), matrix[i])
        assert_array_equal(on_maps(backend, "conv2d", np.ones((4, 4)), w, dy=unit.reshape(2, 2))[1].ravel(), matrix[i])


FIGURE_INPUT = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]


def test_visin_figures_2_6_and_2_7(backend):
    """Visin, section 2.3.1: the kernel is printed; input and output are from Dumoulin and Visin, arXiv:1603.07285."""
    kernel = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
    y, *_ = on_maps(backend, "conv2d", FIGURE_INPUT, kernel)
    assert_array_equal(y, [[12, 12, 17], [10, 17, 19], [9, 6, 14]])
    y, *_ = on_maps(backend, "conv2d", FIGURE_INPUT, kernel, stride=2, padding=1)
    assert_array_equal(y, [[6, 17, 3], [8, 17, 13], [6, 4, 4]])


def test_visin_figures_2_10_and_2_11(backend):
    """Visin, section 2.3.2: 3 x 3 average and max pooling; input and output are from arXiv:1603.07285."""
    y, _ = on_maps(backend, "avg_pool2d", FIGURE_INPUT, window=3)
    assert_allclose(y, np.array([[15, 15, 15], [9, 11, 16], [10, 7, 12]]) / 9, rtol=1e-15)
    y, _ = on_maps(backend, "max_pool2d", FIGURE_INPUT, window=3)
    assert_array_equal(y, [[3, 3, 3], [3, 3, 3], [3, 2, 3]])


def test_visin_transposed_convolutions(backend):
    """Visin, section 2.3.7: the geometries of figures 2.20, 2.24 and 2.25, on 1, 2, 3 ...: computed."""
    w = np.arange(1, 10).reshape(3, 3)
    small, large = np.arange(1, 5).reshape(2, 2), np.arange(1, 10).reshape(3, 3)
    y, *_ = on_maps(backend, "conv_transpose2d", small, w)
    assert_array_equal(y, [[1, 4, 7, 6], [7, 23, 33, 24], [19, 53, 63, 42], [21, 52, 59, 36]])
    y, *_ = on_maps(backend, "conv_transpose2d", small, w, stride=2)
    assert_array_equal(
        y, [[1, 2, 5, 4, 6], [4, 5, 14, 10, 12], [10, 14, 36, 24, 30], [12, 15, 34, 20, 24], [21, 24, 55, 32, 36]]
    )
    cropped = [
        [5, 14, 10, 24, 15],
        [16, 40, 26, 60, 36],
        [20, 44, 25, 54, 30],
        [46, 100, 56, 120, 66],
        [35, 74, 40, 84, 45],
    ]
    y, *_ = on_maps(backend, "conv_transpose2d", large, w, stride=2, padding=1)
    assert_array_equal(y, cropped)
    # Figure 2.26: a = 1 more at the bottom and the right, here as a smaller crop there.
    y, *_ = on_maps(backend, "conv_transpose2d", large, w, stride=2, padding=(1, 0, 1, 0))
    assert_array_equal(y[:5, :5], cropped)
    assert_array_equal(y[0], [5, 14, 10, 24, 15, 18])
    assert_array_equal(y[5], [56, 119, 64, 135, 72, 81])


def test_visin_softmax_temperature(backend):
    """Visin, section 2.2.3, equation 2.8: a higher temperature flattens (Figure 2.5 says the opposite)."""
    expected = {0.5: 0.982014, 1: 0.880797, 2: 0.731059, 10: 0.549834}
    for temperature, first in expected.items():
        y, _ = on_maps(backend, "softmax", np.reshape([3, 1], (2, 1, 1)), temperature=temperature)
        assert_allclose(y, [first, 1 - first], atol=5e-7)


@pytest.mark.parametrize(("dtype", "tanh", "softmax"), [(np.float32, -45, 89), (np.float64, -355, 710)])
def test_visin_formulas_that_overflow_as_printed(backend, dtype, tanh, softmax):
    """Visin, section 2.2.3, equations 2.4 and 2.7: evaluated as printed these give NaN; the blocks must not."""
    y, _ = call(backend, "tanh", np.full((1, 1, 1, 1), tanh, dtype))
    assert y.item() == -1
    y, _ = call(backend, "softmax", np.array([softmax, 0], dtype).reshape(1, 2, 1, 1))
    assert y[0, 0].item() == 1
    assert_allclose(y[0, 1].item(), np.exp(-np.longdouble(softmax)), rtol=1e-5)


def test_tie_goes_to_the_first_in_row_major_order(backend):
    """Wu, section 7, equation 52 needs distinct maxima; at a tie Matlab's column order would take (1, 0)."""
    _, dx = on_maps(backend, "max_pool2d", [[0, 1], [1, 0]], window=2)
    assert_array_equal(dx, [[0, 1], [0, 0]])

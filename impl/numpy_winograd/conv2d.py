"""conv2d that computes filters of 3 x 3 and 5 x 5 and stride 1 by Winograd's minimal filtering, others by im2row."""

from collections.abc import Callable
from typing import Any

from impl.numpy_cpu.arrays import Array, Pullback
from impl.numpy_cpu.conv2d import convolve
from impl.numpy_cpu.windows import Padding, Pair
from impl.numpy_winograd.winograd import Winograd

Block = Callable[..., tuple[Array, Pullback]]


def blocks(inputs: int) -> tuple[Block, Block]:
    """conv2d, and conv2d_relu for ``fused``, by tiles of inputs x inputs, 4 or 6."""
    products = Winograd(inputs)

    def conv2d(
        x: Array, w: Array, b: Array | None = None, *, stride: Pair, padding: Padding, dilation: Pair, groups: int
    ) -> tuple[Array, Pullback]:
        """As impl.numpy_cpu.conv2d; the rounding error is larger, see ``normwise_factor``."""
        return convolve(products, x, w, b, (stride, padding, dilation, groups))

    def conv2d_relu(
        x: Array, w: Array, b: Array | None = None, *, slope: float = 0.0, **options: Any
    ) -> tuple[Array, Pullback]:
        """relu(conv2d(...)) without the pass over the map in between, forward and backward."""
        names = ("stride", "padding", "dilation", "groups")
        return convolve(products, x, w, b, tuple(options[name] for name in names), slope)

    return conv2d, conv2d_relu

"""The blocks of impl.numpy_cpu, with Winograd's F(4 x 4, 3 x 3) and F(2 x 2, 5 x 5) for convolutions of stride 1.

Fewer multiplications, larger rounding errors: an element may be off by ``normwise_factor`` times the a-priori bound of
a plain sum, taken at the largest element of the map of conv2d(|x|, |w|). ``impl.numpy_winograd.f2x2`` is more accurate.
"""

from impl.numpy_cpu import *  # noqa: F403 - all other blocks are shared
from impl.numpy_cpu import __all__ as _shared
from impl.numpy_winograd.conv2d import blocks
from impl.numpy_winograd.transforms import norm_factor

__all__ = [*_shared, "normwise_factor"]

accuracy = "normwise"
normwise_factor = norm_factor(6)
conv2d, conv2d_relu = blocks(6)
fused = {("conv2d", "relu"): conv2d_relu}

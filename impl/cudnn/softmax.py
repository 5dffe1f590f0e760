"""softmax on libcudnn, over channels, the accurate algorithm. A temperature other than 1 is left to impl.cupy_cuda."""

from __future__ import annotations

from impl.cudnn.checks import aligned
from impl.cudnn.legacy import described, scaling, start
from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.softmax import softmax as ours

ACCURATE, OVER_CHANNELS = 1, 1


def softmax(x: Array, *, temperature: float = 1.0) -> tuple[Array, Pullback]:
    """As impl.cupy_cuda.softmax."""
    check_images(x)
    if temperature != 1 or not x.size:
        return ours(x, temperature=temperature)
    x, y = aligned(x), cupy.empty(x.shape, x.dtype)
    one, zero = scaling(x.dtype)
    start("cudnnSoftmaxForward", ACCURATE, OVER_CHANNELS, one, described(x), x, zero, described(y), y)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, y.dtype, "dy")
        dy = aligned(dy)
        dx = cupy.empty(y.shape, y.dtype)
        start(
            *("cudnnSoftmaxBackward", ACCURATE, OVER_CHANNELS, one, described(y), y, described(dy), dy),
            *(zero, described(dx), dx),
        )
        return (dx,)

    return y, pullback

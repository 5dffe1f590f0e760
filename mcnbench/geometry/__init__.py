"""Sizes and receptive fields, along one direction at a time, after chapter 5 of the MatConvNet manual.

`sizes`: how many places a window has, and the convolution arithmetic of Dumoulin and Visin (arXiv:1603.07285, cited
below as Relationship 1-14). `fields`: receptive fields as (size, stride, offset), composed, transposed and overlaid.
`pixels`: the exact sets of pixels behind them, borders and dilation holes included. Where a formula is printed wrongly
in these documents, the docstring says what is printed and what holds; tests/geometry shows it.
"""

from mcnbench.geometry.fields import POINTWISE, IncompatibleStrides, ReceptiveField, overlay, window_field
from mcnbench.geometry.pixels import Pixels, inputs_seen, pixels_seen
from mcnbench.geometry.sizes import (
    DirectConvolution,
    equivalent_direct,
    extent,
    full_padding,
    half_padding,
    input_sizes,
    leftover,
    output_size,
    transposed_size,
)

__all__ = [
    "POINTWISE",
    "DirectConvolution",
    "IncompatibleStrides",
    "Pixels",
    "ReceptiveField",
    "equivalent_direct",
    "extent",
    "full_padding",
    "half_padding",
    "input_sizes",
    "inputs_seen",
    "leftover",
    "output_size",
    "overlay",
    "pixels_seen",
    "transposed_size",
    "window_field",
]

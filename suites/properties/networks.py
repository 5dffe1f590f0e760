"""Random chains and graphs of blocks, drawn by Hypothesis: what the geometry of networks is tried on.

Every block with a window over the map occurs, with uneven sizes, strides beyond the window, holes, padding on each side
of its own, windows that see padding alone, and maps that are upsampled with gaps; pointwise blocks stand between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from mcnbench.geometry import output_size, transposed_size
from mcnbench.network import IMAGES, Network
from mcnbench.network_file import parse

LARGEST = 12  # rows and columns of a map
Table = dict[str, Any]
Pair = tuple[int, int]


@st.composite
def chains(draw: st.DrawFn) -> Network:
    """One to five blocks in a row."""
    growing = _Growing(draw)
    for _ in range(draw(st.integers(1, 5))):
        growing.step(growing.last)
    return growing.network("chain")


@st.composite
def graphs(draw: st.DrawFn) -> Network:
    """Branches from any map so far, joined by sums and concatenations of maps that are brought to one size first."""
    growing = _Growing(draw)
    growing.step(IMAGES)
    for _ in range(draw(st.integers(1, 4))):
        source = draw(st.sampled_from(list(growing.sizes)))
        if draw(st.booleans()):
            growing.step(source)
        else:
            growing.join(growing.last, source)
    while len(unread := growing.unread()) > 1:
        growing.join(unread[0], unread[1])
    return growing.network("graph")


class _Growing:
    """A network that grows layer by layer; what it draws shrinks to blocks of one window of one pixel."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.layers: list[Table] = []
        self.sizes: dict[str, Pair] = {IMAGES: (draw(st.integers(1, 7)), draw(st.integers(1, 7)))}
        self.channels: dict[str, int] = {IMAGES: draw(st.integers(1, 2))}
        self.input = [self.channels[IMAGES], *self.sizes[IMAGES]]

    @property
    def last(self) -> str:
        return self.layers[-1]["name"] if self.layers else IMAGES

    def unread(self) -> list[str]:
        read = {source for layer in self.layers for source in layer["inputs"]}
        return [name for name in self.sizes if name not in read and name != IMAGES]

    def network(self, name: str) -> Network:
        return parse({"input": self.input, "batch": 1, "layers": self.layers}, name, name)

    def step(self, source: str) -> str:
        """A block that reads that map."""
        match self.draw(st.sampled_from(["pointwise", "conv2d", "max_pool2d", "avg_pool2d", "conv_transpose2d"])):
            case "pointwise":
                return self._pointwise(source)
            case "conv2d":
                return self._conv2d(source)
            case "conv_transpose2d":
                return self._conv_transpose2d(source)
            case block:
                return self._pooling(source, block)

    def join(self, first: str, second: str) -> str:
        """The sum or the concatenation of two maps, the second brought to the size of the first."""
        both = [first, self._fitted(second, self.sizes[first], self.channels[first])]
        if first != second and self.draw(st.booleans()):
            return self._add("concat", both, self.sizes[first], 2 * self.channels[first])
        return self._add("add", both, self.sizes[first], self.channels[first])

    def _fitted(self, source: str, size: Pair, channels: int) -> str:
        if (self.sizes[source], self.channels[source]) == (size, channels):
            return source
        excess = [have - want for have, want in zip(self.sizes[source], size, strict=True)]
        options = {
            "kernel_size": [1 + max(0, e) for e in excess],
            "padding": [side for e in excess for side in self._split(max(0, -e))],
        }
        return self._add("conv2d", [source], size, channels, **options)

    def _split(self, total: int) -> Pair:
        before = self.draw(st.integers(0, total))
        return before, total - before

    def _pointwise(self, source: str) -> str:
        block, options = self.draw(
            st.sampled_from(
                [
                    ("relu", {}),
                    ("relu", {"slope": 0.5}),
                    ("tanh", {}),
                    ("local_response_norm", {"window": 2, "kappa": 1.0}),
                ]
            )
        )
        return self._add(block, [source], self.sizes[source], self.channels[source], **options)

    def _conv2d(self, source: str) -> str:
        draw, axes = self.draw, []
        for size in self.sizes[source]:
            before, after = draw(st.integers(0, 2)), draw(st.integers(0, 2))
            dilation = draw(st.integers(1, 2))
            room = (size + before + after - 1) // dilation + 1
            window, stride = draw(st.integers(1, min(4, room))), draw(st.integers(1, 3))
            axes.append((window, stride, before, after, dilation))
        sizes = [output_size(n, *axis) for n, axis in zip(self.sizes[source], axes, strict=True)]
        if max(sizes) > LARGEST:
            return self._pointwise(source)
        given = self.channels[source]
        groups = draw(st.sampled_from([1, given]))
        options = {**_options(axes), "dilation": [axis[4] for axis in axes], "groups": groups}
        options["kernel_size"] = options.pop("window")
        return self._add("conv2d", [source], (sizes[0], sizes[1]), groups * draw(st.integers(1, 2)), **options)

    def _pooling(self, source: str, block: str) -> str:
        draw, axes, ceil_mode = self.draw, [], self.draw(st.booleans())
        for size in self.sizes[source]:
            window, stride = draw(st.integers(1, min(4, size))), draw(st.integers(1, 3))
            axes.append((window, stride, draw(st.integers(0, window - 1)), draw(st.integers(0, window - 1))))
        sizes = [output_size(n, *axis, ceil_mode=ceil_mode) for n, axis in zip(self.sizes[source], axes, strict=True)]
        if max(sizes) > LARGEST:
            return self._pointwise(source)
        options = {**_options(axes), "ceil_mode": ceil_mode}
        if block == "avg_pool2d":
            options["count_include_pad"] = draw(st.booleans())
        return self._add(block, [source], (sizes[0], sizes[1]), self.channels[source], **options)

    def _conv_transpose2d(self, source: str) -> str:
        draw, axes, sizes = self.draw, [], []
        for size in self.sizes[source]:
            window, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
            before = draw(st.integers(0, min(3, transposed_size(size, window, stride, 0, 0) - 1)))
            after = draw(st.integers(0, min(3, transposed_size(size, window, stride, before, 0) - 1)))
            axes.append((window, stride, before, after))
            sizes.append(transposed_size(size, window, stride, before, after))
        if max(sizes) > LARGEST:
            return self._pointwise(source)
        options = _options(axes)
        options["kernel_size"] = options.pop("window")
        return self._add("conv_transpose2d", [source], (sizes[0], sizes[1]), draw(st.integers(1, 2)), **options)

    def _add(self, block: str, inputs: list[str], size: Pair, channels: int, **options: Any) -> str:
        name = f"{block}{len(self.layers) + 1}"
        if "kernel_size" in options:
            options["out_channels"] = channels
        self.layers.append({"name": name, "block": block, "inputs": inputs, **options})
        self.sizes[name], self.channels[name] = size, channels
        return name


def _options(axes: Sequence[tuple[int, ...]]) -> Table:
    """Window, stride and padding of both directions from (window, stride, before, after, ...) of each."""
    vertical, horizontal = axes
    return {
        "window": [vertical[0], horizontal[0]],
        "stride": [vertical[1], horizontal[1]],
        "padding": [*vertical[2:4], *horizontal[2:4]],
    }

"""Plans convolutions with the real cuDNN for a GPU that is only described, and prints what it offers as JSON.

Run in a process of its own: native code that believes in a device may crash. Arguments: the description, capability.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from impl.cudnn import checks, graphs, legacy, library
from impl.numpy_cpu.windows import conv_axes, pool_axes

DIRECTIONS: tuple[checks.Direction, ...] = ("fprop", "dgrad", "wgrad")
# x, w, and the options: the usual, strided and asymmetric, grouped, depthwise, dilated, a first layer, 1x1.
CASES: list[tuple[Any, ...]] = [
    ((8, 64, 28, 28), (64, 64, 3, 3), 1, 1, 1, 1),
    ((8, 64, 28, 27), (32, 64, 3, 3), 2, (0, 1, 1, 0), 1, 1),
    ((8, 96, 27, 27), (256, 48, 5, 5), 1, 2, 1, 2),
    ((4, 16, 20, 20), (16, 1, 3, 3), 1, 1, 1, 16),
    ((4, 16, 20, 20), (8, 16, 3, 3), 1, 2, 2, 1),
    ((4, 3, 227, 227), (96, 3, 11, 11), 4, 0, 1, 1),
    ((4, 256, 13, 13), (64, 256, 1, 1), 1, 0, 1, 1),
]


def asked(case: tuple[Any, ...], direction: checks.Direction, dtype: str) -> checks.Convolution:
    x, w, stride, padding, dilation, groups = case
    axes = conv_axes(x, w[2:], stride, padding, dilation)
    return checks.convolution(direction, dtype, x, w, (x[0], w[0], axes[0].out, axes[1].out), axes, groups)


def main() -> None:
    target = graphs.Target(described=Path(sys.argv[1]).read_text(), capability=int(sys.argv[2]))
    listed = []
    for case, dtype, direction in itertools.product(CASES, graphs.FRONTEND_TYPES, DIRECTIONS):
        c = asked(case, direction, dtype)
        plans = graphs.plans(graphs.build(c, target), graphs.barred_notes(dtype, tf32=False), 1 << 30)
        listed.append({"case": str(c), "dtype": dtype, "plans": [plan.name for plan in plans]})
    c = asked(CASES[0], "fprop", "float32")
    free = graphs.plans(graphs.build(c, target), [], 1 << 30)
    notes = graphs.notes_of(c, target, [plan.name for plan in free], 1 << 30)
    print(json.dumps({"cudnn": library.check_library(), "plans": listed, "notes": notes, "pooled": pooled()}))


def pooled() -> list[list[Any]]:
    """What libcudnn, through our descriptors, and our own geometry say of pooled sizes."""
    legacy.response_norm(5, 5e-4, 0.75, 2.0)
    found = []
    for size, window, stride, pad in ((27, 3, 2, 0), (28, 3, 2, 1), (7, 7, 1, 0), (9, 2, 3, 1)):
        how = legacy.pooling(3, (window, window), (pad, pad), (stride, stride))
        out = [ctypes.c_int() for _ in range(4)]
        given = legacy.tensor("float32", (2, 3, size, size))
        library.call("cudnnGetPooling2dForwardOutputDim", how, given, *(ctypes.byref(o) for o in out))
        axes = pool_axes((2, 3, size, size), window, stride, pad, False)
        found.append([[o.value for o in out], [2, 3, axes[0].out, axes[1].out]])
    return found


if __name__ == "__main__":
    main()

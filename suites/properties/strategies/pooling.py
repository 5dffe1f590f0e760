"""What the strategies of both pooling blocks share."""

from __future__ import annotations

from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import LARGE, integer, many, padding, pick, pool_axis


def pool_sizes(draw: Draw, power_of_two: bool = False) -> Sizes:
    """In one of six cases one of N, C, H, W is large. `power_of_two`: windows of 1, 2, 4 without padding."""
    large = integer(draw, 0, 23)
    n = many(draw, LARGE) if large == 20 else integer(draw, 1, 3)
    c = many(draw, LARGE) if large == 21 else integer(draw, 1, 4)
    vertical = pool_axis(draw, large == 22, power_of_two)
    horizontal = pool_axis(draw, large == 23, power_of_two)
    return ((n, c, vertical.size, horizontal.size),), {
        "window": (vertical.window, horizontal.window),
        "stride": (vertical.stride, horizontal.stride),
        "padding": padding(vertical, horizontal),
        "ceil_mode": False if power_of_two else pick(draw, False, True),
    }


def invalid(draw: Draw) -> Sizes:
    """A window larger than the padded map, padding as large as the window, a stride of 0, a missing axis."""
    (x,), options = pool_sizes(draw)
    assert x is not None
    match pick(draw, "window", "padding", "stride", "axes"):
        case "window":
            window = (x[2] + integer(draw, 1, 2), options["window"][1])
            return (x,), {**options, "window": window, "padding": (0, 0, *options["padding"][2:])}
        case "padding":
            return (x,), {**options, "padding": (*options["padding"][:3], options["window"][1])}
        case "stride":
            return (x,), {**options, "stride": (options["stride"][0], 0)}
        case _:
            return (x[1:],), options

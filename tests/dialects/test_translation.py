"""Calls converted between dialects, against the manual's section 5.2.1 and what each library documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcnbench.dialects import Inexpressible, load, names
from mcnbench.dialects.translation import convert, into, out_of
from mcnbench.dialects.windows import lines, placed, same
from mcnbench.errors import BadInput
from mcnbench.geometry import output_size
from mcnbench.geometry.conventions import caffe_output_size, floor_padding

CAFFE, MATCONVNET, PYTORCH, TENSORFLOW, THEANO = map(load, ("caffe", "matconvnet", "pytorch", "tensorflow", "theano"))


def random_poolings(count: int) -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        window = tuple(map(int, rng.integers(1, 5, 2)))
        size = tuple(int(rng.integers(w, 12)) for w in window)
        around = [int(rng.integers(0, w)) for w in window for _ in range(2)]
        if rng.random() < 0.5:
            around = [around[0], around[0], around[2], around[2]]
        stride = tuple(map(int, rng.integers(1, 5, 2)))
        options = {"window": window, "stride": stride, "padding": tuple(around), "ceil_mode": bool(rng.integers(2))}
        found.append(((1, 1, *size), options))
    return found


@pytest.mark.parametrize("name", names())
def test_into_a_dialect_and_out_of_it_again_is_the_same_block(name: str) -> None:
    """And each dialect can say a fair part of all poolings, so that the round trip is seldom empty."""
    said = 0
    for x, options in random_poolings(300):
        given = {**options, "count_include_pad": True}
        try:
            call = into(load(name), "avg_pool2d", [x], given)
        except Inexpressible:
            continue
        said += 1
        back = out_of(load(name), "avg_pool2d", [x], call.options).options
        line = lines(x, options["window"], options["stride"])
        there = placed(line, options["padding"], ceil_mode=options["ceil_mode"], padded=True)
        again = placed(line, back["padding"], ceil_mode=back["ceil_mode"], padded=back["count_include_pad"])
        assert same(there, again, average=True)
    assert said > 30


def test_caffes_pooling_in_matconvnet_has_the_padding_of_the_manual() -> None:
    """Section 5.2.1: P- = P and P+ = min(P + S - 1, H' - 1), or less padding that makes as many windows."""
    said = 0
    for size in range(3, 12):
        for window in range(1, 5):
            for stride in range(1, 5):
                for padding in range(window):
                    options = {"window": (window, 1), "stride": (stride, 1), "padding": (padding, 0)}
                    try:
                        call = convert(CAFFE, MATCONVNET, "max_pool2d", [(1, 1, size, 1)], options)
                    except Inexpressible:
                        assert stride > window, "the manual converts all others"
                        continue
                    said += 1
                    # MatConvNet scans columns first: it pools the transposed map.
                    assert call.turns == {"transpose"}
                    _, _, before, after = call.options["padding"]
                    assert before == padding
                    assert after <= floor_padding(window, stride, padding)
                    places = output_size(size, window, stride, before, after)
                    assert places == caffe_output_size(size, window, stride, padding)
    assert said > 300


def test_a_window_that_caffe_puts_beyond_the_image_is_refused() -> None:
    options = {"window": (1, 1), "stride": (3, 1), "padding": (0, 0)}
    with pytest.raises(Inexpressible, match="Caffe puts a window beyond the image"):
        out_of(CAFFE, "max_pool2d", [(1, 1, 5, 1)], options)


def test_vgg_f_pools_in_caffe_without_padding() -> None:
    """Its first pooling, [0 1 0 1] in MatConvNet, was a pooling without padding in Caffe."""
    options = {"window": (3, 3), "stride": (2, 2), "padding": (0, 1, 0, 1), "ceil_mode": False}
    call = into(CAFFE, "max_pool2d", [(1, 64, 54, 54)], options)
    assert call.options == {"window": (3, 3), "stride": (2, 2), "padding": (0, 0)}


def test_tensorflows_same_becomes_padding_by_sides() -> None:
    options = {"stride": (2, 2), "padding": "same", "dilation": (1, 1), "groups": 1}
    call = convert(TENSORFLOW, MATCONVNET, "conv2d", [(1, 3, 224, 224), (64, 3, 7, 7), None], options)
    assert call.options["padding"] == (2, 3, 2, 3)
    with pytest.raises(Inexpressible, match="PyTorch has no padding"):
        convert(TENSORFLOW, PYTORCH, "conv2d", [(1, 3, 224, 224), (64, 3, 7, 7), None], options)


@pytest.mark.parametrize(
    ("source", "target", "window", "alpha", "turns"),
    [
        (MATCONVNET, CAFFE, 5, 5e-4, set()),  # AlexNet: 0.0001 / 5 there is 0.0001 here
        (CAFFE, MATCONVNET, 5, 2e-5, set()),
        (CAFFE, PYTORCH, 5, 1e-4, set()),
        (PYTORCH, MATCONVNET, 4, 2.5e-5, {"channels"}),
        (MATCONVNET, PYTORCH, 4, 4e-4, {"channels"}),
        (PYTORCH, PYTORCH, 4, 1e-4, set()),
    ],
)
def test_local_response_norm(source: Any, target: Any, window: int, alpha: float, turns: set[str]) -> None:
    options = {"window": window, "kappa": 1.0, "alpha": 1e-4, "beta": 0.75}
    call = convert(source, target, "local_response_norm", [(1, 8, 2, 2)], options)
    assert call.options["alpha"] == pytest.approx(alpha)
    assert call.turns == turns
    if window % 2 == 0:
        with pytest.raises(Inexpressible, match="no window of even size"):
            convert(source, CAFFE, "local_response_norm", [(1, 8, 2, 2)], options)


def test_two_true_convolutions_need_no_turning_and_one_does() -> None:
    options = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    shapes = [(1, 3, 8, 8), (4, 3, 3, 3), None]
    assert convert(THEANO, THEANO, "conv2d", shapes, options).turns == set()
    assert convert(THEANO, PYTORCH, "conv2d", shapes, options).turns == {"filters"}
    assert convert(PYTORCH, THEANO, "conv2d", shapes, options).turns == {"filters"}


def test_batch_norm_moments_to_the_deviation_and_back() -> None:
    moments = (np.array([1.0, 2.0]), np.array([0.5, 3.0]))
    shapes = [(2, 2, 3, 3), (2,), (2,)]
    there = convert(PYTORCH, MATCONVNET, "batch_norm", shapes, {"epsilon": 0.01, "moments": moments})
    np.testing.assert_allclose(there.options["moments"][1], np.sqrt(moments[1] + 0.01))
    back = convert(MATCONVNET, PYTORCH, "batch_norm", shapes, there.options)
    np.testing.assert_allclose(back.options["moments"][1], moments[1])


def test_crops_of_a_transposed_convolution() -> None:
    options = {"stride": (2, 2), "padding": (1, 2, 1, 1), "groups": 1}
    shapes = [(1, 2, 4, 4), (2, 2, 3, 3), None]
    assert into(MATCONVNET, "conv_transpose2d", shapes, options).options["padding"] == (1, 2, 1, 1)
    with pytest.raises(Inexpressible, match="PyTorch crops both sides alike"):
        into(PYTORCH, "conv_transpose2d", shapes, options)
    alike = into(PYTORCH, "conv_transpose2d", shapes, {**options, "padding": (1, 1, 0, 0)})
    assert alike.options["padding"] == (1, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('title = "Caffe"', 'titel = "Caffe"'), "unknown key 'titel' in dialect '.*'; did you mean 'title'?"),
        (
            ('rounding = "ceil"', 'rounding = "up"'),
            "key 'pooling.rounding': Input should be 'floor', 'ceil' or 'asked'",
        ),
        (('alpha = "mean"', 'alfa = "mean"'), r"unknown key 'alfa' in \[local_response_norm\] of dialect"),
        (("[batch_norm]", ""), "unknown key 'variance' in"),
        (('title = "Caffe"', "title = "), "is not TOML"),
    ],
)
def test_bad_dialect_files(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    text = (Path(__file__).parents[2] / "configs" / "dialects" / "caffe.toml").read_text("utf-8")
    assert change[0] in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(*change), "utf-8")
    with pytest.raises(BadInput, match=sentence):
        load(str(path))


def test_unknown_dialects_and_missing_files() -> None:
    with pytest.raises(BadInput, match="unknown dialect 'cafe'; did you mean 'caffe'"):
        load("cafe")
    with pytest.raises(BadInput, match="cannot be read"):
        load("no/such.toml")

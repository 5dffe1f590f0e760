"""Every description keeps the protocol, and refuses sizes that do not fit with a sentence, as the backends do."""

import re
from typing import get_type_hints

import numpy as np
import pytest

import mcnbench
from mcnbench import blocks, geometry
from mcnbench.bounds import PRECISIONS
from mcnbench.errors import BadInput
from tests.blocks.call import call
from tests.blocks.samples import make, output_like, sample

NO_GRADIENT = ("labels", "mask")
MAP = (2, 4, 5, 6)


def test_the_blocks_of_the_design():
    assert set(blocks.names()) == {
        *("conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "relu", "sigmoid", "tanh", "local_response_norm"),
        *("batch_norm", "spatial_norm", "softmax", "log_loss", "softmax_log_loss", "p_distance", "dropout"),
        *("concat", "add"),
    }
    for backend in ("numpy", "torch"):
        assert mcnbench.backend(backend).blocks() == blocks.names()


@pytest.mark.parametrize("name", blocks.names())
@pytest.mark.parametrize("images", [2, 0])
def test_protocol(name, images):
    """Names, shapes and dtypes of everything that a description gives."""
    inputs, options = sample(name, images=images)
    description, made = blocks.block(name), make(name, options)
    assert set(get_type_hints(blocks.Block)) - {"INPUTS", "Options"} <= set(dir(description))
    shapes = [a.shape for a in inputs]
    dy = output_like(name, (inputs, options))
    y, pullback = description.oracle(inputs, made)
    assert y.dtype == np.float64
    assert y.shape == description.output_shape(shapes, made) == dy.shape

    gradients = pullback(dy.astype(np.float64))
    names = blocks.gradient_names(description.INPUTS, len(inputs))
    assert len(gradients) == len(inputs)
    judged = {"y": y.shape}
    for gradient, a, name_of in zip(gradients, inputs, names, strict=True):
        if name_of[1:] in NO_GRADIENT:
            assert gradient is None
        else:
            assert gradient.shape == a.shape
            assert gradient.dtype == np.float64
            judged[name_of] = a.shape
    bounds = description.bound(inputs, made, dy, PRECISIONS["float32"])
    assert {k: b.shape for k, b in bounds.items()} == judged
    assert all((b >= 0).all() for b in bounds.values())
    assert set(description.terms(shapes, made)) == set(judged)
    work = description.work(shapes, made)
    assert min(work.forward_flops, work.backward_flops, work.forward_bytes, work.backward_bytes) >= 0
    if images:
        assert min(work.forward_bytes, work.backward_bytes) >= 4 * y.size


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", blocks.names())
@pytest.mark.parametrize("images", [2, 0])
def test_backends_keep_the_protocol(name, backend, images):
    """Shapes, dtypes, fresh outputs, inputs left alone, a pullback that can be called again; empty batches, too."""
    inputs, options = case = sample(name, images=images)
    before = [a.copy() for a in inputs]
    dy = output_like(name, case)
    y, pullback = call(backend, name, *inputs, **options)
    assert y.shape == dy.shape
    assert y.dtype == np.float32
    first, second = pullback(dy), pullback(dy)
    assert len(first) == len(inputs)
    for a, b, given in zip(first, second, inputs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == given.shape
            assert a.dtype == given.dtype
            np.testing.assert_array_equal(a, b)
            assert not any(np.shares_memory(a, other) for other in (b, dy, y, *inputs))
    for a, b in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["add", "concat", "dropout", "relu", "softmax"])
def test_torch_never_aliases_what_it_was_given(name):
    """Autograd returns dy itself where the derivative is 1."""
    backend = mcnbench.backend("torch")
    inputs, options = sample(name)
    given = [backend.from_numpy(a) for a in inputs]
    y, pullback = backend.block(name)(*given, **options)
    dy = backend.from_numpy(output_like(name, (inputs, options)))
    seen = {t.untyped_storage().data_ptr() for t in (y, dy, *given)}
    assert len(seen) == len(given) + 2
    gradients = [g for g in pullback(dy) if g is not None]
    assert len({g.untyped_storage().data_ptr() for g in gradients} - seen) == len(gradients)


REFUSED = [
    ("conv2d", [MAP, (3, 5, 2, 2)], {}, "4"),
    ("conv2d", [MAP, (3, 2, 2, 2)], {"groups": 2}, "groups"),
    ("conv2d", [MAP, (3, 4, 2, 2), (4,)], {}, r"\(3,\)"),
    ("conv2d", [MAP, (3, 4, 6, 2)], {}, "6"),
    ("conv2d", [MAP, (3, 4, 3, 3)], {"dilation": 3}, "7"),
    ("conv2d", [MAP, (3, 4, 0, 2)], {}, "filter"),
    ("conv2d", [MAP, (3, 4, 2, 2)], {"stride": 0}, "stride"),
    ("conv2d", [MAP, (3, 4, 2, 2)], {"padding": -1}, "padding"),
    ("conv2d", [MAP, (3, 4, 2, 2)], {"padding": (1, 2, 3)}, "padding"),
    ("conv2d", [MAP[1:], (3, 4, 2, 2)], {}, "N, C, H, W"),
    ("conv_transpose2d", [MAP, (5, 3, 2, 2)], {}, "4"),
    ("conv_transpose2d", [MAP, (4, 3, 2, 2)], {"groups": 3}, "groups"),
    ("conv_transpose2d", [MAP, (4, 3, 2, 2), (4,)], {}, r"\(3,\)"),
    ("conv_transpose2d", [MAP, (4, 3, 2, 2)], {"padding": 3}, "1x1|at least 1"),
    ("conv_transpose2d", [MAP, (4, 3, 2, 2)], {"stride": 0}, "stride"),
    ("max_pool2d", [MAP], {"window": 6}, "6"),
    ("max_pool2d", [MAP], {"window": 2, "padding": 2}, "smaller than the window"),
    ("max_pool2d", [MAP], {"window": (2, 3), "padding": (0, 0, 0, 3)}, "smaller than the window"),
    ("max_pool2d", [MAP], {"window": (2, 3), "padding": (0, 2, 0, 0)}, "smaller than the window"),
    ("max_pool2d", [MAP], {"window": 0}, "window"),
    ("max_pool2d", [MAP[1:]], {"window": 2}, "N, C, H, W"),
    ("avg_pool2d", [MAP], {"window": 6}, "6"),
    ("avg_pool2d", [MAP], {"window": 2, "padding": 2}, "smaller than the window"),
    ("avg_pool2d", [MAP], {"window": 2, "stride": 0}, "stride"),
    ("local_response_norm", [MAP], {"window": 0}, "window"),
    ("local_response_norm", [MAP[1:]], {}, "N, C, H, W"),
    ("batch_norm", [MAP, (3,), (4,)], {}, "gain"),
    ("batch_norm", [MAP, (4,), (4, 1)], {}, "bias"),
    ("batch_norm", [MAP, (4,), (4,)], {"moments": ((4,), (3,))}, "variance"),
    ("batch_norm", [MAP, (4,), (4,)], {"epsilon": -1.0}, "epsilon"),
    ("spatial_norm", [MAP], {"window": 0, "alpha": 1.0, "beta": 1.0}, "window"),
    ("spatial_norm", [MAP[1:]], {"window": 2, "alpha": 1.0, "beta": 1.0}, "N, C, H, W"),
    ("softmax", [MAP], {"temperature": 0.0}, "temperature"),
    ("softmax", [MAP[1:]], {}, "N, C, H, W"),
    ("log_loss", [MAP, (2, 5, 5)], {}, r"\(2, 5, 6\)"),
    ("softmax_log_loss", [MAP, (2, 4, 5, 6)], {}, r"\(2, 5, 6\)"),
    ("p_distance", [MAP, (2, 4, 5, 5)], {"p": 2.0}, r"\(2, 4, 5, 6\)"),
    ("p_distance", [MAP, MAP], {"p": 0.0}, "p"),
    ("dropout", [MAP, (2, 4, 5, 1)], {}, "mask"),
    ("concat", [MAP, (2, 3, 5, 5)], {}, r"\(2, 3, 5, 5\)"),
    ("concat", [], {}, "at least one"),
    ("add", [MAP, (2, 4, 5, 1)], {}, r"\(2, 4, 5, 1\)"),
    ("add", [], {}, "at least one"),
]


@pytest.mark.parametrize(("name", "shapes", "options", "words"), REFUSED)
@pytest.mark.parametrize("who", ["description", "numpy", "torch"])
def test_sizes_that_do_not_fit_are_refused(who, name, shapes, options, words):
    given = dict(options)
    if "moments" in options:
        given["moments"] = tuple(np.ones(shape, np.float32) for shape in options["moments"])
    inputs = [np.ones(shape, np.int64 if "loss" in name and i else np.float32) for i, shape in enumerate(shapes)]
    with pytest.raises(ValueError, match=words) as raised:  # noqa: PT012 - two ways of asking the same
        if who == "description":
            blocks.block(name).output_shape(shapes, make(name, given))
        else:
            call(who, name, *inputs, **given)
    assert len(str(raised.value)) > 20
    assert re.search(r"\d|none", str(raised.value)), "the message must say what was given"


@pytest.mark.parametrize("who", ["oracle", "numpy", "torch"])
@pytest.mark.parametrize("name", ["log_loss", "softmax_log_loss"])
@pytest.mark.parametrize("label", [-1, 4, -100])
def test_labels_outside_are_refused(who, name, label):
    """PyTorch ignores the label -100."""
    labels = np.zeros((2, 5, 6), np.int64)
    labels[1, 2, 3] = label
    with pytest.raises(ValueError, match=str(label)):
        call(who, name, np.ones(MAP, np.float32), labels)


@pytest.mark.parametrize("who", ["oracle", "numpy", "torch"])
@pytest.mark.parametrize("name", ["log_loss", "softmax_log_loss"])
@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_labels_of_any_integer_type(who, name, dtype):
    inputs, _ = sample(name)
    wanted, _ = call(who, name, *inputs)
    got, pullback = call(who, name, inputs[0], inputs[1].astype(dtype))
    assert got == wanted
    assert pullback(np.ones((), got.dtype))[1] is None


def test_options_from_data():
    made = make("max_pool2d", {"window": [3, 2], "stride": 2})
    assert made == blocks.block("max_pool2d").Options(window=(3, 2), stride=2, padding=0, ceil_mode=False)
    with pytest.raises(BadInput, match="did you mean 'window'"):
        make("max_pool2d", {"windw": 3})


def test_receptive_fields():
    """Section 5.2 of the manual: offset (H + 1) / 2 - padding; 5.3 for the transpose; none where all of x is seen."""
    field = blocks.block("avg_pool2d").receptive_field(
        [MAP], make("avg_pool2d", {"window": 3, "padding": (1, 0, 0, 0)})
    )
    assert field == (geometry.ReceptiveField(3, 1, 1), geometry.ReceptiveField(3, 1, 2))
    options = make("spatial_norm", {"window": (2, 3), "alpha": 1.0, "beta": 1.0})
    field = blocks.block("spatial_norm").receptive_field([MAP], options)
    assert field == (geometry.ReceptiveField(2, 1, 1.5), geometry.ReceptiveField(3, 1, 1))
    shapes = [MAP, (4, 3, 3, 4)]
    field = blocks.block("conv_transpose2d").receptive_field(shapes, make("conv_transpose2d", {"stride": 2}))
    assert field[0] == geometry.ReceptiveField(2, 0.5, 0.5)  # (H' - 1) / U + 1 and (2 C - H' + 1) / (2 U) + 1
    shapes = [MAP, (4,), (4,)]
    assert blocks.block("batch_norm").receptive_field(shapes, make("batch_norm", {})) is None
    moments = np.ones(4), np.ones(4)
    field = blocks.block("batch_norm").receptive_field(shapes, make("batch_norm", {"moments": moments}))
    assert field == (geometry.POINTWISE, geometry.POINTWISE)
    assert blocks.block("log_loss").receptive_field([MAP, (2, 5, 6)], make("log_loss", {})) is None


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "avg_pool2d", "max_pool2d", "add"])
def test_terms_are_the_most_that_an_element_sums(name):
    """With inputs and dy of ones, an output of a linear block is the number of its terms (times 1 / k for a mean)."""
    inputs, options = sample(name)
    ones = [np.ones_like(a) for a in inputs]
    description, made = blocks.block(name), make(name, options)
    y, pullback = description.oracle(ones, made)
    terms = description.terms([a.shape for a in ones], made)
    names = blocks.gradient_names(description.INPUTS, len(ones))
    results = {"y": y, **dict(zip(names, pullback(np.ones(y.shape)), strict=True))}
    if name == "avg_pool2d":
        results = {"y": y * 6, "dx": results["dx"]}
    for key, result in results.items():
        assert result.max() <= terms[key]
        if name == "add" or (name == "conv2d" and key != "dw"):  # elsewhere padding or cropping leaves fewer
            assert result.max() == terms[key]

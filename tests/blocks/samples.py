"""A valid call of every block: random inputs of a small case that reaches padding, groups and uneven strides."""

from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array

Sample = tuple[list[Array | None], dict[str, Any]]


def sample(name: str, dtype: Any = np.float32, seed: int = 0, images: int = 2) -> Sample:
    """(inputs, options) of one case of the block."""
    rng = np.random.default_rng(seed)

    def real(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    x = real(images, 6, 7, 5)
    labels = rng.integers(0, 6, (images, 7, 5))
    pooling = {"window": (3, 2), "stride": (2, 1), "padding": (1, 2, 0, 1), "ceil_mode": True}
    convolution = {"stride": (2, 1), "padding": (1, 0, 2, 1), "groups": 2}
    cases: dict[str, Sample] = {
        "add": ([x, real(*x.shape), real(*x.shape)], {}),
        "avg_pool2d": ([x], pooling),
        "batch_norm": ([x, real(6), real(6)], {"epsilon": 1e-3}),
        "concat": ([x, real(images, 2, 7, 5)], {}),
        "conv2d": ([x, real(4, 3, 3, 2), real(4)], {**convolution, "dilation": (1, 2)}),
        "conv_transpose2d": ([x, real(6, 2, 3, 2), real(4)], convolution),
        "dropout": ([x, (rng.random(x.shape) < 0.6).astype(dtype) / dtype(0.6)], {}),
        "local_response_norm": ([x], {"window": 4, "kappa": 1.0, "alpha": 0.1, "beta": 0.75}),
        "log_loss": ([np.abs(x) + dtype(0.01), labels], {}),
        "max_pool2d": ([rng.permutation(x.size).reshape(x.shape).astype(dtype) / dtype(7)], pooling),
        "p_distance": ([x, real(*x.shape)], {"p": 3.0}),
        "relu": ([x], {"slope": 0.1}),
        "sigmoid": ([x], {}),
        "softmax": ([x], {"temperature": 2.0}),
        "softmax_log_loss": ([x, labels], {}),
        "spatial_norm": ([x], {"window": (2, 3), "alpha": 0.5, "beta": 0.75}),
        "tanh": ([x], {}),
    }
    return cases[name]


def output_like(name: str, case: Sample, seed: int = 1) -> Array:
    """A random dy for the case."""
    inputs, options = case
    shape = blocks.block(name).output_shape([None if a is None else a.shape for a in inputs], make(name, options))
    assert inputs[0] is not None
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), inputs[0].dtype)


def make(name: str, options: dict[str, Any]) -> Any:
    return blocks.make_options(name, options)

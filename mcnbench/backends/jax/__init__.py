"""JAX as a backend: the blocks through jax.lax and jax.numpy, the pullbacks through jax.vjp.

Arrays of integers (labels) and None get no gradient. Double precision is switched on for the whole process, which a
worker has for itself. Training steps are jitted as a whole (training.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from mcnbench.arrays import Array
from mcnbench.backends.jax.functions import FUNCTIONS, Jax
from mcnbench.backends.sizes import check, check_labels

if TYPE_CHECKING:
    from mcnbench.network import Network
    from mcnbench.training import Steps

jax.config.update("jax_enable_x64", True)

Result = tuple[Jax, Callable[[Jax], tuple[Jax | None, ...]]]


def version() -> str:
    return f"JAX {jax.__version__}, jaxlib {jaxlib.__version__}, {jax.default_backend()}"


def set_threads(threads: int) -> None:
    """Works until the first array is made, when XLA makes its pool of threads."""
    os.environ["NPROC"] = str(threads)


def from_numpy(a: Array) -> Jax:
    return jnp.array(a)


def to_numpy(a: Jax) -> Array:
    return np.asarray(a)


def training_step(
    network: Network, parameters: dict[str, Array], inputs: dict[str, Array], variant: str | None
) -> Steps:
    """JAX's own way of training (see mcnbench/training.py): the whole step compiled."""
    from mcnbench.backends.jax.training import JaxSteps

    return JaxSteps(network, parameters, inputs)


def _block(name: str, *inputs: Jax | None, **options: Any) -> Result:
    if name in ("log_loss", "softmax_log_loss"):
        check_labels(name, *inputs)
    else:
        check(name, *inputs, **options)
    wanted = [i for i, a in enumerate(inputs) if a is not None and _is_real(name, i, a)]

    def function(*given: Jax) -> Jax:
        arguments = list(inputs)
        for i, a in zip(wanted, given, strict=True):
            arguments[i] = a
        return FUNCTIONS[name](*arguments, **options)

    y, vjp = jax.vjp(function, *(inputs[i] for i in wanted))

    def pullback(dy: Jax) -> tuple[Jax | None, ...]:
        gradients: list[Jax | None] = [None] * len(inputs)
        for i, g in zip(wanted, vjp(dy), strict=True):
            gradients[i] = g
        return tuple(gradients)

    return y, pullback


def _is_real(name: str, i: int, a: Jax) -> bool:
    """Whether a gradient to that input is wanted: not to labels, not to dropout's mask."""
    return bool(jnp.issubdtype(a.dtype, jnp.floating)) and not (name == "dropout" and i == 1)


def __getattr__(name: str) -> Any:
    """The block of that name."""
    if name in FUNCTIONS:
        return partial(_block, name)
    raise AttributeError(name)

"""Training steps as a user of JAX takes them: loss, gradients and update in one jitted function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mcnbench import executor
from mcnbench.arrays import Array
from mcnbench.backends.jax.functions import FUNCTIONS, Jax
from mcnbench.executor import See
from mcnbench.network import IMAGES, Network

Values = dict[str, Jax]


class JaxSteps:
    """Training steps of a network in JAX."""

    def __init__(self, network: Network, parameters: dict[str, Array], inputs: Mapping[str, Array]) -> None:
        self._network = network
        self._parameters = {name: jnp.array(parameters.pop(name)) for name in list(parameters)}
        self._velocities = {name: jnp.zeros_like(w) for name, w in self._parameters.items()}
        self._inputs = {name: jnp.array(a) for name, a in inputs.items()}
        self._compiled = jax.jit(self._step, donate_argnums=(0, 1))
        self._tapped_gradients = jax.jit(jax.grad(self._tapped, (0, 1), has_aux=True))

    @property
    def runs(self) -> list[tuple[str, ...]]:
        return [(layer.name,) for layer in self._network.layers]

    def step(self) -> None:
        self._parameters, self._velocities, _ = self._compiled(self._parameters, self._velocities, self._inputs)
        jax.block_until_ready(self._parameters)

    def gradients(self) -> dict[str, Array]:
        """The parameters' gradients of the mean loss on the inputs that it was made with; nothing is updated."""
        found = jax.grad(lambda parameters: self._loss(parameters, self._inputs))(self._parameters)
        return {name: np.asarray(g) for name, g in found.items()}

    def observed(self, inputs: Mapping[str, Array], see: See) -> None:
        given = {name: jnp.array(a) for name, a in inputs.items()}
        shapes = self._network.shapes(len(inputs[IMAGES]))
        dtype = given[IMAGES].dtype
        taps = {name: jnp.zeros(shapes[of], dtype) for name, of in self._readings().items()}
        (dw, dtaps), outputs = self._tapped_gradients(self._parameters, taps, given)
        for name, a in (outputs | dtaps).items():
            see(name, np.asarray(a))
        for name, w in self._parameters.items():
            see(f"{name}/w", np.asarray(w))
            see(f"{name}/v", np.asarray(self._velocities[name]))
            see(f"{name}/dw", np.asarray(dw[name]))
        self._parameters, self._velocities = self._updated(self._parameters, self._velocities, dw)
        for name, w in self._parameters.items():
            see(f"{name}/w_new", np.asarray(w))
            see(f"{name}/v_new", np.asarray(self._velocities[name]))

    def _tapped(self, parameters: Values, taps: Values, inputs: Values) -> tuple[Jax, Values]:
        kept: Values = {}
        return self._loss(parameters, inputs, taps, kept), kept

    def _readings(self) -> dict[str, str]:
        """What `observed` shows the gradients of, beside the parameters': each value as each layer reads it, and what
        has not one reader. A zero that is added there has that gradient."""
        found = {
            f"{layer.name}/d{i}": name
            for layer in self._network.layers
            for i, name in enumerate(layer.arguments)
            if name is not None and executor.wanted(name)
        }
        several = [x.name for x in self._network.layers if len(self._network.consumers.get(x.name, ())) != 1]
        return found | {f"{name}/d": name for name in several}

    def _step(self, parameters: Values, velocities: Values, inputs: Values) -> tuple[Values, Values, Jax]:
        loss, gradients = jax.value_and_grad(self._loss)(parameters, inputs)
        return (*self._updated(parameters, velocities, gradients), loss)

    def _updated(self, parameters: Values, velocities: Values, gradients: Values) -> tuple[Values, Values]:
        net = self._network
        decay = {name: net.weight_decay if name.endswith(".w") else 0.0 for name in parameters}
        moved = {
            name: net.momentum * velocities[name] + (gradients[name] + decay[name] * w)
            for name, w in parameters.items()
        }
        return {name: w - net.lr * moved[name] for name, w in parameters.items()}, moved

    def _loss(
        self,
        parameters: Values,
        inputs: Mapping[str, Jax],
        taps: Mapping[str, Jax] | None = None,
        kept: Values | None = None,
    ) -> Jax:
        """The mean loss over the batch; with `taps` zeros are added to the values that layers read, and the layers'
        outputs are put into `kept`."""
        held: dict[str, Any] = {**inputs, **parameters}
        for layer in self._network.layers:
            given = [None if a is None else held[a] for a in layer.arguments]
            if taps is not None:
                keys = [f"{layer.name}/d{i}" for i in range(len(given))]
                given = [a + taps[key] if key in taps else a for key, a in zip(keys, given, strict=True)]
            y = FUNCTIONS[layer.block](*given, **executor.options_of(layer))
            if kept is not None:
                kept[layer.name] = y
            key = f"{layer.name}/d"
            held[layer.name] = y + taps[key] if taps is not None and key in taps else y
        loss: Jax = held[self._network.layers[-1].name] / len(inputs[IMAGES])
        return loss

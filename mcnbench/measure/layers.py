"""The layers of a network as cases: each block with the sizes and options that it has there."""

from __future__ import annotations

from dataclasses import asdict

from mcnbench import case
from mcnbench.case import Case
from mcnbench.network import Network, argument_shapes

DATA = {"log_loss": "probabilities"}
"""What a block's x is drawn from, where that is not the normal distribution."""


def cases(network: Network, batch: int, dtype: str, seed: int) -> dict[str, Case]:
    """A case for each layer, by its name."""
    shapes = network.shapes(batch)
    return {
        layer.name: case.make(
            layer.block,
            tuple(argument_shapes(layer, shapes)),
            asdict(layer.options),
            dtype,
            DATA.get(layer.block, "normal"),
            seed,
        )
        for layer in network.layers
    }

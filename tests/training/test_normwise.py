"""What a normwise backend's elements are held to in the verification of a step."""

import numpy as np
import torch

from mcnbench.step_check import Judging


def worst(output: str) -> float:
    """Of two channels of a 3 x 3 map: bounds 0 and 1, errors 1.5 in both."""
    bound = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
    bound[0, 1] = 1
    judging = Judging("conv1", normwise_factor=2.0)
    judging.compare(output, np.full((1, 2, 3, 3), 1.5), torch.zeros_like(bound), bound)
    return judging.checks()[0].ratio


def test_the_gradient_of_a_filter_is_held_to_its_largest_element_over_channels() -> None:
    """Where inputs and errors are mostly zero, a whole 3 x 3 may have no product; Winograd leaves a residue."""
    assert worst("dw") == 0.75


def test_a_map_is_held_to_its_own_largest_element() -> None:
    assert worst("y") == np.inf

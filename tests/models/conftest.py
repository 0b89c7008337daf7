"""What several tests of networks need."""

import numpy as np
import pytest


@pytest.fixture
def randomize():
    """Gives a network large weights, biases included, so that each one counts."""

    def assign(network, spread=0.7):
        random = np.random.default_rng(3)
        for weight in network.trainable_variables:
            weight.assign(random.normal(0, spread, weight.shape))
        return network

    return assign

"""A float32 step makes no array of float64: see ``float64_arrays`` for how it is noticed."""

import numpy as np
import pytest
from float64_arrays import noticing

from sknet.nn.network import Workspace
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.schedules import SCHEDULES
from sknet.nn.sets import ElasticNet

#: Edges are numbers of Python, and their bins are remembered from step to step.
ONCE = {"kernels.bins_between"}
#: In float32 the difference of two thresholds would lose the digits of a rare class.
ON_PURPOSE = "cumulative."


def unexpected(found):
    """Return the functions that should not have made an array of float64."""
    return {name for name in found if not name.startswith(ON_PURPOSE)} - ONCE


@pytest.fixture(scope="module")
def noticed():
    with noticing() as found:
        yield found


def narrowed(batch):
    """Return a batch of float32."""
    return type(batch)(*(None if part is None else part.astype(np.float32) for part in batch))


@pytest.mark.parametrize("seed", range(60))
def test_a_drawn_network_in_float32(seed, noticed, draw_problem, run_training, make_batches):
    """Steps, running averages and evaluations stay in float32, whatever the rules."""
    objective, params, batch = draw_problem(seed)
    batch, params = narrowed(batch), params.astype(np.float32)
    rng = np.random.default_rng(seed)
    objective = type(objective)(objective.network, objective.loss, ElasticNet(0.01, 0.5))
    batches, workspace = make_batches(*batch), Workspace(objective.network, 7, np.float32)
    noticed.clear()
    result, state = run_training(
        (objective, params, batch),
        optimizer=OPTIMIZERS[rng.choice(list(OPTIMIZERS))](),
        schedule=SCHEDULES[rng.choice(list(SCHEDULES))](),
        ema_decay=rng.choice([None, 0.9]),
        max_iter=2,
        batch_size=4,
        evaluate=lambda at: {"validation_score": -objective.mean_loss(at, batches, workspace)},
    )
    assert unexpected(noticed) == set()
    assert result.params.dtype == state.slots.dtype == np.float32

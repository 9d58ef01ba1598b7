"""Small networks and arrays in partitions, for the tests of several shards."""

import dask.array as da
import numpy as np
from plain import PLAIN

from sknet import NNClassifier, NNRegressor
from sknet.distributed import DaskNNClassifier, DaskNNRegressor

#: Small plain networks, without early stopping.
SMALL = {
    **PLAIN,
    "hidden_layer_sizes": (16,),
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "max_iter": 6,
    "batch_size": 100,
    "n_iter_no_change": np.inf,
    "dtype": "auto",
    "random_state": 0,
}
#: Short fits on two shards.
SHORT = {**SMALL, "max_iter": 2, "n_shards": 2, "local_steps": 8}


def chunked(*arrays, size=500):
    return [da.from_array(a, chunks=(size, *a.shape[1:])) for a in arrays]


ESTIMATORS = [(DaskNNClassifier, NNClassifier), (DaskNNRegressor, NNRegressor)]

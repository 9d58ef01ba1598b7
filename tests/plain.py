"""Estimators for tests of single mechanisms: plain networks, unless told otherwise.

What makes the estimators' defaults accurate would only slow these tests down, and blur what
they look at. The defaults have tests of their own: ``test_defaults.py``.
"""

from functools import partial

import sknet

PLAIN = {
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "alpha": 5e-7,
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "batch_size": 200,
    "max_iter": 200,
    "n_iter_no_change": 10,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "dropout": 0.0,
    "ema_decay": None,
    "n_members": 1,
    "numeric_embedding": None,
    "dtype": "float64",  # so that formulas are compared to many digits
}


def make(cls, *positional, **options):
    """Return an estimator with plain values for the options that are not given."""
    plain = dict(list(PLAIN.items())[len(positional) :])
    return cls(*positional, **{**plain, **options})


NNClassifier = partial(make, sknet.NNClassifier)
NNRegressor = partial(make, sknet.NNRegressor)

#: Kinds of networks that every way to bring the rows must train, and what is plain in them.
SIMPLE = {
    name: PLAIN[name]
    for name in ("dropout", "ema_decay", "n_members", "numeric_embedding", "activation")
}
NETWORKS = {
    "plain": SIMPLE,
    "dropout, average": {**SIMPLE, "dropout": 0.1, "ema_decay": 0.95},
    "members, bins": {**SIMPLE, "n_members": 3, "numeric_embedding": "piecewise_linear"},
    "periodic": {**SIMPLE, "numeric_embedding": "periodic"},
    "groups, members": {**SIMPLE, "interaction_cst": [{0, 1}, {1}], "n_members": 2},
    "pairs, bins": {
        **SIMPLE,
        "interaction_cst": "pairwise",
        "numeric_embedding": "piecewise_linear",
    },
    "mixed, noisy": {**SIMPLE, "mixup": 0.2, "input_noise": 0.05},
}

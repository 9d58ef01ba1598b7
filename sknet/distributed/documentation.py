"""The documentation that the estimators for Dask collections share, written once."""

from sknet._shared_parameters import with_sections

DESCRIPTION = """
Training is local SGD in the form of DiLoCo (Douillard et al., 2023). The table is divided into
shards. In each round, each shard makes some steps that start from the shared parameters; the
mean of the results then moves the shared parameters, with Nesterov momentum. The page "Training
on a cluster" of the documentation has the details.
""".strip()

PARAMETERS = """
hidden_layer_sizes, activation, ..., dtype
    The parameters of the local estimator, with its defaults. Three settings raise an error: the
    solver "lbfgs", ``warm_start=True``, and a ``scoring`` other than "loss". Each shard holds
    out rows of its own for early stopping. ``batch_size`` is the number of rows of a shard's
    mini-batches. The values of "auto" depend on the number of rows of the whole table; the
    shards divide a ``batch_size`` that is "auto" among themselves.
local_steps : int, default=32
    The largest number of mini-batches of a shard in a round. An epoch has as many rounds as the
    largest shard needs. A value of 1, with ``solver="sgd"``, ``momentum=0`` and
    ``outer_learning_rate=1``, is synchronous stochastic gradient descent.
outer_learning_rate : float, default=1.0
    The share of the way from the shared parameters to the mean of the shards' parameters that
    the shared parameters move in a round.
outer_momentum : float in [0, 1) or None, default=None
    The Nesterov momentum of the shared parameters from one round to the next. 0, with an
    ``outer_learning_rate`` of 1, is plain averaging. None means 0 if ``batch_size`` is "auto",
    else 0.8, since each shard then makes fewer steps than a single machine would make.
n_shards : int or None, default=None
    The number of shards. A shard consists of whole partitions. None means one shard for each
    worker, or fewer if a shard would have less than ``local_steps`` mini-batches an epoch. The
    result depends on the number of shards, not on the workers. With a single shard there are
    no rounds, and the network is trained like a local one.
client : distributed.Client or None, default=None
    The Dask client. None means the current one.
""".strip()

ATTRIBUTES = """
n_shards_ : int
    The number of shards of the fit, at most the number of partitions that have rows.
coefs_, intercepts_, history_, n_iter_, ...
    All fitted attributes of the local estimator.
""".strip()


def complete(docstring: str) -> str:
    """Return the docstring of a class with the shared sections in place of their names."""
    sections = {
        "description": DESCRIPTION,
        "parameters": PARAMETERS,
        "attributes": ATTRIBUTES,
    }
    return with_sections(docstring, sections)

"""Training on a cluster: averages of networks that each worker trains on its own rows.

A table that is spread over the workers of a Dask cluster trains one network: each worker makes
some steps on its own rows, and the results are averaged. Here the cluster is two processes of
this machine; elsewhere only the line that makes it is another. It needs the extra ``dask``.
"""

import logging

import dask.array as da
import matplotlib.pyplot as plt
from dask.distributed import Client, LocalCluster

from sknet.distributed import DaskNNRegressor


def make_table(n_rows, seed):
    """Return lazy rows, and a target with a bend and a product, in forty partitions.

    The workers make them themselves; no process ever holds them all.
    """
    rng = da.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 10), chunks=(n_rows // 40, 10))
    noise = 0.1 * rng.normal(size=n_rows, chunks=n_rows // 40)
    return X, abs(X[:, 0]) + X[:, 1] * X[:, 2] + noise


def mean_squared_error(network, X, y):
    """Predict partition by partition; one number comes back."""
    return float(((network.predict(X) - y) ** 2).mean().compute())


#: Three ways to average. With ``outer_momentum=0`` the parameters are simply averaged; momentum
#: carries the average on, and makes up for a worker's steps being fewer than those of one
#: machine with all rows.
SETTINGS = {
    "one machine": {"n_shards": 1},
    "averaging": {"n_shards": 2, "outer_momentum": 0.0},
    "averaging with momentum": {"n_shards": 2, "outer_momentum": 0.5},
}


def fit_all(X, y):
    """Return a fitted network for each of the settings."""
    common = {
        "hidden_layer_sizes": (64,),
        "learning_rate": "cosine",
        "learning_rate_init": 0.01,
        "max_iter": 8,
        "early_stopping": False,
        "local_steps": 20,
        "random_state": 0,
    }
    return {name: DaskNNRegressor(**common, **own).fit(X, y) for name, own in SETTINGS.items()}


def main():
    """Fit, compare, and draw the losses."""
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster),
    ):
        networks = fit_all(*make_table(20_000, seed=0))
        new_rows = make_table(20_000, seed=1)
        errors = {name: mean_squared_error(one, *new_rows) for name, one in networks.items()}
    print("mean squared error of new rows (the noise alone has 0.010)")
    for name, error in errors.items():
        print(f"  {name:<24} {error:.4f}")

    # An ordinary network of sknet, for wherever it is needed.
    local = networks["averaging with momentum"].to_local()
    print(f"to_local() is a {type(local).__name__}, layers {[w.shape for w in local.coefs_]}")

    for name, network in networks.items():
        epochs = range(1, network.n_iter_ + 1)
        plt.semilogy(epochs, network.loss_curve_, marker="o", label=name)
    plt.xlabel("epoch")
    plt.ylabel("training loss")
    plt.legend()
    plt.tight_layout()
    plt.show()


# Lets worker processes import this file without running it.
if __name__ == "__main__":
    main()

"""
Training on a cluster
=====================

One network, trained by the workers of a Dask cluster: each makes some steps on its own rows,
the results are averaged, and so on. Here the cluster is two processes of this machine;
elsewhere only the line that starts it is another. It needs the extra ``dask``.
"""

# %%
# A table that nobody holds
# -------------------------
# Nine copies of each image of a digit, shifted by a pixel in every direction. The workers make
# them, a partition for each shift.

import logging

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

from sknet.distributed import DaskNNClassifier


def shifted(rows, down, right):
    return np.roll(rows.reshape(-1, 8, 8), (down, right), axis=(1, 2)).reshape(-1, 64)


def make_table(images, digits):
    images = da.from_array(images, chunks=images.shape)
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    X = da.concatenate([images.map_blocks(shifted, *s, dtype=float) for s in shifts])
    y = da.concatenate([da.from_array(digits, chunks=digits.shape)] * len(shifts))
    return X, y


# %%
# Three ways to average
# ---------------------
# A shard of half the rows makes half the steps of an epoch, in half the time; and here the two
# differ, since one has the shifts upwards and the other those downwards. With
# ``outer_momentum=0`` their parameters are simply averaged; momentum carries the average on,
# and makes up for steps.

SETTINGS = {
    "one shard": {"n_shards": 1, "outer_momentum": 0.0},
    "two, averaged": {"n_shards": 2, "outer_momentum": 0.0},
    "two, with momentum": {"n_shards": 2, "outer_momentum": 0.8},
}


def fit_all(X, y):
    common = {
        "hidden_layer_sizes": (64,),
        "activation": "relu",
        "learning_rate": "cosine",
        "learning_rate_init": 0.005,
        "batch_size": 50,
        "local_steps": 25,
        "max_iter": 20,
        "ema_decay": None,
        "numeric_embedding": None,
        "random_state": 0,
    }
    return {
        name: DaskNNClassifier(**common, **setting).fit(X, y)
        for name, setting in SETTINGS.items()
    }


# %%
# A cluster on this machine
# -------------------------
# Its processes import this script, so what starts them stands below ``if __name__``. A fitted
# network predicts partition by partition, or as an ordinary network of sknet by ``to_local``.


def main():
    images, digits = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        images, digits, test_size=0.3, stratify=digits, random_state=0
    )
    X, y = make_table(X_train, y_train)
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster),
    ):
        networks = fit_all(X, y)
        right = (networks["one shard"].predict(X) == y).mean()
        print(f"{X.shape[0]} rows in {X.numblocks[0]} partitions")
        print(f"one shard: accuracy of the training rows {right.compute():.3f}")
    plt.figure(layout="constrained")
    for name, network in networks.items():
        accuracy = accuracy_score(y_test, network.to_local().predict(X_test))
        print(f"{name}: accuracy of new images {accuracy:.3f}")
        epochs = np.arange(1, network.n_iter_ + 1)
        plt.semilogy(epochs, network.history_["validation_loss"], marker=".", label=name)
    plt.xticks(epochs[4::5])
    plt.xlabel("epoch")
    plt.ylabel("log loss of rows held out")
    plt.legend(title="shards")
    plt.title("Half the steps each, averaged")
    plt.show()


if __name__ == "__main__":
    main()

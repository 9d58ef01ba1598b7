"""
Distributed training on a Dask cluster
======================================

The picture shows the validation loss of networks that the workers of a Dask cluster train
together, with one shard and with two. A shard is the part of the table that one worker trains
on. Each worker takes some steps on its own shard. Then the parameters of all workers are
averaged. These rounds are repeated until training ends.

The cluster of this example consists of two processes on one machine. For another cluster,
change only the code that starts it. The example needs the extra ``dask``.
"""

# %%
# A table in partitions
# ---------------------
# The table has five copies of each image of a digit: the image itself, and the image shifted by
# one pixel in each of four directions. The workers make the copies, one partition for each
# shift.

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
    shifts = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    X = da.concatenate([images.map_blocks(shifted, *s, dtype=float) for s in shifts])
    y = da.concatenate([da.from_array(digits, chunks=digits.shape)] * len(shifts))
    return X, y


# %%
# Shards and the averaging of their parameters
# --------------------------------------------
# With two shards, each worker takes as many steps in an epoch as with one, on batches of half
# the size. With ``outer_momentum=0``, the parameters of the shards are averaged. With a
# positive momentum, the average also moves on in the direction of the last rounds.

SETTINGS = {
    "one shard": {"n_shards": 1, "outer_momentum": 0.0},
    "two, averaged": {"n_shards": 2, "outer_momentum": 0.0},
    "two, with momentum": {"n_shards": 2, "outer_momentum": 0.8},
}


def fit_all(X, y):
    return {
        name: DaskNNClassifier(**setting, max_iter=15, random_state=0).fit(X, y)
        for name, setting in SETTINGS.items()
    }


# %%
# A cluster on this machine
# -------------------------
# The processes of the cluster import this script, so the code that starts them is called below
# ``if __name__ == "__main__"``. A fitted network predicts partition by partition. ``to_local``
# returns an ordinary ``NNClassifier``.


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
        print(f"one shard: accuracy on the training rows {right.compute():.3f}")
    plt.figure(layout="constrained")
    for name, network in networks.items():
        accuracy = accuracy_score(y_test, network.to_local().predict(X_test))
        print(f"{name}: accuracy on new images {accuracy:.3f}")
        epochs = np.arange(1, network.n_iter_ + 1)
        plt.semilogy(epochs, network.history_["validation_loss"], marker=".", label=name)
    plt.xticks(epochs[4::5])
    plt.xlabel("epoch")
    plt.ylabel("log loss on the held-out rows")
    plt.legend(title="shards")
    plt.title("Validation loss with one shard and with two")
    plt.show()


if __name__ == "__main__":
    main()

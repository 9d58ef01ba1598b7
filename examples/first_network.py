"""The first network of many tutorials: two layers, Adam, squared error, batches of ten.

Tutorials for deep-learning frameworks often begin with a network of ten ReLU units and a linear
output, which is trained on 100 rows for 100 epochs. This script trains the same network with
sknet. It switches off most of what sknet's defaults add.
"""

import numpy as np
from sklearn.metrics import mean_absolute_error

from sknet import NNRegressor


def make_data(n_rows, seed, n_features=10):
    """Draw rows, and a noisy target that is not linear in the columns."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features))
    y = X[:, 0] + np.abs(X[:, 1]) + 0.1 * rng.normal(size=n_rows)
    return X, y


def main():
    X, y = make_data(100, seed=0)
    X_new, y_new = make_data(1000, seed=1)
    network = NNRegressor(
        hidden_layer_sizes=(10,),
        activation="relu",
        solver="adam",
        loss="squared_error",
        learning_rate="constant",
        learning_rate_init=0.01,
        batch_size=10,
        max_iter=100,
        n_iter_no_change=np.inf,  # all 100 epochs
        # By default, these options add things that the plain network does not have.
        alpha=0.0,
        dropout=0.0,
        ema_decay=None,
        early_stopping=False,
        numeric_embedding=None,
        random_state=0,
        verbose=10,  # print a line every tenth epoch
    ).fit(X, y)
    print(f"\nlayers: {[weights.shape for weights in network.coefs_]}")
    print(f"last loss (half the squared error, y scaled to unit variance): {network.loss_:.4f}")
    print(
        f"mean absolute error, training rows: {mean_absolute_error(y, network.predict(X)):.3f}"
    )
    print(
        f"mean absolute error, new rows:      "
        f"{mean_absolute_error(y_new, network.predict(X_new)):.3f}"
    )
    print(f"the same, if the mean of y is predicted: {np.abs(y_new - y.mean()).mean():.3f}")


if __name__ == "__main__":
    main()

"""
Feature selection with an L1 penalty
====================================

The picture shows how many of the 10 columns of the diabetes data, and how many of 30 added
columns of noise, a network uses as its L1 penalty grows. For a range of penalties, all weights
of most noise columns are zero. The network still uses columns that matter, and predicts new
rows as well as with smaller penalties.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sknet import NNRegressor

# %%
# Networks with growing penalties
# -------------------------------
# The network uses a column if any unit of the first layer has a nonzero weight for it. One
# layer of 16 units is enough for 331 rows.

X, y = load_diabetes(return_X_y=True, as_frame=True)
noise = np.random.default_rng(0).normal(size=(len(X), 30))
X_train, X_test, y_train, y_test = train_test_split(np.hstack([X, noise]), y, random_state=0)

alphas = np.geomspace(0.005, 0.1, 9)
in_use, scores = [], []
for alpha in alphas:
    network = NNRegressor(
        (16,),
        alpha=alpha,
        l1_ratio=1.0,
        numeric_embedding=None,  # one row of weights for each column
        # Only the penalty limits the weights. Early stopping can leave small nonzero weights.
        dropout=0.0,
        ema_decay=None,
        early_stopping=False,
        random_state=0,
    ).fit(X_train, y_train)
    in_use.append((network.coefs_[0] != 0).any(axis=1))
    scores.append(network.score(X_test, y_test))
in_use = np.array(in_use)
# The largest penalty whose R2 is within 0.02 of the best.
scores = np.array(scores)
chosen = np.flatnonzero(scores > scores.max() - 0.02)[-1]
real, noisy = in_use[chosen, :10], in_use[chosen, 10:]
print(f"alpha {alphas[chosen]:.3g}: R2 {scores[chosen]:.2f} (at best {scores.max():.2f}), with")
print(f"{noisy.sum()} of 30 noise columns, {real.sum()} of 10 real ones: {[*X.columns[real]]}")

# %%
# Columns in use, and the score on new rows
# -----------------------------------------

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
axes[0].plot(alphas, in_use[:, :10].mean(axis=1), marker="o", label="real columns")
axes[0].plot(alphas, in_use[:, 10:].mean(axis=1), marker="o", label="columns of noise")
axes[0].set(xscale="log", xlabel="alpha", ylabel="share in use", ylim=(-0.03, 1.03))
axes[0].legend()
axes[1].plot(alphas, scores, marker="o", color="C2")
axes[1].axvline(alphas[chosen], color="0.4", linestyle=":")
axes[1].set(xscale="log", xlabel="alpha", ylabel="R2 on new rows")
plt.show()

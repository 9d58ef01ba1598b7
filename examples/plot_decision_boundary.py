"""
A network bends its border
==========================

With hidden layers the border between classes may bend. Here two layers learn to tell three
kinds of wine apart by two of their measurements; each picture is a later epoch of one training.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.inspection import DecisionBoundaryDisplay

from sknet import NNClassifier

X, y = load_wine(return_X_y=True, as_frame=True)
X = X[["alcohol", "color_intensity"]]

network = NNClassifier(
    (32, 32),
    "tanh",
    learning_rate_init=0.02,
    batch_size=32,
    early_stopping=False,
    numeric_embedding=None,
    dropout=0.0,
    ema_decay=None,
    n_iter_no_change=np.inf,
    warm_start=True,
    random_state=0,
)

# %%
# ``warm_start`` goes on from where the last fit ended. After a few epochs the border follows
# the classes; after two hundred it goes out of its way for single bottles. That is overfitting,
# and early stopping would have ended the training before.

figure, axes = plt.subplots(
    2, 2, figsize=(9, 8), sharex=True, sharey=True, layout="constrained"
)
epochs = [1, 5, 30, 200]
colours = ["tab:blue", "tab:orange", "tab:green"]
for axis, n_more, epoch in zip(axes.flat, np.diff([0, *epochs]), epochs, strict=True):
    network.set_params(max_iter=int(n_more)).fit(X, y)
    DecisionBoundaryDisplay.from_estimator(
        network,
        X,
        response_method="predict",
        plot_method="pcolormesh",
        multiclass_colors=colours,
        alpha=0.3,
        ax=axis,
    )
    for kind, colour in enumerate(colours):
        rows = X[y == kind]
        axis.scatter(rows["alcohol"], rows["color_intensity"], s=10, color=colour)
    axis.set(
        title=f"epoch {epoch}: accuracy {network.score(X, y):.2f}",
        xlabel="alcohol",
        ylabel="intensity of colour",
    )
    axis.label_outer()
plt.show()

"""
Decision boundary of a neural network
=====================================

The picture shows the decision boundaries between three kinds of wine after 1, 5, 30 and 200
epochs of one training. A network with hidden layers has curved boundaries, and after too many
epochs they follow single bottles: the network overfits. It knows two measurements of each wine.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.inspection import DecisionBoundaryDisplay

from sknet import NNClassifier

X, y = load_wine(return_X_y=True, as_frame=True)
X = X[["alcohol", "color_intensity"]]

network = NNClassifier(
    learning_rate="constant",
    early_stopping=False,
    n_iter_no_change=np.inf,
    warm_start=True,
    random_state=0,
)

# %%
# From a few epochs to too many
# -----------------------------
# With ``warm_start`` each fit continues from where the last one ended, for which a constant
# learning rate is best. After a few epochs the boundaries follow the classes. After 200 they
# bend around single bottles, which is overfitting. Early stopping is switched off here; it
# would have returned to an earlier epoch.

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
        ylabel="color intensity",
    )
    axis.label_outer()
plt.show()

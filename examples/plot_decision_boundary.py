"""
Decision boundary of a neural network
=====================================

The picture shows the decision boundaries between three kinds of wine after 1, 5, 30 and 200
epochs of training. The network gets two measurements of each wine. A network with hidden layers
has curved boundaries. After too many epochs, they bend around single bottles: the network
overfits.
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
# With ``warm_start``, each fit continues where the last one ended. A constant learning rate
# suits this best. After a few epochs, the boundaries follow the classes. After 200 epochs, they
# bend around single bottles. Early stopping, which returns to the best epoch, is switched off.

figure, axes = plt.subplots(
    2, 2, figsize=(9, 8), sharex=True, sharey=True, layout="constrained"
)
epochs = [1, 5, 30, 200]
colors = ["tab:blue", "tab:orange", "tab:green"]
for axis, n_more, epoch in zip(axes.flat, np.diff([0, *epochs]), epochs, strict=True):
    network.set_params(max_iter=int(n_more)).fit(X, y)
    DecisionBoundaryDisplay.from_estimator(
        network,
        X,
        response_method="predict",
        plot_method="pcolormesh",
        multiclass_colors=colors,
        alpha=0.3,
        ax=axis,
    )
    for kind, color in enumerate(colors):
        rows = X[y == kind]
        axis.scatter(rows["alcohol"], rows["color_intensity"], s=10, color=color)
    axis.set(
        title=f"epoch {epoch}: accuracy {network.score(X, y):.2f}",
        xlabel="alcohol",
        ylabel="color intensity",
    )
    axis.label_outer()
plt.show()

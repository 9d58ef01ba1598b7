"""
Class imbalance and class weights
=================================

One digit in ten is an eight, and the network has to find the eights. Without weights it misses
some of them, because the other class has most of the rows. ``class_weight="balanced"`` makes a
missed eight as costly as nine false alarms. Which of the two is better depends on the costs of
the two kinds of errors.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, recall_score
from sklearn.model_selection import train_test_split

from sknet import NNClassifier

X, digit = load_digits(return_X_y=True)
y = digit == 8
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=400, stratify=y, random_state=1
)

# %%
# The default network on 400 rows, with and without weights:

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axis, class_weight in zip(axes, [None, "balanced"], strict=False):
    network = NNClassifier(class_weight=class_weight, random_state=0).fit(X_train, y_train)
    found = recall_score(y_test, network.predict(X_test))
    print(f"class_weight={class_weight!s:8}: {found:.0%} of the eights are found")
    ConfusionMatrixDisplay.from_estimator(
        network,
        X_test,
        y_test,
        display_labels=["other", "eight"],
        colorbar=False,
        cmap="Blues",
        ax=axis,
    )
    axis.set_title(f"class_weight={class_weight!r}: {found:.0%} found")
    PrecisionRecallDisplay.from_estimator(
        network, X_test, y_test, name=f"{class_weight}", ax=axes[2]
    )
axes[2].set_title("Precision and recall")
axes[2].legend(loc="lower left")
plt.show()

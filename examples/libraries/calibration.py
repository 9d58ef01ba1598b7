"""Probabilities before and after temperature scaling with CalibratedClassifierCV."""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknet import NNClassifier

# Three labels in ten are drawn at random, so no classifier can be certain.
X, y = make_classification(6000, 10, n_informative=5, n_classes=3, flip_y=0.3, random_state=0)
X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=1000, random_state=0)
X_cal, X_test, y_cal, y_test = train_test_split(X_rest, y_rest, train_size=1000, random_state=0)


def with_temperature(network):
    """Fit a temperature to rows that the network has not seen; the network stays as it is."""
    calibrated = CalibratedClassifierCV(FrozenEstimator(network), method="temperature")
    return calibrated.fit(X_cal, y_cal)


def log_loss_of(name, classifier):
    loss = log_loss(y_test, classifier.predict_proba(X_test))
    print(f"{name}: log loss {loss:.3f}")
    return loss


def excess_of_certainty(classifier):
    """Return the mean probability of the predicted class minus the accuracy."""
    certainty = classifier.predict_proba(X_test).max(axis=1).mean()
    return certainty - classifier.score(X_test, y_test)


# With early stopping, the default here, sknet has already fitted a temperature.
network = NNClassifier(random_state=0).fit(X_train, y_train)
before = log_loss_of("default settings", network)
after = log_loss_of("with a temperature", with_temperature(network))
assert abs(after - before) < 0.01

# Without early stopping, no rows are held out, and a single network can become far too certain.
certain = NNClassifier(n_members=1, early_stopping=False, dropout=0.0, random_state=0)
certain.fit(X_train, y_train)
cooled = with_temperature(certain)
before = log_loss_of("without early stopping", certain)
after = log_loss_of("with a temperature", cooled)
assert after < 0.6 * before
assert excess_of_certainty(certain) > 0.2
assert abs(excess_of_certainty(cooled)) < 0.1

# A temperature changes how certain predictions are, but not the predicted classes.
assert np.array_equal(cooled.predict(X_test), certain.predict(X_test))

# These class weights raise the probabilities of the first class. A temperature cannot undo
# this, but a separate calibration of each class can.
weighted = NNClassifier(class_weight={0: 5, 1: 1, 2: 1}, random_state=0).fit(X_train, y_train)
sigmoid = CalibratedClassifierCV(FrozenEstimator(weighted), method="sigmoid").fit(X_cal, y_cal)
log_loss_of("with class weights", weighted)
tempered = log_loss_of("with a temperature", with_temperature(weighted))
assert log_loss_of("with sigmoids", sigmoid) < tempered - 0.02

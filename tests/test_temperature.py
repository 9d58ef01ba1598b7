"""Probabilities are calibrated by the rows that early stopping validates with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from sknet import NNClassifier, NNRegressor
from sknet.streaming import fit_chunks

#: Networks that memorize their rows: the accuracy that is watched does not tell.
OPTIONS = {
    "hidden_layer_sizes": (40,),
    "alpha": 0.0,
    "dropout": 0.0,
    "n_members": 1,
    "n_components": 0,
    "scoring": "accuracy",
    "n_iter_no_change": np.inf,
    "max_iter": 60,
    "random_state": 0,
}


@pytest.fixture
def switch_off(request):
    """Return a function that switches temperatures off."""
    return lambda: request.getfixturevalue("without_temperature")


@pytest.fixture(params=[2, 3])
def rows(request):
    """Noisy rows of two or three classes, to train on and to validate with."""
    X, y = make_classification(
        400, 10, n_informative=5, n_classes=request.param, flip_y=0.4, random_state=0
    )
    return X[:200], y[:200], X[200:], y[200:]


FITS = {
    solver: lambda X, y, X_val, y_val, solver=solver: NNClassifier(
        **OPTIONS, solver=solver
    ).fit(X, y, X_val=X_val, y_val=y_val)
    for solver in ("adam", "lbfgs")
}


@pytest.mark.filterwarnings("ignore:Training ended at iteration 60")
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_loss_of_the_validation_rows_falls_and_the_classes_stay(fit, rows, switch_off):
    *_, X_val, y_val = rows
    network = fit(*rows)
    switch_off()
    before = fit(*rows)
    after, known = (log_loss(y_val, one.predict_proba(X_val)) for one in (network, before))
    assert after < known
    assert_allclose(known, before.history_["validation_loss"][before.best_iter_ - 1], rtol=1e-4)
    assert_array_equal(network.predict(X_val), before.predict(X_val))


def test_one_factor_multiplies_the_logits(rows, switch_off):
    X, y, X_val, y_val = rows
    options = {**OPTIONS, "dtype": "float64"}
    logits = []
    for _ in range(2):
        network = NNClassifier(**options).fit(X, y, X_val=X_val, y_val=y_val)
        logits.append(network.decision_function(X))
        switch_off()
    factors = logits[0] / logits[1]
    assert_allclose(factors, factors.flat[0], rtol=1e-6)
    assert abs(factors.flat[0] - 1) > 0.01


def test_weights_of_the_validation_rows_count(rows):
    X, y, X_val, y_val = rows
    network = NNClassifier(**OPTIONS).fit(X, y, X_val=X_val, y_val=y_val)
    wrong = network.predict(X_val) != y_val
    spreads = []
    for weight in (np.where(wrong, 0.1, 1.7), np.where(wrong, 1.7, 0.1)):
        # A constant score, so that both have the parameters of the first epoch.
        other = NNClassifier(**{**OPTIONS, "scoring": lambda *args, **weights: 0.0})
        other.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
        spreads.append(np.ptp(other.decision_function(X_val)))
    assert spreads[1] < 0.95 * spreads[0]


def test_many_rows_are_drawn_whatever_their_order(monkeypatch):
    """Evenly spaced rows of a table with alternating classes would be of one class."""
    monkeypatch.setattr("sknet._monitoring.CALIBRATION_ROWS", 300)
    drawn = []

    def fit_factor(loss, members, raw, y, sample_weight, independent):
        drawn.append((len(raw), y.mean(), sample_weight.mean()))
        return 1.0

    monkeypatch.setattr("sknet._fitting.fit_factor", fit_factor)
    X = np.random.default_rng(0).normal(size=(1000, 3))
    y = np.arange(1000) % 2
    NNClassifier((2,), max_iter=1, random_state=0).fit(
        X, y, X_val=X, y_val=y, sample_weight_val=np.where(y == 1, 9.3, 1.1)
    )
    ((n_rows, share, mean_weight),) = drawn
    assert n_rows == 300
    assert 0.4 < share < 0.6
    assert mean_weight == pytest.approx(1, rel=1e-5)


def test_chunks_are_calibrated_like_a_table(switch_off, monkeypatch):
    monkeypatch.setattr("sknet._fitting.fit_factor", lambda *args: 0.5)
    X, y = make_classification(600, 10, random_state=0)
    logits = []
    for _ in range(2):
        network = NNClassifier((5,), max_iter=2, n_members=1, random_state=0)
        fit_chunks(network, [(X[:300], y[:300]), (X[300:], y[300:])])
        logits.append(network.decision_function(X))
        switch_off()
    assert_allclose(logits[0], 0.5 * logits[1], rtol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        NNClassifier((5,), early_stopping=False, max_iter=2, random_state=0),
        NNRegressor((5,), max_iter=2, random_state=0),
    ],
    ids=["no validation rows", "numbers"],
)
def test_nothing_changes_without_validation_rows_or_probabilities(network, rows, monkeypatch):
    monkeypatch.setattr("sknet._fitting.fit_factor", None)
    X, y, *_ = rows
    network.fit(X, y)

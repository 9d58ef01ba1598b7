"""Counts with an exposure: claims on insurance policies that lasted for part of a year."""

import numpy as np
from numpy.testing import assert_allclose
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance
from sklearn.model_selection import train_test_split

from sknet import NNRegressor

# Two standardized columns, and a rate of claims per year that is not log-linear in them.
rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 2))
years = rng.uniform(0.05, 1, 20_000)
rate = 0.1 + 0.4 * (np.abs(X[:, 0]) > 1) + 0.05 * np.exp(X[:, 1])
claims = rng.poisson(years * rate)
X_train, X_test, years_train, years_test, claims_train, claims_test = train_test_split(
    X, years, claims, random_state=0
)


def deviance(predicted_rate):
    return mean_poisson_deviance(
        claims_test / years_test, predicted_rate, sample_weight=years_test
    )


def fit(estimator):
    """Fit claims per year, weighted by the years of observation."""
    return estimator.fit(X_train, claims_train / years_train, sample_weight=years_train)


# A linear network is scikit-learn's generalized linear model, including the penalty.
linear = fit(
    NNRegressor(
        (),
        loss="poisson",
        solver="lbfgs",
        alpha=0.01,
        standardize=False,
        early_stopping=False,
        tol=1e-8,
    )
)
glm = fit(PoissonRegressor(alpha=0.01, tol=1e-8))
assert_allclose(linear.predict(X_test), glm.predict(X_test), rtol=1e-5)

# The weighted deviance of the rates is the deviance of the counts, in different units.
predicted = glm.predict(X_test)
of_counts = mean_poisson_deviance(claims_test, years_test * predicted)
assert_allclose(deviance(predicted) * years_test.mean(), of_counts)

# A network with hidden layers finds the shape of the rate.
network = fit(NNRegressor(loss="poisson", random_state=0))
for name, estimator in [("linear", glm), ("network", network)]:
    print(f"{name}: deviance {deviance(estimator.predict(X_test)):.4f}")
assert deviance(network.predict(X_test)) < deviance(glm.predict(X_test)) - 0.02

# The expected claims are the rate times the exposure. Their sum is close to the sum of claims.
expected = np.sum(years_test * network.predict(X_test))
print(f"{expected:.0f} claims were expected, and there were {claims_test.sum()}")
assert abs(expected - claims_test.sum()) < 4 * np.sqrt(expected)

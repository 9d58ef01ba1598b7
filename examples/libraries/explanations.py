"""SHAP values of a network, compared with the shape functions and attributions of sknet."""

import numpy as np
import pandas as pd
import shap
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from sknet import NNRegressor
from sknet.inspection import integrated_gradients, shape_functions

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X = X[["age", "bmi", "bp", "s5"]]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
background, rows = X_train.sample(50, random_state=0), X_test[:20]


def shap_values(predict, background, rows):
    return shap.KernelExplainer(predict, background).shap_values(rows, silent=True)


# In an additive network, the SHAP value of a column is its shape function, centered on the
# background.
additive = NNRegressor(interaction_cst="no_interactions", random_state=0)
additive.fit(X_train, y_train)
values = shap_values(additive.predict, background, rows)
curves = shape_functions(additive, background).contributions(rows)[:, :, 0]
np.testing.assert_allclose(values, curves, rtol=1e-4, atol=1e-4)

# The background is a sample of the training rows. If the curves are centered on all of these
# rows, they differ from the SHAP values by the sampling error of the background's mean.
shapes = shape_functions(additive, X_train)
spread = shapes.contributions(X_train)[:, :, 0].std(axis=0)
curves = shapes.contributions(rows)[:, :, 0]
assert np.all(np.abs(values - curves) < 4 * spread / np.sqrt(len(background)))

# With any network, SHAP values and integrated gradients add up to the same difference. They
# divide interactions among the columns in different ways, which matters little here.
network = NNRegressor(random_state=0).fit(X_train, y_train)
values = shap_values(network.predict, background, rows)
gradients = integrated_gradients(network, rows, baseline=background)
difference = network.predict(rows) - network.predict(background).mean()
np.testing.assert_allclose(values.sum(axis=1), difference, rtol=1e-4, atol=1e-4)
np.testing.assert_allclose(gradients.sum(axis=1), difference, rtol=1e-4, atol=1e-4)
apart = np.sqrt(np.mean((values - gradients) ** 2) / np.mean(gradients**2))
print(f"SHAP values and integrated gradients differ by {apart:.1%}")
assert apart < 0.05

# The next table has dates, text and missing values. KernelExplainer turns it into an array of
# objects, so ``predict`` restores the types of the columns. integrated_gradients takes the
# table as it is.
rng = np.random.default_rng(0)
rides = pd.DataFrame(
    {
        "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(365, size=500), "D"),
        "weather": rng.choice(["dry", "rain", "snow"], 500),
        "degrees": np.where(rng.random(500) < 0.1, np.nan, rng.uniform(-10, 30, 500)),
    }
)
count = 50 - 30 * (rides["weather"] == "snow") + rides["degrees"].fillna(10)


def predict(objects):
    return network.predict(pd.DataFrame(objects, columns=rides.columns).astype(rides.dtypes))


network = NNRegressor(random_state=0).fit(rides, count)
background, rows = rides[:50], rides[-10:]
values = shap_values(predict, background, rows)
gradients = integrated_gradients(network, rows, baseline=background)
difference = network.predict(rows) - network.predict(background).mean()
np.testing.assert_allclose(values.sum(axis=1), difference, rtol=1e-4, atol=1e-4)
apart = np.sqrt(np.mean((values - gradients) ** 2) / np.mean(gradients**2))
print(f"SHAP values and integrated gradients of the rides differ by {apart:.1%}")
assert apart < 0.05

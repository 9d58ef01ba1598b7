"""Selection rates of two groups before and after the reductions of fairlearn."""

import numpy as np
import pandas as pd
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

from sknet import NNClassifier

SEED = 0
rng = np.random.default_rng(SEED)
n_rows = 9000
group = rng.choice(["a", "b"], n_rows, p=[0.6, 0.4])
skill = rng.normal(size=n_rows)
# The district says much about the group. Those who made the decisions preferred group a.
people = pd.DataFrame(
    {
        "test": skill + 0.7 * rng.normal(size=n_rows),
        "years": rng.gamma(2, 2, n_rows),
        "district": np.where(rng.random(n_rows) < 0.8, group, rng.choice(["a", "b"], n_rows)),
    }
)
merit = skill + np.log1p(people["years"]) - 1.5 - 0.8 * (group == "b")
y = (merit + 0.5 * rng.normal(size=n_rows) > 0).astype(int)
# The group is not a column of X: predictions do not need it.
X_train, X_test, y_train, y_test, group_train, group_test = train_test_split(
    people, y, group, train_size=3000, random_state=SEED
)


def report(name, predicted):
    """Print and return the accuracy, and the differences between the two groups."""
    figures = (
        accuracy_score(y_test, predicted),
        demographic_parity_difference(y_test, predicted, sensitive_features=group_test),
        equalized_odds_difference(y_test, predicted, sensitive_features=group_test),
    )
    text = "{}: accuracy {:.3f}, difference in selection rates {:.3f}, in error rates {:.3f}"
    print(text.format(name, *figures))
    return figures


# A reduction fits many networks, so each is small.
network = NNClassifier((32,), n_members=1, max_iter=30, random_state=0)
before = report("network", network.fit(X_train, y_train).predict(X_test))

fair = {}
for constraint in [DemographicParity(), EqualizedOdds()]:
    reduction = ExponentiatedGradient(network, constraint, max_iter=10)
    reduction.fit(X_train, y_train, sensitive_features=group_train)
    # One of the networks, drawn with their weights as probabilities, predicts each row.
    name = type(constraint).__name__
    fair[name] = report(name, reduction.predict(X_test, random_state=0))
    print(f"{reduction.n_oracle_calls_} fits, {sum(reduction.weights_ > 0)} networks are used")

# Each constraint makes its own difference smaller, at the cost of some accuracy.
accuracy, selection, odds = before
assert fair["DemographicParity"][1] < selection / 3
assert fair["EqualizedOdds"][2] < 0.8 * odds
assert min(figures[0] for figures in fair.values()) > accuracy - 0.04
# Equal selection rates for groups that differ require unequal errors.
assert fair["DemographicParity"][2] > odds

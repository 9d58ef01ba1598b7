"""
Score card: additive network with monotonic constraints
=======================================================

The picture shows the five curves of a credit score, which are everything that the model has
learned. An applicant who is refused a loan may ask why, and a regulator may ask whether another
late payment can ever improve a score. An additive network with monotonic constraints answers
both questions. Its curves are the whole model, and each constrained curve only rises, or only
falls, as you have chosen.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknet import NNClassifier
from sknet.inspection import shape_functions

# %%
# Applications
# ------------
# The table is synthetic, so the true logarithm of the odds of default is known. Three columns
# have a known direction. The direction of the age is not known, and the region is a category. A
# tenth of the applicants did not state their income.

rng = np.random.default_rng(0)
n = 4000
X = pd.DataFrame(
    {
        "utilization": (100 * rng.beta(1.2, 2, n)).round(),
        "late payments": rng.poisson(rng.gamma(0.6, 1.5, n)).clip(0, 8),
        "income": rng.lognormal(10.3, 0.5, n).round(-2),
        "age": rng.integers(18, 80, n),
        "region": rng.choice(["north", "south", "west"], n, p=[0.5, 0.3, 0.2]),
    }
)
truth = {
    "utilization": lambda x: 2 / (1 + np.exp(-(x - 60) / 8)),
    "late payments": lambda x: 0.9 * np.sqrt(x),
    "income": lambda x: -1.2 * np.log(x / 30_000).clip(-1, 0.7),
    "age": lambda x: 0.8 * ((x - 48) / 30) ** 2,
    "region": lambda x: 0.5 * (x == "west"),
}
log_odds = sum(effect(X[column]) for column, effect in truth.items()) - 2.6
y = rng.random(n) < 1 / (1 + np.exp(-log_odds))
X.loc[rng.random(n) < 0.1, "income"] = np.nan
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.7, random_state=1)

# %%
# Two additive networks
# ---------------------
# Both are sums of functions of one column each. One of them also has three guarantees: the risk
# never falls as the utilization of the credit line or the number of late payments rises, and it
# never rises with the income. ``monotonic_cst`` sets the directions.

constraints = {"utilization": 1, "late payments": 1, "income": -1}
networks = {
    "additive": NNClassifier(interaction_cst="no_interactions", random_state=0),
    "additive and monotone": NNClassifier(
        interaction_cst="no_interactions", monotonic_cst=constraints, random_state=0
    ),
}
shapes = {}
for name, network in networks.items():
    network.fit(X_train, y_train)
    shapes[name] = shape_functions(network, X_train)
    loss = log_loss(y_test, network.predict_proba(X_test))
    print(f"{name}: log loss on new applications {loss:.4f}")

# %%
# The curves of the score card
# ----------------------------
# The curves are contributions to the logarithm of the odds. With 1200 applications, the free
# curves of the utilization and the income follow the noise and turn at several places. The
# constrained ones cannot, and are closer to the truth. The curve of the age is free in both
# networks, and follows the noise in both. The diamonds beside the curves of the income are the
# contributions of a missing income.

figure, axes = plt.subplots(1, 5, figsize=(13, 3.2), sharey=True, layout="constrained")
colors = {"additive": "tab:orange", "additive and monotone": "tab:blue"}
directions = {1: "never falls", -1: "never rises", 0: "free"}
for name, shape in shapes.items():
    for axis, curve in zip(axes, shape.curves, strict=True):
        grid, contributions = curve.values.grid, curve.contributions[:, 0]
        if curve.values.is_category:
            side = -0.2 if name == "additive" else 0.2
            axis.bar(np.arange(len(grid)) + side, contributions, 0.4, color=colors[name])
            axis.set_xticks(np.arange(len(grid)), grid)
        else:
            axis.plot(grid, contributions, color=colors[name], linewidth=2, label=name)
            if curve.values.missing_share:
                axis.plot(1.1 * grid[-1], curve.missing[0], "D", color=colors[name])
for axis, curve in zip(axes, shapes["additive"].curves, strict=True):
    column, grid = curve.values.name, curve.values.grid
    axis.set_title(f"{column}\n{directions[constraints.get(column, 0)]}", fontsize=10)
    if not curve.values.is_category:
        effect = truth[column](grid) - truth[column](X_train[column].dropna()).mean()
        axis.plot(grid, effect, "k:", linewidth=1.2, label="truth")
axes[2].xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
axes[0].set_ylabel("log odds of default")
axes[-1].legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="upper left")
plt.show()

# %%
# Why an application was refused
# ------------------------------
# The contributions of one applicant and the intercept add up to the logarithm of the odds, so
# the contributions are the reasons. The largest ones come first.

network, shape = networks["additive and monotone"], shapes["additive and monotone"]
applicant = X_test.iloc[[np.argmax(network.predict_proba(X_test)[:, 1])]]
reasons = pd.DataFrame(
    {
        "value": applicant.iloc[0],
        "contribution": shape.contributions(applicant)[0, :, 0].round(2),
    }
).sort_values("contribution", ascending=False)
total = shape.intercept[0] + shape.contributions(applicant).sum()
print(reasons)
print(f"intercept {shape.intercept[0]:.2f}, log odds {total:.2f}")
print(f"decision function {network.decision_function(applicant)[0]:.2f}")

# %%
# Guarantees for each application
# -------------------------------
# The guarantee holds for each application, not only on average. Here, one column at a time is
# made a little worse. With the constraints, no risk becomes lower.

income = X_test["income"].fillna(X_train["income"].median())
base = X_test.assign(income=income)
changes = {
    "utilization": base["utilization"] + 5,
    "late payments": base["late payments"] + 1,
    "income": 0.9 * income,
}
for name, network in networks.items():
    before = network.predict_proba(base)[:, 1]
    for column, worse in changes.items():
        after = network.predict_proba(base.assign(**{column: worse}))[:, 1]
        share = np.mean(after < before)
        print(f"{name}: worse {column} lowers the risk of {share:.1%} of the applications")

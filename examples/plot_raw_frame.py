"""
Data frame with missing values and categories
=============================================

The picture shows the predicted and the measured body mass of 342 penguins. The network takes
the data frame as it is, with numbers, strings and missing values. Nothing is encoded, imputed
or scaled by hand.

The penguins live on three islands near Palmer Station in Antarctica (Gorman, Williams and
Fraser, 2014). The table comes with the package palmerpenguins.
"""

import matplotlib.pyplot as plt
from palmerpenguins import load_penguins
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknet import NNRegressor

penguins = load_penguins().dropna(subset="body_mass_g")
X = penguins.drop(columns=["body_mass_g", "species"])
y = penguins["body_mass_g"]
print(X.sample(4, random_state=1), X.isna().sum(), sep="\n\n")

# %%
# Mixed columns without a pipeline
# --------------------------------
# The ``fit`` method of the network takes the frame. A linear model needs a pipeline that
# imputes, scales and encodes. The species is left out, so both models have to infer the mass
# from the other columns.

network = NNRegressor(random_state=0)
numbers = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "year"]
encoder = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    (OneHotEncoder(handle_unknown="ignore"), ["island", "sex"]),
)
linear = make_pipeline(encoder, RidgeCV())
folds = KFold(5, shuffle=True, random_state=0)  # the rows are sorted by species
for name, model in [("network", network), ("ridge regression", linear)]:
    scores = cross_val_score(model, X, y, cv=folds, scoring="neg_mean_absolute_error")
    print(f"{name:17} is wrong by {-scores.mean():.0f} g on average")

# %%
# Predicted and measured body mass
# --------------------------------
# The prediction for each bird comes from a network that was not trained on it. On average,
# Chinstrap males are about 60 g lighter than predicted: the network does not know the species.

predicted = cross_val_predict(network, X, y, cv=folds)
figure, axis = plt.subplots(figsize=(6, 5.5), layout="constrained")
for sex, marker in [("female", "o"), ("male", "^")]:
    for species, color in zip(
        ["Adelie", "Chinstrap", "Gentoo"], ["tab:blue", "tab:green", "tab:orange"], strict=True
    ):
        rows = (penguins["sex"] == sex) & (penguins["species"] == species)
        axis.scatter(
            predicted[rows],
            y[rows],
            s=20,
            marker=marker,
            color=color,
            label=f"{species}, {sex}",
        )
limits = [2600, 6400]
axis.plot(limits, limits, color="black", linewidth=1)
axis.set(
    xlabel="predicted body mass (g)", ylabel="body mass (g)", xlim=limits, ylim=limits, aspect=1
)
axis.legend(fontsize=8)
plt.show()

"""A column of dirty text, which skrub's TableVectorizer turns into numbers for a network."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from skrub import StringEncoder, TableVectorizer

from sknet import NNRegressor

rng = np.random.default_rng(0)


def typed(rank, job):
    """Return a job title as people type it: in either order, and with a letter missing."""
    title = rng.choice([f"{rank} {job}", f"{job}, {rank}"])
    missing = rng.integers(len(title))
    title = title[:missing] + title[missing + 1 :]
    return title.upper() if rng.random() < 0.3 else title


RANKS = {"junior": 0, "senior": 12, "principal": 24, "head": 36}
JOBS = {"nurse": 0, "teacher": 5, "analyst": 10, "engineer": 15}
rank, job = rng.choice(list(RANKS), 2000), rng.choice(list(JOBS), 2000)
people = pd.DataFrame(
    {
        "title": [typed(*both) for both in zip(rank, job, strict=True)],
        "years": np.where(rng.random(2000) < 0.1, np.nan, rng.uniform(0, 30, 2000)),
        "city": rng.choice(["Bergen", "Lyon", "Turin"], 2000),
        "hired": pd.Timestamp("2015-01-01")
        + pd.to_timedelta(rng.integers(3000, size=2000), "D"),
    }
)
pay = (
    30
    + pd.Series(rank).map(RANKS)
    + pd.Series(job).map(JOBS)
    + 0.3 * people["years"].fillna(15)
    + rng.normal(0, 2, 2000)
)
print(people["title"].nunique(), "titles, such as", list(people["title"][:3]))
X_train, X_test, y_train, y_test = train_test_split(people, pay, random_state=0)

# For a network alone, most titles are levels that it has not seen.
alone = NNRegressor(random_state=0).fit(X_train, y_train)

# skrub splits the titles into groups of letters. It leaves numbers, dates and categories with
# few levels to the network, which reads them itself.
vectorizer = TableVectorizer(low_cardinality="passthrough", datetime="passthrough")
behind = make_pipeline(vectorizer, NNRegressor(random_state=0)).fit(X_train, y_train)
names = behind[-1].feature_names_in_
assert list(names[-3:]) == ["years", "city", "hired"]
assert all(name.startswith("title_") for name in names[:-3])

r2_alone, r2_behind = alone.score(X_test, y_test), behind.score(X_test, y_test)
print(f"R2 on new rows: {r2_alone:.2f} alone, {r2_behind:.2f} with the vectorizer")
assert r2_behind > 0.9 > r2_alone + 0.3

# The same encoder for one column: fewer numbers take less time, with the same accuracy here.
encoder = make_column_transformer(
    (StringEncoder(n_components=10), "title"),
    remainder="passthrough",
    verbose_feature_names_out=False,
)
single = make_pipeline(encoder.set_output(transform="pandas"), NNRegressor(random_state=0))
r2_single = single.fit(X_train, y_train).score(X_test, y_test)
print(f"R2 on new rows: {r2_single:.2f} with 10 numbers for each title")
assert r2_single > r2_behind - 0.02

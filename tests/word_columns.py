"""A column of words in each kind of frame and dtype that makes it a category."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

NAN = np.nan
WORDS = ["b", "a", None, "b"]
#: The numbers of the levels of WORDS, which are sorted; a missing value is no level.
LEVEL_NUMBERS = [1, 0, NAN, 1]


def pandas_words(kind):
    if kind == "category":
        return pd.Categorical(WORDS, categories=["z", "b", "a"])
    if kind == "object with NaN":
        return pd.Series(["b", "a", NAN, "b"], dtype=object)
    if kind == "object with NA":
        return pd.Series(["b", "a", pd.NA, "b"], dtype=object)
    return pd.Series(WORDS, dtype=kind)


def polars_words(kind):
    dtype = {"String": pl.String, "Categorical": pl.Categorical, "Object": pl.Object}
    return pl.Series("c", WORDS, dtype=dtype.get(kind) or pl.Enum(["z", "b", "a"]))


FRAMES = [
    *(
        pytest.param(pd.DataFrame, pandas_words, kind, id=f"pandas {kind}")
        for kind in ["category", "object", "object with NaN", "object with NA", "string"]
    ),
    *(
        pytest.param(pl.DataFrame, polars_words, kind, id=f"polars {kind}")
        for kind in ["String", "Categorical", "Enum", "Object"]
    ),
]

"""CSV and Parquet files in chunks."""

import gzip
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import NNRegressor
from sknet.data import files
from sknet.data.frames import wrapped
from sknet.data.tables import TableReader
from sknet.inspection import summary
from sknet.streaming import read_chunks

N_ROWS = 1000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    number = rng.normal(size=N_ROWS)
    number[::9] = np.nan
    # A level that comes late, and holes.
    city = rng.choice(["Oslo", "Bergen"], N_ROWS).astype(object)
    city[990] = "Åmot, old"
    city[::13] = None
    flag = rng.random(N_ROWS) < 0.5
    return pd.DataFrame(
        {
            "number": number,
            "count": rng.integers(0, 9, N_ROWS),
            "city": city,
            "zip": [f"{code:03}" for code in rng.integers(0, 20, N_ROWS)],
            "flag": flag,
            "weight": rng.random(N_ROWS),
            "y": rng.normal(size=N_ROWS),
            "label": np.where(flag, "yes", "no"),
            "code": rng.integers(0, 3, N_ROWS),
        }
    )


SUFFIXES = ["csv", "csv.gz", "tsv", "parquet"]


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=150)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.fixture(params=SUFFIXES)
def path(request, frame, tmp_path):
    return write(frame, tmp_path / f"table.{request.param}")


@pytest.fixture
def csv(frame, tmp_path):
    """One file, for what does not depend on the kind of the file."""
    return write(frame, tmp_path / "table.csv")


#: pandas 2 reads the last digits of a CSV's numbers in another way than they were written.
LAST_DIGITS = 1e-12
FEATURES = ["number", "count", "city", "zip", "flag"]


def read(path, **options):
    options = {"target": "y", "columns": FEATURES, "chunk_size": 300, **options}
    return read_chunks(path, **options)


def test_the_chunks_are_the_file(path, frame):
    chunks = read(path, dtype={"zip": "category"}, sample_weight="weight")
    for _ in range(2):
        parts = list(chunks)
        assert max(len(X) for X, _, _ in parts) <= 300 and len(parts) >= 4
        X = pd.concat([X for X, _, _ in parts], ignore_index=True)
        assert list(X.columns) == FEATURES
        for name in ("number", "count", "flag"):
            assert X[name].dtype == np.float64
            assert_allclose(X[name], frame[name].astype(float), rtol=LAST_DIGITS)
        for name in ("city", "zip"):
            assert isinstance(X[name].dtype, pd.CategoricalDtype)
            found, expected = (one[name].astype(object).fillna("none") for one in (X, frame))
            assert found.tolist() == expected.tolist()
        assert list(X["city"].cat.categories) == ["Bergen", "Oslo", "Åmot, old"]
        assert list(X["zip"].cat.categories) == [f"{code:03}" for code in range(20)]
        assert len({str(part[0]["city"].dtype.categories.tolist()) for part in parts}) == 1
        assert_allclose(np.concatenate([y for _, y, _ in parts]), frame["y"], LAST_DIGITS)
        assert_allclose(np.concatenate([w for _, _, w in parts]), frame["weight"], LAST_DIGITS)


def test_all_other_columns_are_features(path, frame):
    X, y = next(iter(read(path, columns=None, target="code")))
    assert list(X.columns) == [name for name in frame.columns if name != "code"]
    X, y, weight = next(iter(read(path, columns=None, target="code", sample_weight="weight")))
    assert not {"code", "weight"} & set(X.columns)


def test_targets_and_their_classes(path, frame):
    for target in ("label", "code", "flag"):
        chunks = read(path, target=target, columns=["number"])
        y = np.concatenate([y for _, y in chunks])
        expected = frame[target].to_numpy()
        assert_array_equal(y, expected)
        assert_array_equal(chunks.classes, np.unique(expected.astype(y.dtype)))
    assert y.dtype == bool


def test_integers_may_become_fractions(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HEAD_ROWS", 2)
    frame = pd.DataFrame({"x": [1, 2, 3, 4], "y": ["1", "2", "3.5", "4"]})
    chunks = read_chunks(write(frame, tmp_path / "t.csv"), target="y", chunk_size=2)
    assert [y.tolist() for _, y in chunks] == [[1, 2], [3.5, 4]]
    assert chunks.classes.tolist() == [1, 2, 3.5, 4]


def test_levels_that_are_given_need_no_pass(path, monkeypatch):
    calls = []
    original = files.FileChunks._raw
    monkeypatch.setattr(
        files.FileChunks,
        "_raw",
        lambda self, names, *convert: calls.append(names) or original(self, names, *convert),
    )
    dtype = {
        "city": pd.CategoricalDtype(["Oslo", "Tromsø"]),
        "count": pd.CategoricalDtype([1, 5]),
    }
    chunks = read(path, columns=["number", "city", "count"], dtype=dtype)
    assert calls == []
    X = pd.concat([X for X, _ in chunks], ignore_index=True)
    assert list(X["city"].cat.categories) == ["Oslo", "Tromsø"]
    assert set(X["city"].dropna()) == {"Oslo"}
    assert set(X["count"].dropna()) == {1, 5}
    assert 0.7 < X["count"].isna().mean() < 0.85


def test_several_files(frame, tmp_path):
    paths = [
        write(frame[:400], tmp_path / "a.csv"),
        write(frame[400:], tmp_path / "b.parquet"),
    ]
    chunks = read(paths)
    assert_allclose(np.concatenate([y for _, y in chunks]), frame["y"], LAST_DIGITS)
    assert {str(X["city"].dtype.categories.tolist()) for X, _ in chunks} == {
        "['Bergen', 'Oslo', 'Åmot, old']"
    }


def test_options_of_pandas(frame, tmp_path):
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";", decimal=",")
    chunks = read(tmp_path / "t.csv", read_options={"sep": ";", "decimal": ","})
    assert_allclose(np.concatenate([y for _, y in chunks]), frame["y"], LAST_DIGITS)


# Bad input.


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.csv is not a file"):
        read_chunks(tmp_path / "no.csv", target="y")
    with pytest.raises(FileNotFoundError, match=r"is a folder.*sorted\(Path\(.*glob\("):
        read_chunks(tmp_path, target="y")
    with pytest.raises(ValueError, match="No path"):
        read_chunks([], target="y")
    (tmp_path / "t.xlsx").write_text("a")
    with pytest.raises(ValueError, match=r"must be a \.csv, \.tsv, \.txt or \.parquet"):
        read_chunks(tmp_path / "t.xlsx", target="y")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_files(frame, tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(gzip.compress(b"") if suffix == "csv.gz" else b"")
    with pytest.raises(ValueError, match=r"t\.[a-z.]+ is empty"):
        read(path)
    with pytest.raises(ValueError, match=r"has no rows.*number"):
        read(write(frame[:0], path))


REMEDIES = {
    "separator": ({"sep": ";"}, {}, "y", r"has \['x;k;y'\]. If another character sep.*'sep'"),
    "spaces": (
        {},
        {"x": "x", "k": " k", "y": " y"},
        "y",
        "with their spaces.*skipinitialspace",
    ),
    "another name": ({}, {}, "z", r"it has \['x', 'k', 'y'\].$"),
    "encoding": ({"encoding": "latin-1"}, {}, "y", "Pass its encoding, such as .*'latin-1'"),
    "a class named NA": (
        {},
        {},
        "k",
        "'k' has missing values: .*'NA', pass .*'keep_default_na'",
    ),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_what_to_do_about_a_csv_file_that_cannot_be_read(tmp_path, case):
    """And it works."""
    written, names, target, match = REMEDIES[case]
    path = tmp_path / "table.csv"
    table = pd.DataFrame({"x": range(60), "k": ["NA", "\u00e9"] * 30, "y": range(60)})
    table.rename(columns=names).to_csv(path, index=False, **written)
    with pytest.raises(ValueError, match=match):
        list(read_chunks(path, target=target))
    options = {
        "separator": {"sep": ";"},
        "spaces": {"skipinitialspace": True},
        "encoding": {"encoding": "latin-1"},
        "a class named NA": {"keep_default_na": False, "na_values": [""]},
    }
    if case in options:
        chunks = read_chunks(path, target=target, read_options=options[case])
        ((_, y),) = chunks
        assert sorted({*y.tolist()}) == sorted({*table[target].tolist()})


def test_row_numbers_of_a_csv_file_are_said(tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame({"x": range(60), "y": range(60)}).to_csv(path)
    with pytest.warns(UserWarning, match="first column of .*csv has no name.*'Unnamed: 0'"):
        assert read_chunks(path, target="y").columns == ["Unnamed: 0", "x"]
    read_chunks(path, target="y", columns=["x"])


def test_columns_that_are_missing_or_twice(csv, frame, tmp_path):
    with pytest.raises(ValueError, match=r"lacks columns \['price'\]; it has \['number'"):
        read(csv, target="price")
    with pytest.raises(ValueError, match=r"lacks columns \['size'\]"):
        read(csv, columns=["number", "size"])
    with pytest.raises(ValueError, match=r"lacks columns \['w'\]"):
        read(csv, sample_weight="w")
    with pytest.raises(ValueError, match="different columns"):
        read(csv, columns=["y", "number"])
    with pytest.raises(ValueError, match="columns must not be empty"):
        read(csv, columns=[])
    with pytest.raises(ValueError, match=r"dtype names \['town'\]"):
        read(csv, dtype={"town": "category"})
    # Another file without a column.
    other = write(frame.drop(columns="city"), tmp_path / "other.csv")
    with pytest.raises(ValueError, match=r"other\.csv lacks columns \['city'\]"):
        read([csv, other])


@pytest.mark.parametrize("value", [0, 2.5, True])
def test_chunk_size(csv, value):
    with pytest.raises(ValueError, match="chunk_size must be an integer >= 1"):
        read(csv, chunk_size=value)


def test_lines_of_differing_width(tmp_path):
    lines = ["a,b,y"] + ["1,2,3"] * 50 + ["1,2,3,4"] + ["1,2,3"] * 50
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"t\.csv cannot be read: .*line 52"):
        list(read_chunks(tmp_path / "t.csv", target="y", chunk_size=20))


def test_numbers_that_become_text(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HEAD_ROWS", 20)
    lines = ["a,y"] + ["1,2"] * 30 + ["none of it,2"] + ["1,2"] * 30
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"Column 'a'.*numbers.*dtype=\{'a': 'category'\}"):
        list(read_chunks(tmp_path / "t.csv", target="y", chunk_size=20))
    chunks = read_chunks(tmp_path / "t.csv", target="y", chunk_size=20, dtype={"a": "category"})
    assert list(next(iter(chunks))[0]["a"].cat.categories) == ["1", "none of it"]


def test_a_target_with_holes(csv):
    with pytest.raises(ValueError, match="target 'city' has missing values"):
        list(read(csv, target="city", columns=["number"]))


def test_too_many_levels(csv, monkeypatch):
    monkeypatch.setattr(files, "MOST_LEVELS", 15)
    with pytest.raises(ValueError, match="'zip'.* more than 15 levels.*out of columns"):
        read(csv, dtype={"zip": "category"})


DATES = pd.DataFrame(
    {
        "when": pd.date_range("2026-01-01", periods=5).where(np.arange(5) != 3),
        "kind": list("abbab"),
        "y": np.arange(5.0),
    }
)


@pytest.mark.parametrize("kind", ["parquet", "days.parquet", "csv"])
def test_dates_stay_dates(tmp_path, kind):
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        DATES.to_csv(path, index=False)
        options = {"parse_dates": ["when"]}
    else:
        # Days without a time are objects of datetime.date.
        days = DATES["when"].dt.date if kind == "days.parquet" else DATES["when"]
        DATES.assign(when=days).to_parquet(path)
        options = None
    chunks = read_chunks(path, target="y", chunk_size=3, read_options=options)
    for _ in range(2):
        found = [X for X, _ in chunks]
        assert [len(X) for X in found] == [3, 2]
        together = pd.concat(found, ignore_index=True)
        assert_array_equal(pd.to_datetime(together["when"]), DATES["when"])
        assert wrapped(together).time_columns == {0: "date"}
        assert together["kind"].dtype == "category"


def test_dates_of_a_csv_are_text_unless_parsed(tmp_path):
    DATES.to_csv(tmp_path / "t.csv", index=False)
    ((X, _),) = read_chunks(tmp_path / "t.csv", target="y")
    assert all(isinstance(one, str) for one in X["when"].dropna())
    network = NNRegressor(max_iter=1, random_state=0).fit(X, DATES["y"])
    assert "when" in str(summary(network)).partition("dates")[2].partition("\n")[0]


def test_dates_that_the_file_lacks(tmp_path):
    DATES.to_csv(tmp_path / "t.csv", index=False)
    options = {"parse_dates": ["when", "then"]}
    with pytest.raises(ValueError, match="t.csv.*'parse_dates': 'then'"):
        read_chunks(tmp_path / "t.csv", target="y", read_options=options)


def test_a_target_of_dates_is_no_number(tmp_path):
    DATES.dropna().to_parquet(tmp_path / "t.parquet")
    chunks = read_chunks(tmp_path / "t.parquet", target="when", columns=["y"])
    with pytest.raises(ValueError, match="'when'.*cannot be read as numbers"):
        list(chunks)


def test_read_options_are_for_csv(frame, tmp_path):
    path = write(frame, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="read_options are for pandas.read_csv"):
        read(path, read_options={"sep": ";"})


@pytest.mark.parametrize("option", sorted(files.RESERVED_OPTIONS))
def test_read_options_that_are_set_already(frame, tmp_path, option):
    path = write(frame, tmp_path / "t.csv")
    match = rf"read_options has \['{option}'\].*columns, dtype and chunk_size of read_chunks"
    with pytest.raises(ValueError, match=match):
        read(path, read_options={option: 10, "sep": ","})


@pytest.mark.parametrize(
    "dtype", ["float32", np.float32, np.dtype("int8"), float, "Int64", None]
)
def test_dtypes_of_numbers(csv, dtype):
    with pytest.raises(ValueError, match="dtype has {'number': .*float64: leave them out"):
        read(csv, dtype={"number": dtype, "zip": "category"})


@pytest.mark.parametrize(
    "dtype", ["category", str, "str", object, pd.CategoricalDtype(), pd.StringDtype()]
)
def test_dtypes_of_categories(csv, frame, dtype):
    X, _ = next(iter(read(csv, dtype={"zip": dtype})))
    assert X["zip"].astype(object).tolist() == frame["zip"][: len(X)].tolist()


def test_what_it_shows(frame, tmp_path):
    paths = [write(frame, tmp_path / name) for name in ("a.csv", "b.parquet")]
    end = "target='y', sample_weight=None, columns=['number', 'city'], chunk_size=300)"
    one, both = (read(path, columns=["number", "city"]) for path in (paths[0], paths))
    assert repr(one) == f"read_chunks({str(paths[0])!r}, {end}"
    assert repr(both) == f"read_chunks({[str(path) for path in paths]}, {end}"


@pytest.mark.parametrize(("suffix", "library"), [("csv", "pandas"), ("parquet", "pyarrow")])
def test_what_is_not_installed(frame, tmp_path, monkeypatch, suffix, library):
    path = write(frame, tmp_path / f"t.{suffix}")

    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(ImportError, match=rf'needs {library}: .*"\.\[files\]"'):
        read(path)


# Damaged files.

#: Files in which every cut and nearly every flipped bit is noticed. A plain CSV has no
#: checksum, so that a flipped digit is a number like any other.
CHECKED_SUFFIXES = ["csv.gz", "csv.bz2", "csv.xz", "parquet"]


def read_all(path):
    """Read all chunks of a file."""
    return list(read_chunks(path, target="y", chunk_size=300))


@pytest.mark.parametrize("suffix", CHECKED_SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_an_error_of_a_cut_file_names_it(frame, tmp_path, suffix, share):
    path = write(frame, tmp_path / f"table.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError) as error:
        read_all(path)
    assert str(error.value).startswith(str(path))


# A digit that has become a letter makes its column one of text, of which a warning tells.
@pytest.mark.filterwarnings("ignore:.*is read as a category:UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_error_of_a_damaged_file_is_a_value_error_that_names_it(frame, tmp_path, suffix):
    path = write(frame[["number", "count", "zip", "y"]], tmp_path / f"table.{suffix}")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    n_errors = 0
    # The first and the last bytes are those of the header and the footer.
    for place in [*range(10), *range(-10, 0), *rng.integers(0, len(content), 20)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read_all(path)
        except ValueError as error:
            assert str(path) in str(error)
            n_errors += 1
    # Half of the bytes of an uncompressed column of numbers are digits that may change.
    assert n_errors > 3


def test_the_pages_of_a_parquet_file_are_compared_with_their_checksums(frame, tmp_path):
    path = tmp_path / "table.parquet"
    frame[["number", "y"]].to_parquet(path, compression=None, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="table.parquet cannot be read"):
        read_all(path)


def test_the_file_with_a_missing_target_is_named(frame, tmp_path):
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    write(frame, paths[0])
    write(frame.assign(y=frame["y"].where(frame.index != 700)), paths[1])
    match = "second.csv cannot be read: The target 'y' has missing values"
    with pytest.raises(ValueError, match=match):
        list(read_chunks(paths, target="y", chunk_size=300))


# Numbers in a column that other text makes a category.


NUMBERS = np.linspace(0.5, 1.5, 40)


def write_values(tmp_path, suffix, values):
    """Write a file with one column of features of the given values, and return its path."""
    frame = pd.DataFrame({"odd": values, "y": np.arange(float(len(values)))})
    return write(frame, tmp_path / f"table.{suffix}")


@pytest.mark.parametrize("chunk_size", [7, 300])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_stray_text_among_numbers_is_the_warning_of_a_table_in_memory(
    tmp_path, suffix, chunk_size
):
    values = pd.Series(NUMBERS).astype(str)
    values[17], values[23], values[29], values[31] = "unknown", "none", "missing", "other"
    path = write_values(tmp_path, suffix, values)
    frame = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    with pytest.warns(UserWarning) as of_memory:
        TableReader.learn(wrapped(frame[["odd"]]), "from_dtype")
    with pytest.warns(UserWarning) as of_file:
        read_chunks(path, target="y", chunk_size=chunk_size)
    texts = [[str(one.message) for one in caught] for caught in (of_memory, of_file)]
    assert texts[1] == [texts[0][0].replace("of X", f"of {path}")]
    assert "Column 'odd' of" in texts[1][0] and "36 different numbers in 40 rows" in texts[1][0]


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (pd.Series(NUMBERS).astype(str).replace("0.5", "?"), {"dtype": {"odd": "category"}}),
        (
            pd.Series(NUMBERS).astype(str).replace("0.5", "?"),
            {"read_options": {"na_values": "?"}},
        ),
        (pd.Series(np.repeat(NUMBERS[:30], 2)).astype(str).replace("0.5", "?"), {}),
        (pd.Series([f"u{i}" for i in range(40)]), {}),
        (pd.Series(["?", *map(str, range(40))]), {}),
    ],
    ids=["chosen", "missing", "repeated", "words", "digits"],
)
def test_other_columns_are_no_warning(tmp_path, values, options):
    path = write_values(tmp_path, "csv", values)
    read_chunks(path, target="y", **options)


def test_a_category_of_a_parquet_file_is_no_warning(tmp_path):
    values = pd.Series(NUMBERS).astype(str).astype("category")
    read_chunks(write_values(tmp_path, "parquet", values), target="y")


@pytest.mark.parametrize("order", [["y", "when", "word", "x"], ["x", "y", "word", "when"]])
@pytest.mark.parametrize("columns", [None, ["x", "when", "word"]])
def test_the_order_of_columns_in_the_file_does_not_matter(tmp_path, order, columns):
    frame = pd.DataFrame(
        {
            "y": np.arange(60.0),
            "when": pd.date_range("2020-01-01", periods=60),
            "word": [f"{i % 7},5" for i in range(60)],
            "x": np.linspace(0, 1, 60),
        }
    )
    path = tmp_path / "t.csv"
    frame[order].to_csv(path, index=False)
    options = {"target": "y", "columns": columns, "read_options": {"parse_dates": ["when"]}}
    X, y = next(iter(read_chunks(path, **options)))
    assert_array_equal(y, frame["y"])
    assert list(X) == (columns or [name for name in order if name != "y"])
    assert X["when"].dtype.kind == "M"
    # Numbers with a decimal comma are left to the estimator, which reads them.
    assert X["word"].tolist() == frame["word"].tolist()
    assert X["word"].dtype != "category"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_large_integer_labels_stay_apart(tmp_path, ending):
    for y in [2**53 + i % 2 for i in range(20)], [1] * 10 + [2**63 + i % 2 for i in range(10)]:
        frame = pd.DataFrame({"x": np.arange(20.0), "y": y})
        path = tmp_path / f"t.{ending}"
        frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
        chunks = read_chunks(path, target="y", chunk_size=10)
        if max(y) < 2**63:
            assert chunks.classes.tolist() == sorted(set(y))
        else:
            with pytest.raises(ValueError, match="'y' has integers above the largest int64"):
                list(chunks)


# Parquet files of pandas.


@pytest.mark.parametrize("index", ["x", "shuffled", "dates"])
def test_the_index_of_a_frame_is_no_column(tmp_path, index):
    frame = pd.DataFrame({"a": np.arange(20.0), "y": np.arange(20.0)})
    if index == "dates":
        frame.index = pd.date_range("2020", periods=20, name="when")
    elif index == "shuffled":
        frame = frame.sample(frac=1, random_state=0)
    path = tmp_path / "table.parquet"
    frame.to_parquet(path)
    ((X, y),) = read_chunks(path, target="y")
    assert list(X.columns) == ["a"]
    assert_array_equal(X["a"], frame["a"])
    assert_array_equal(y, frame["y"])
    if index == "dates":
        # Its name still chooses it.
        ((X, y),) = read_chunks(path, target="y", columns=["when", "a"])
        assert_array_equal(X["when"], frame.index)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_ordered_target_keeps_its_order(tmp_path, suffix):
    dtype = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    frame = pd.DataFrame(
        {"x": np.arange(9.0), "y": pd.Series(["low", "mid", "high"] * 3, dtype=dtype)}
    )
    given = {"dtype": {"y": dtype}} if suffix == "csv" else {}
    chunks = read_chunks(
        write(frame, tmp_path / f"t.{suffix}"), target="y", chunk_size=4, **given
    )
    parts = [y for _, y in chunks]
    assert [list(y) for y in parts] == [frame["y"].tolist()[i : i + 4] for i in (0, 4, 8)]
    assert all(y.dtype == dtype for y in parts)
    assert chunks.classes.tolist() == ["high", "low", "mid"]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"columns": "a"}, TypeError, "columns must be a list of names, got 'a'"),
        ({"read_options": {"parse_dates": True}}, ValueError, "^For .*csv, parse_dates must"),
        ({"read_options": {"index_col": 0}}, ValueError, "^For .*csv, read_options has"),
    ],
)
def test_arguments_that_are_refused(tmp_path, change, error, match):
    path = write(pd.DataFrame({"a": [1.0, 2.0], "y": [1.0, 2.0]}), tmp_path / "t.csv")
    with pytest.raises(error, match=match):
        read_chunks(path, target="y", **change)
    assert read_chunks(tmp_path.glob("*.csv"), target="y").columns == ["a"]


def test_a_column_of_lists_is_named(tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0], "tags": [[1, 2], [3]], "y": [1.0, 2.0]})
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    with pytest.raises(ValueError, match="Column 'tags'"):
        list(read_chunks(path, target="y"))


def test_a_class_that_the_order_lacks_is_named(tmp_path):
    paths = []
    for name, levels in (("a", ["low", "mid"]), ("b", ["low", "mid", "high"])):
        y = pd.Categorical(levels * 3, levels, ordered=True)
        paths.append(tmp_path / f"{name}.parquet")
        pd.DataFrame({"x": np.arange(float(len(y))), "y": y}).to_parquet(paths[-1])
    with pytest.raises(ValueError, match=r"has the classes \['high'\], which its order"):
        list(read_chunks(paths, target="y"))
    dtype = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    parts = [y for _, y in read_chunks(paths, target="y", dtype={"y": dtype})]
    assert [len(y) for y in parts] == [6, 9]


def test_truth_values_and_later_digits_are_truth_values(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HEAD_ROWS", 2)
    frame = pd.DataFrame({"x": range(4), "y": ["True", "False", "1", "0"]})
    chunks = read_chunks(write(frame, tmp_path / "t.csv"), target="y", chunk_size=2)
    assert [y.tolist() for _, y in chunks] == [[True, False], [True, False]]


@pytest.mark.parametrize("path", [3, b"t.csv", 1.5])
def test_what_is_no_path(path):
    with pytest.raises(TypeError):
        read_chunks(path, target="y")

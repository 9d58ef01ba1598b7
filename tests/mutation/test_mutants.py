"""The mutants that ``mutants.py`` makes, and the tests that it finds for a module."""

import ast
from pathlib import Path

import pytest
from mutation.mutants import (
    ALSO,
    files_of_tests,
    listed_survivors,
    modules,
    mutants_of,
    path_of,
)


@pytest.mark.parametrize(
    "line, expected",
    [
        ("y = a + b", ["y = a - b"]),
        ("y = a * b / c", ["y = a * b * c", "y = a / b / c"]),
        ("y = 2 if not x else 0.5", ["y = 2 if not not x else 0.5", "y = 3 if not x else 0.5",
                                     "y = 2 if x else 0.5", "y = 2 if not x else 1.0"]),
        ("y = 0 <= x < 1", ["y = 0 < x < 1", "y = 0 <= x <= 1", "y = 1 <= x < 1",
                            "y = 0 <= x < 2"]),
        ("y = np.minimum(x, True)", ["y = np.maximum(x, True)", "y = np.minimum(x, False)"]),
        ("y = x[-1]", ["y = x[1]", "y = x[-2]"]),
        ("y = x.reshape(0, -1)", ["y = x.reshape(1, -1)", "y = x.reshape(0, 1)"]),
        ("y *= x", ["y /= x", "pass"]),
        ("y[0] = x", ["pass", "y[1] = x"]),
        ("f(x)", ["pass"]),
        ("return x", ["return None"]),
        ("raise ValueError(f'{x + 1}')", ["pass"]),
        ("raise NotImplementedError", []),
        ("y: tuple[1] = x", []),
        ("y = zip(a, b, strict=True)", []),
        ("'A sentence with 1 + 1.'", []),
    ],
)  # fmt: skip
def test_each_kind_of_error(line, expected):
    """One mutant for each part of a line that can be wrong, and none for what is not run."""
    found = mutants_of("a", f"def f(x):\n    {line}")
    assert sorted(one.after for one in found) == sorted(expected)
    assert (
        {(one.where, one.before) for one in found} <= {("f", found[0].before)} if found else 1
    )
    for one in found:
        assert one.source == f"def f(x):\n    {one.after}"


def test_a_condition_of_a_statement_is_negated():
    found = mutants_of("a", "class C:\n    def f(self):\n        if self.x:\n            g()")
    assert [(one.where, one.after) for one in found] == [
        ("C.f", "if not self.x:"),
        ("C.f", "pass"),
    ]


def test_protocols_have_no_mutants():
    assert not mutants_of("a", "class C(Protocol):\n    def f(self):\n        return 1")


def test_a_module_without_tests_is_an_error():
    with pytest.raises(ValueError, match="data/new has no file of tests: write tests/data/"):
        files_of_tests("data/new")


@pytest.mark.skipif(not path_of("nn/losses").exists(), reason="no source tree is here")
def test_every_module_has_tests_and_every_listed_survivor_its_line():
    """A row of the list whose line is gone must go, too."""
    assert {"nn/losses", "data/encoding"} <= set(modules())
    assert set(ALSO) <= set(modules())
    assert all(Path(file).exists() for module in modules() for file in files_of_tests(module))
    survivors = listed_survivors()
    assert survivors
    for module in {name for name, *_ in survivors}:
        source = ast.unparse(ast.parse(path_of(module).read_text("utf-8")))
        lines = {line.strip() for line in source.splitlines()}
        assert {before for name, _, before, _ in survivors if name == module} <= lines

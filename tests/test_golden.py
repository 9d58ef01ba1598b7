"""The script that compares predictions before and after a change names what changed."""

import importlib.util
import json
from pathlib import Path

import pytest

from sknet.nn.activations import Mish

FILE = Path(__file__).parent / "golden" / "predictions.py"
SOME = ["loss=huber", "n_members=2, classifier", "partial fit regressor"]


@pytest.fixture(scope="module")
def golden():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("golden_predictions", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compare(golden, tmp_path, capsys):
    """Return a function that runs ``compare`` with hashes; it returns exit code and text."""

    def compare(before, only):
        file = tmp_path / "before.json"
        file.write_text(json.dumps(before))
        code = golden.main(["compare", str(file), "--only", only, "--no-dask"])
        return code, capsys.readouterr().out

    return compare


def test_hashes_are_the_same_twice_in_one_process(golden):
    cases = {name: golden.CASES[name] for name in SOME}
    once, again = golden.results_of(cases), golden.results_of(cases)
    assert once == again
    assert len(set(once.values())) == len(SOME)
    assert not any(result.startswith("raised") for result in once.values())


def test_written_hashes_are_found_again(golden, compare, tmp_path, capsys):
    file = tmp_path / "written.json"
    assert golden.main(["write", str(file), "--only", "loss=huber", "--no-dask"]) == 0
    capsys.readouterr()
    code, text = compare(json.loads(file.read_text()), "loss=huber")
    assert (code, text) == (0, "2 cases, 0 to look at\n")


def test_a_changed_case_is_named(golden, compare, monkeypatch):
    cases = ["activations", "activation=Softplus()"]
    before = golden.results_of({name: golden.CASES[name] for name in cases})
    forward = Mish.forward

    def with_rounding(self, z, a):
        forward(self, z, a)
        a *= 1 + 1e-6

    monkeypatch.setattr(Mish, "forward", with_rounding)
    code, text = compare(before, "activation")
    assert code == 1
    assert text.startswith("activations: ")
    assert text.endswith("2 cases, 1 to look at\n")


def test_a_case_that_raises_is_named_even_if_it_did_before(golden):
    def fails():
        raise ValueError("no such thing")

    results = golden.results_of({"fails": fails})
    assert golden.differences(results, results) == ["fails: raised ValueError: no such thing"]


def test_a_missing_case_is_named(golden):
    (line,) = golden.differences({"one": "ab", "two": "cd"}, {"one": "ab"})
    assert line == "two: cd before, missing after"

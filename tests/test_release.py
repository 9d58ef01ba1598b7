"""What a release is told by: its version, its changelog, and the names that it keeps."""

import re
from pathlib import Path

import pytest
from public_names import FILE, lines_of, public_names

import sknet
from sknet.nn.activations import Activation

ROOT = Path(__file__).parents[1]
ADVICE = "docs/compatibility.md says what may change; tests/public_names.py writes the list."


def test_public_names_are_the_recorded_ones():
    """So that no name, parameter, default or value goes or comes unnoticed."""
    recorded = FILE.read_text("utf-8").splitlines()
    found = public_names()
    assert sorted(set(recorded) - set(found)) == [], f"Gone. {ADVICE}"
    assert sorted(set(found) - set(recorded)) == [], f"New. {ADVICE}"
    assert recorded == found


def test_a_renamed_parameter_and_another_default_are_noticed(monkeypatch):
    path = "sknet.streaming.shuffle_chunks"
    monkeypatch.setattr("sknet.streaming.shuffle_chunks", lambda parts, *, window=9: None)
    assert {f"{path}(parts)", f"{path}(window=9)"} <= set(lines_of(path))
    assert not set(lines_of(path)) <= set(FILE.read_text("utf-8").splitlines())


def test_a_method_that_rules_define_is_noticed(monkeypatch):
    monkeypatch.delattr(Activation, "forward")
    with pytest.raises(AttributeError):
        list(lines_of("sknet.nn.activations.Activation"))


def heading(changelog):
    """Return version and date, or "unreleased", of the first entry of a changelog."""
    (found, *_) = re.findall(r"^## (\S+) \((\S+)\)$", changelog, re.MULTILINE)
    return found


def test_the_changelog_and_the_citation_name_the_version():
    """A development version is that of the entry that is not released yet."""
    version, date = heading((ROOT / "CHANGELOG.md").read_text("utf-8"))
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {sknet.__version__}\n" in citation
    assert sknet.__version__.partition(".dev")[0] == version
    if date == "unreleased":
        assert ".dev" in sknet.__version__
        assert "date-released" not in citation
    else:
        assert sknet.__version__ == version
        assert f"\ndate-released: {date}\n" in citation

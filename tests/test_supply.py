"""What SECURITY.md promises of the code of the package: read from its source, and watched."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sknet
from sknet.streaming import read_chunks

ROOT = Path(sknet.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

#: Modules that run programs, reach the network, or turn bytes into objects that run code.
MODULES = {
    "code", "codeop", "ctypes", "cffi", "importlib", "pty", "runpy", "subprocess",
    "asyncio", "ftplib", "http", "httpx", "imaplib", "poplib", "requests", "smtplib", "socket",
    "socketserver", "ssl", "urllib", "urllib3", "webbrowser", "xmlrpc",
    "_pickle", "cloudpickle", "dill", "marshal", "pickle", "shelve", "yaml",
}  # fmt: skip
#: Functions of Python itself that run text.
BUILTINS = {"__builtins__", "__import__", "breakpoint", "compile", "eval", "exec"}
#: Attributes, of any object, that run text or a program, or that load an object from a file.
ATTRIBUTES = {
    "eval", "import_module", "load", "loads", "popen", "query", "read_pickle", "startfile",
    "system", "__import__",
}  # fmt: skip
#: The beginnings of names in ``os`` that start a program.
PROGRAMS = ("exec", "spawn", "posix_spawn", "fork")

#: What the package may do, and the module in which it does it, once.
ALLOWED = [
    # Optional packages, by names that the next test reads.
    ("_requirements", "import importlib"),
    ("_requirements", "import importlib.import_module"),
    # The error of an object that has no pickle.
    ("_parameters", "import pickle"),
    # What an ONNX model tells of its inputs; JSON runs nothing.
    ("export/_rows", "json.loads"),
    # fit(resume_from=path), which SECURITY.md warns of.
    ("_persistence", "joblib.load"),
]


def findings(source):
    """Yield a description of each part of a source that may run what is not in the package."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names):
                modules = [name.name for name in names]
                yield from (f"import {one}" for one in modules if top(one) in MODULES)
            case ast.ImportFrom(str(module), names, 0):
                if top(module) in MODULES:
                    yield f"import {module}"
                full = [f"{module}.{name.name}" for name in names]
                yield from (f"import {one}" for one in full if runs(one))
            case ast.Name(name) if name in BUILTINS:
                yield name
            case ast.Attribute(value, name) if runs(f"{ast.unparse(value)}.{name}"):
                yield f"{ast.unparse(value)}.{name}"


def top(module):
    return module.partition(".")[0]


def runs(full_name):
    """Return whether a dotted name is one of a function that runs or loads something."""
    owner, _, name = full_name.rpartition(".")
    of_python = top(owner) == "builtins" and name in BUILTINS
    return of_python or name in ATTRIBUTES or (owner == "os" and name.startswith(PROGRAMS))


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "run = exec",
        "compile(text, 'name', 'exec')",
        "__import__(name)",
        "import subprocess",
        "import urllib.request as reader",
        "from http import client",
        "def late():\n    import socket",
        "import pickle",
        "from marshal import loads",
        "import importlib",
        "importlib.import_module(name)",
        "os.system('ls')",
        "from os import popen",
        "os.execv(path, [])",
        "from os import spawnl",
        "joblib.load(path)",
        "from joblib import load",
        "np.load(path, allow_pickle=True)",
        "self.module.loads(text)",
        "pd.read_pickle(path)",
        "frame.eval('a + b')",
        "from builtins import exec as run",
    ],
)
def test_each_way_to_run_something_is_found(source):
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "re.compile('a')",
        "loads = load + 1",
        "from . import code",
        "joblib.dump(x, path)",
        "os.replace(a, b)",
        "self.evaluate(x)",
        "import sklearn.utils",
    ],
)
def test_other_code_is_not_found(source):
    assert not list(findings(source))


def test_the_package_runs_nothing_but_what_security_md_says():
    """No text, program, network or pickle is run by the package, but for the places listed."""
    found = [
        (path.relative_to(ROOT).with_suffix("").as_posix(), one)
        for path in FILES
        for one in findings(path.read_text("utf-8"))
    ]
    assert sorted(found) == sorted(ALLOWED)


def test_optional_packages_are_imported_by_names_in_the_source():
    """``require`` imports what it is told, so that each call tells it a constant."""
    calls = [
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "require"
    ]
    assert len(calls) > 5
    for call in calls:
        assert isinstance(call.args[0], ast.Constant), ast.unparse(call)


WATCHED = """
import socket
import sys
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event))
import numpy as np
from sknet import NNClassifier, NNRegressor
X = np.arange(40.0).reshape(20, 2) % 7
seen.clear()
NNClassifier(max_iter=2).fit(X, X[:, 0] > 2).predict_proba(X)
NNRegressor(max_iter=2).fit(X, X[:, 0]).predict(X)
print(*seen)
seen.clear()
socket.socket().close()
print(*seen)
"""


def test_fit_and_predict_reach_no_network_and_start_no_program():
    """Python's own audit events show it, whatever library makes the call."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED],
        capture_output=True,
        check=True,
        text=True,
    )
    of_sknet, of_socket = (set(line.split()) for line in ran.stdout.splitlines())
    starts = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")
    starts = (*starts, "urllib.", "pickle.find_class")
    assert not [one for one in of_sknet if one.startswith(starts)]
    assert [one for one in of_socket if one.startswith(starts)]


@pytest.mark.parametrize("address", ["https://example.org/a.csv", "s3://bucket/a.parquet"])
def test_an_address_is_not_opened(address, monkeypatch):
    """``read_chunks`` reads files by their path, and asks no network for an address."""

    def refuse(*args, **kwargs):
        raise AssertionError("a connection was tried")

    pytest.importorskip("pandas")
    monkeypatch.setattr("socket.socket", refuse)
    with pytest.raises(FileNotFoundError):
        list(read_chunks(address, target="y"))

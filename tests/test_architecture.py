"""The design, read from the source: what imports what, and what each parameter must have."""

import ast
import inspect
import io
import re
import sys
import tokenize
from collections import Counter
from dataclasses import is_dataclass
from importlib.util import resolve_name
from pathlib import Path

import pytest

import sknet
import sknet.callbacks
import sknet.export
import sknet.inspection
import sknet.pretraining
import sknet.search
from sknet import NNClassifier, NNRegressor, streaming
from sknet._base import FITTED
from sknet._model import ClassificationModel, RegressionModel
from sknet._parameters import AUTO, Numbers
from sknet._requirements import StrOptions
from sknet._shared_parameters import SharedParameters
from sknet.nn.activations import ACTIVATIONS
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS
from sknet.nn.layers import NORMALIZATIONS
from sknet.nn.losses import LOSSES
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.schedules import SCHEDULES

ROOT = Path(sknet.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ESTIMATORS = [NNClassifier, NNRegressor]

DESIGN = Path(__file__).parents[1] / "docs" / "design.md"


def read_rooms():
    """Return the rows of rooms that the page on the design names, from top to bottom."""
    (block,) = re.findall(r"<!-- rooms -->\n\n```text\n(.*?)```", DESIGN.read_text(), re.DOTALL)
    return [[room.strip() for room in row.split("|")] for row in block.strip().splitlines()]


ROWS = read_rooms()


def module_name(path):
    parts = ["sknet", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Yield (module, imported name or None) for every import, also inside functions."""
    package = module_name(path)
    package = package if path.name == "__init__.py" else package.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((module, alias.name) for alias in node.names)


def imported_modules(path):
    """Yield the full name of each module of sknet that a file imports, or of its parent."""
    names = {module_name(other) for other in FILES}
    for module, name in imports(path):
        full = f"{module}.{name}"
        yield full if full in names else module


def room(module):
    """Return the row, 0 at the top, and the name of the room that a module is in."""
    place = module.removeprefix("sknet.").split(".")[0]
    found = [(i, name) for i, row in enumerate(ROWS) for name in row if name == place]
    assert len(found) == 1, f"{module} is in {len(found)} rooms of docs/design.md"
    return found[0]


def test_every_module_has_one_room_and_every_room_a_module():
    rooms = {room(module_name(path)) for path in FILES}
    assert rooms == {(i, name) for i, row in enumerate(ROWS) for name in row}


def test_the_tree_of_the_house_names_every_module():
    """The first block of the page names each module, or the folder that it is in."""
    tree = DESIGN.read_text().split("```")[1]
    named = set(re.findall(r"(\w+)\.py", tree)) | {"__init__"}
    assert {path.stem for path in FILES if path.parent.name in ("nn", "data")} <= named
    others = [path for path in FILES if path.parent == ROOT]
    assert {path.stem for path in others} <= named


#: A module has at least so many lines of code: a shorter one joins the module that it serves.
FEWEST_LINES = 40
#: Modules with fewer lines, and why each stands alone.
SHORT = {
    "sknet._version": "The build reads it.",
    "sknet.distributed.dask": "With the base of its estimators it would pass 400 lines.",
    "sknet.exceptions": "Its path is public.",
    "sknet.nn.budget": "With the state of a training run it would pass 400 lines.",
}
#: Tokens that are no code.
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


def n_code_lines(source):
    """Return the number of lines that are neither blank, nor a comment or a docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    shown = [one for one in tokens if one.type not in SILENT and one.string]
    lines = {line for one in shown for line in range(one.start[0], one.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_a_short_module_has_a_reason():
    assert n_code_lines('"""A docstring."""\n\n# A comment.\nx = (\n    1\n)\n') == 3
    modules = [path for path in FILES if path.name != "__init__.py"]
    short = {module_name(p) for p in modules if n_code_lines(p.read_text()) < FEWEST_LINES}
    assert short == set(SHORT)


def definitions(path):
    """Yield the names of the functions and classes of a module, and of the methods."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
            for inner in getattr(node, "body", []):
                if isinstance(inner, ast.FunctionDef):
                    yield f"{node.name}.{inner.name}"


def test_the_walk_from_fit_to_the_first_step_names_functions_where_they_are():
    """Each row of the table has functions, each of which is in one of the row's rooms.

    No room is in two rows, but for the libraries of data and of mathematics.
    """
    rows = re.findall(r"^\| (\d+) \| (.*?) \| (.*?) \|", DESIGN.read_text(), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert 10 <= len(rows) <= 15
    entered = Counter(name for *_, rooms in rows for name in re.findall(r"`(\w+)`", rooms))
    assert {name for name, times in entered.items() if times > 1} <= {"data", "nn"}
    for _, functions, rooms in rows:
        defined, names = set(), set(re.findall(r"`(\w+)`", rooms))
        for path in FILES:
            if room(module_name(path))[1] in names:
                defined |= set(definitions(path))
        wanted = re.findall(r"`([\w.]+)`", functions)
        assert wanted
        assert [name for name in wanted if name not in defined] == []


def test_imports_are_found():
    found = set(imported_modules(ROOT / "_base.py"))
    assert {"sknet._input", "sknet.nn.state", "numpy", "sklearn.base"} <= found


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_down(path):
    """A module imports from its own room and from the rows below, never from beside."""
    own_row, own_name = room(module_name(path))
    for module in imported_modules(path):
        if module.split(".")[0] == "sknet":
            row, name = room(module)
            assert row > own_row or name == own_name, module


def test_no_module_imports_itself_through_others():
    imported = {module_name(path): set(imported_modules(path)) for path in FILES}

    def reached(module, seen):
        for other in imported.get(module, set()) - seen:
            seen |= {other} | reached(other, seen | {other})
        return seen

    assert [module for module in imported if module in reached(module, set())] == []


@pytest.mark.parametrize("path", sorted((ROOT / "nn").rglob("*.py")), ids=module_name)
def test_the_mathematics_knows_numpy_and_scipy_alone(path):
    allowed = {"numpy", "scipy", *sys.stdlib_module_names}
    for module in imported_modules(path):
        assert module.startswith("sknet.nn") or module.split(".")[0] in allowed, module


@pytest.mark.parametrize("path", sorted((ROOT / "data").rglob("*.py")), ids=module_name)
def test_data_does_not_know_the_networks(path):
    below = {name for row in ROWS[room("sknet.data")[0] + 1 :] for name in row}
    for module in imported_modules(path):
        if module.split(".")[0] == "sknet":
            assert room(module)[1] in {"data", *below}, module


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_private_names_of_scikit_learn_have_one_home(path):
    private = [
        (module, name)
        for module, name in imports(path)
        if module.split(".")[0] == "sklearn"
        and any(part.startswith("_") for part in [*module.split("."), name or ""])
    ]
    if module_name(path) == "sknet._requirements":
        assert private
    else:
        assert not private


# Public functions.


def public_functions():
    """Yield each public function and method of the public modules, with its name."""
    modules = [sknet, sknet.callbacks, sknet.export, sknet.inspection, sknet.pretraining]
    modules += [sknet.search, streaming]
    for module in modules:
        for name in getattr(module, "__all__", vars(module)):
            if name.startswith("_"):
                continue
            one = getattr(module, name)
            if not (getattr(one, "__module__", None) or "").startswith("sknet"):
                continue  # a class of Python that the module imports
            members = inspect.getmembers(one) if inspect.isclass(one) else []
            for inner, function in [("", one), *members]:
                if inspect.isfunction(function) and not inner.startswith("_"):
                    yield f"{module.__name__}.{name}.{inner}".strip("."), function


def test_public_functions_are_found():
    names = {name for name, _ in public_functions()}
    assert {"sknet.streaming.shuffle_chunks", "sknet.NNClassifier.fit"} <= names
    assert {"sknet.streaming.RowBlocks.windows", "sknet.export.to_onnx"} <= names


def test_no_public_function_is_a_generator():
    """The body of a generator runs when it is iterated: its checks would come too late."""
    found = [name for name, one in public_functions() if inspect.isgeneratorfunction(one)]
    assert found == []


# Private names.


def private_names():
    """Return the private names of estimators and models, each with the rooms that define it."""
    rooms = {name: {"_base"} for name in FITTED if name.startswith("_")}
    estimators_and_models = [*ESTIMATORS, ClassificationModel, RegressionModel]
    for cls in {cls for one in estimators_and_models for cls in one.__mro__}:
        if cls.__module__.startswith("sknet."):
            for name in vars(cls):
                if name.startswith("_") and not name.startswith("__"):
                    rooms.setdefault(name, set()).add(room(cls.__module__)[1])
    return rooms


def attribute_names(source):
    """Yield the names of attributes that a source reads or sets, but not on its own object."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            if ast.unparse(node.value) not in {"self", "cls", "super()"}:
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            yield from (one.value for one in node.args if isinstance(one, ast.Constant))


def test_private_names_are_found():
    names = {"_model", "_run", "_after_fit", "_last_fit", "_validate_params"}
    assert names <= set(private_names())
    source = "self._run, x.y._model, x._after_fit(1), getattr(x, '_last_fit')"
    assert {"_model", "_after_fit", "_last_fit"} <= set(attribute_names(source))
    assert "_run" not in attribute_names(source)


def test_private_names_are_read_elsewhere_only_where_the_design_says_so():
    """The table of docs/design.md names each private name that another room reads."""
    homes = private_names()
    found = {
        (name, room(module_name(path))[1])
        for path in FILES
        for name in attribute_names(path.read_text())
        if name in homes and room(module_name(path))[1] not in homes[name]
    }
    listed = re.findall(r"^\| `(_\w+)` \| `(\w+)` \|", DESIGN.read_text(), re.MULTILINE)
    assert len(listed) <= 15
    assert found == set(listed)


# Parameters.


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_has_a_constraint(cls):
    assert set(inspect.signature(cls).parameters) == set(cls._parameter_constraints)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_declaration_leaves_a_constructor_and_nothing_else(cls):
    """Dask, for example, would tell instances of a dataclass apart by their parameters only."""
    names = inspect.signature(cls).parameters
    assert not is_dataclass(cls)
    assert not any(hasattr(cls, name) for name in names)
    assert list(vars(cls())) == list(names)
    assert not any(one.annotation is not one.empty for one in names.values())
    assert inspect.get_annotations(SharedParameters)["alpha"].__origin__ == float | str
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\(\) .* 'alpa'. Did you mean alpha"):
        cls(alpa=1)


def documented(cls, section):
    """Return the names of a section of the class's docstring, each with its text."""
    lines = inspect.cleandoc(cls.__doc__).splitlines()
    start = lines.index(section) + 2
    entries, names = {}, []
    for line, following in zip(lines[start:], [*lines[start + 1 :], ""], strict=True):
        if following.startswith("---"):
            break
        if line and not line.startswith(" "):
            names = line.split(" : ")[0].split(", ")
            entries |= {name: line + "\n" for name in names}
        else:
            for name in names:
                entries[name] += line + "\n"
    return entries


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_parameter_is_documented(cls):
    entries = documented(cls, "Parameters")
    parameters = inspect.signature(cls).parameters
    assert list(entries) == list(parameters)
    for name, parameter in parameters.items():
        assert "default=" in entries[name], name
        if isinstance(parameter.default, str | bool | int | type(None)):
            shown = f"{parameter.default!r}".replace("'", '"')
            assert shown in entries[name].split("default=")[1], name
        elif isinstance(parameter.default, float):
            text = entries[name].split("default=")[1].split("\n")[0].replace(",", " ")
            values = [float(v) for v in text.split() if v[0].isdigit()]
            assert parameter.default in values, name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_documented_values_are_those_of_the_constraint(cls):
    """The first line of an entry names "auto", None and an interval as the constraint does."""
    n_intervals = 0
    for name, text in documented(cls, "Parameters").items():
        values = text.split("\n")[0].split(" : ")[1].split("default=")[0]
        constraint = cls._parameter_constraints[name]
        options = {one for c in constraint if isinstance(c, StrOptions) for one in c.options}
        assert ('"auto"' in values) >= (AUTO in constraint), name
        assert ("auto" in options) >= ('"auto"' in values), name
        assert ("None" in values) == bool({None, "random_state"} & set(constraint)), name
        for interval in re.findall(r"in ([\[(]\d, \d[\])])", values):
            assert interval in {bounds(one) for one in constraint}, name
            n_intervals += 1
    assert n_intervals >= 7


def bounds(constraint):
    """Return the bounds of an interval as the documentation has them, or None."""
    if isinstance(constraint, Numbers):
        left = "[" if constraint.closed in ("left", "both") else "("
        right = "]" if constraint.closed in ("right", "both") else ")"
        return f"{left}{constraint.left}, {constraint.right}{right}"


def loss_names(cls):
    """Return the names of losses that an estimator takes."""
    return [
        name for name in LOSSES if cls._parameter_constraints["loss"][0].is_satisfied_by(name)
    ]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_registered_name_is_documented(cls):
    entries = documented(cls, "Parameters")
    for parameter, registry in [
        ("activation", ACTIVATIONS),
        ("solver", [*OPTIMIZERS, "lbfgs"]),
        ("learning_rate", SCHEDULES),
        ("normalization", NORMALIZATIONS),
        ("numeric_embedding", NUMERIC_EMBEDDINGS),
        ("loss", loss_names(cls)),
    ]:
        for name in registry:
            assert f'"{name}"' in entries[parameter].replace("'", '"'), name


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.filterwarnings("ignore:Early stopping has 4 validation rows")
def test_every_public_fitted_attribute_is_documented(cls, early_stopping):
    network = cls((2,), max_iter=1, learning_rate="cosine", early_stopping=early_stopping)
    network.fit([[0.0, 1.0], [1.0, 2.0], [2.0, 0.0], [3.0, 1.0]] * 5, [0, 1, 0, 1] * 5)
    names = {*vars(network), *(n for n in dir(cls) if isinstance(getattr(cls, n), property))}
    names = {n for n in names if n.endswith("_") and not n.startswith("_")}
    assert {"coefs_", "history_", "n_iter_"} <= names
    assert names <= set(documented(cls, "Attributes"))


def test_shared_parameters_have_equal_defaults_and_order():
    ours, theirs = (inspect.signature(cls).parameters for cls in ESTIMATORS)
    shared = [name for name in ours if name in theirs]
    assert len(shared) > 25
    assert shared == [name for name in theirs if name in ours]
    for name in set(shared) - {"loss"}:
        assert ours[name].default == theirs[name].default, name

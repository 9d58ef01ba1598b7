"""Mutation testing: break ``sknet/nn`` and ``sknet/data`` on purpose, and see who notices.

A mutant is a module with one small error: a sign, a comparison, a number, a dropped statement.
The script makes mutants of each module, runs the tests that belong to the module on each of
them, and lists the mutants that all tests pass. In a clone of this repository, with the
packages of the extra ``test`` installed, on Linux or macOS:

    python tests/mutation/mutants.py --sample 15 --processes 2      # every module
    python tests/mutation/mutants.py losses encoding                # all mutants of two modules
    python tests/mutation/mutants.py losses --only link             # of lines with this text
    python tests/mutation/mutants.py losses --show                  # list them, run nothing

No file is changed. Each mutant lives in a process of its own, which is forked from one that has
imported the libraries but not sknet; an importer gives it the mutated source. A mutant that a
test fails on, or that takes too long, is killed. Survivors that ``survivors.md`` lists, with
the reason why no test kills them, are marked as listed. The script exits with 1 if there are
others. A sample depends on ``--seed`` and on the source of its module alone.
"""

import argparse
import ast
import gc
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.md")

# The mutations.

#: Operators of the same kind, in pairs that replace each other.
PAIRS = [
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.FloorDiv, ast.Mod),
    (ast.BitAnd, ast.BitOr),
    (ast.And, ast.Or),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
]
OPERATORS = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
OPERATORS |= {ast.Pow: ast.Mult}

#: Functions and methods that replace each other.
FUNCTIONS = {
    one: other
    for pair in [
        ("min", "max"),
        ("minimum", "maximum"),
        ("any", "all"),
        ("floor", "ceil"),
        ("nanargmin", "nanargmax"),
        ("zeros", "ones"),
        ("zeros_like", "ones_like"),
    ]
    for one, other in (pair, pair[::-1])
}

SCOPES = ast.ClassDef | ast.FunctionDef

#: The fields of the syntax tree that are not executed, or only describe.
SKIPPED_FIELDS = {"annotation", "returns", "bases", "type_params"}
#: Arguments that check what holds anyway, or save time: no result depends on them.
GUARDS = {"strict", "copy", "maxsize"}


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that each make a mutant in the place of this one."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(OPERATORS[type(op)](), values)
        case ast.Compare(left, ops, right):
            for i, op in enumerate(ops):
                if type(op) in OPERATORS:
                    swapped = [*ops[:i], OPERATORS[type(op)](), *ops[i + 1 :]]
                    yield ast.Compare(left, swapped, right)
        case ast.UnaryOp(ast.USub() | ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield ast.Constant(2 * value or 1.0)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Name(name, context) if name in FUNCTIONS:
            yield ast.Name(FUNCTIONS[name], context)
        case ast.Attribute(value, name, context) if name in FUNCTIONS:
            yield ast.Attribute(value, FUNCTIONS[name], context)
        case ast.stmt():
            yield from statement_replacements(node)


def statement_replacements(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements that each make a mutant in the place of this one."""
    match node:
        case ast.If(test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.AugAssign(target, op, value):
            if type(op) in OPERATORS:
                yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.Expr(ast.Call()) | ast.Assign([ast.Subscript() | ast.Attribute()]):
            yield ast.Pass()
        case ast.Raise() if "NotImplementedError" not in ast.unparse(node):
            yield ast.Pass()
        case ast.Return(value) if value is not None and ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


@dataclass(frozen=True)
class Mutant:
    """One small error in a module.

    ``before`` and ``after`` are the line that differs, as ``ast.unparse`` writes it, and
    ``where`` is the class and function around it. Together with the module they name the
    mutant in the list of survivors, which outlives changes elsewhere in the module.
    """

    module: str
    where: str
    before: str
    after: str
    line: int
    source: str

    @property
    def key(self) -> tuple[str, ...]:
        """The name of the mutant."""
        return self.module, self.where, self.before, self.after


@dataclass(frozen=True)
class Site:
    """A node that is executed, the place in its parent, and the class and function around."""

    parent: ast.AST
    field: str
    index: int | None
    node: Any
    where: str

    def put(self, node: ast.AST) -> None:
        """Put a node in the place of this one."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def sites(tree: ast.AST, where: str = "") -> Iterator[Site]:
    """Yield each node below ``tree`` that is executed."""
    for field, value in ast.iter_fields(tree):
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            is_guard = isinstance(child, ast.keyword) and child.arg in GUARDS
            if field in SKIPPED_FIELDS or is_guard or not isinstance(child, ast.AST):
                continue
            yield Site(tree, field, index, child, where)
            if not is_opaque(child, tree):
                name = getattr(child, "name", "") if isinstance(child, SCOPES) else ""
                yield from sites(child, ".".join(filter(None, [where, name])))


def is_opaque(node: ast.AST, parent: ast.AST) -> bool:
    """Return whether no part of a node makes a difference, though the whole may do so."""
    match node:
        case ast.Raise() | ast.JoinedStr():
            return True  # The text of a message is no arithmetic.
        case ast.ClassDef(bases=bases):
            return "Protocol" in map(ast.unparse, bases)
        case ast.UnaryOp():
            # NumPy reads every negative length as the unknown one.
            return isinstance(parent, ast.Call) and ast.unparse(parent.func).endswith("reshape")
    return False


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Return all mutants of a module's source."""
    tree = ast.parse(source)
    original = ast.unparse(tree).splitlines()
    found = []
    for site in list(sites(tree)):
        for new in replacements(site.node):
            site.put(ast.copy_location(new, site.node))
            changed = ast.unparse(ast.fix_missing_locations(tree))
            site.put(site.node)
            pairs = zip(original, changed.splitlines(), strict=False)
            before, after = next((one, other) for one, other in pairs if one != other)
            found.append(
                Mutant(
                    module, site.where, before.strip(), after.strip(), site.node.lineno, changed
                )
            )
    return found


# The tests.

#: The files of tests that hold a module, beside ``tests/<folder>/test_<module>.py``.
ALSO = {
    "nn/activations": [
        "nn/test_gradients.py",
        "nn/test_registries.py",
        "test_monotone.py",
    ],
    "nn/losses": ["nn/test_gradients.py", "nn/test_registries.py", "test_losses_fit.py"],
    "nn/sets": [
        "nn/test_penalties.py",
        "test_monotone.py",
        "nn/test_registries.py",
        "nn/test_optimizers.py",
        "nn/test_objective.py",
        "nn/test_training.py",
    ],
    "nn/optimizers": ["nn/test_registries.py", "nn/test_training.py"],
    "nn/schedules": ["nn/test_registries.py", "nn/test_training.py"],
    "nn/layers": [
        "nn/test_layer_contract.py",
        "nn/test_network.py",
        "nn/test_gradients.py",
        "nn/test_groups.py",
    ],
    "nn/columns": ["nn/test_rules.py", "nn/test_embeddings.py", "nn/test_layer_contract.py"],
    "nn/embeddings": ["nn/test_layer_contract.py"],
    "nn/ensembles": ["nn/test_layer_contract.py", "nn/test_layers.py", "test_ensemble.py"],
    "nn/network": ["nn/test_layer_contract.py", "nn/test_registries.py"],
    "nn/objective": [
        "nn/test_registries.py",
        "nn/test_gradients.py",
        "nn/test_ensembles.py",
        "nn/test_members.py",
    ],
    "nn/lbfgs": ["nn/test_registries.py"],
    "nn/training": ["test_early_stopping.py"],
    "nn/epochs": ["nn/test_training.py", "test_early_stopping.py"],
    "nn/state": ["nn/test_training.py", "test_early_stopping.py"],
    "nn/kernels": [
        "nn/test_bins.py",
        "nn/test_layers.py",
        "nn/test_optimizers.py",
        "nn/test_embeddings.py",
        "nn/test_layer_contract.py",
    ],
    "nn/groups": ["nn/test_layer_contract.py", "test_additive.py"],
    "nn/monotone": [
        "test_monotone.py",
        "nn/test_sets.py",
        "nn/test_activations.py",
        "nn/test_groups.py",
        "nn/test_layer_contract.py",
    ],
    "data/batches": ["data/test_chunks.py", "test_row_blocks.py"],
    "data/frames": ["data/test_tables.py", "data/test_survey.py"],
    "data/tables": ["data/test_survey.py", "test_tables.py"],
    "data/columns/numbers": [
        "data/test_number_columns.py",
        "data/test_encoding.py",
        "data/test_encoding_categories.py",
        "data/test_tables.py",
        "test_tables.py",
    ],
    "data/columns/times": ["test_dates.py"],
    "data/columns/categories": [
        "data/test_encoding_categories.py",
        "data/test_codes.py",
        "data/test_tables.py",
    ],
    "data/choices": ["data/test_tables.py", "test_tables.py", "test_monotone.py"],
    "data/encoding": ["data/test_encoding_categories.py", "data/test_encoding_bins.py"],
    "data/columns/column": ["data/test_features.py"],
    "data/columns/scaling": [
        "data/test_components.py",
        "data/test_encoding.py",
        "data/test_heavy.py",
        "data/test_survey.py",
    ],
    "data/columns/single_values": ["data/test_heavy.py", "data/test_codes.py"],
    "data/weights": [
        "test_weights.py",
        "data/test_encoding.py",
        "data/test_survey.py",
        "data/test_targets.py",
    ],
    "data/row_blocks": ["test_row_blocks.py"],
    "data/effects": ["data/test_codes.py"],
    "data/joint": ["test_multi_target.py"],
    "data/splits": ["test_validation_rows.py"],
    "data/kinds": ["data/test_encoding.py", "data/test_targets.py"],
}
#: Modules that only collect other modules.
WITHOUT_TESTS = {"nn/__init__", "data/__init__", "data/columns/__init__"}


def modules() -> list[str]:
    """Return the modules of the two folders, such as "nn/losses"."""
    paths = [
        path for folder in ("nn", "data") for path in (ROOT / "sknet" / folder).rglob("*.py")
    ]
    names = [path.relative_to(ROOT / "sknet").with_suffix("").as_posix() for path in paths]
    return sorted(set(names) - WITHOUT_TESTS)


def files_of_tests(module: str) -> list[str]:
    """Return the files of tests to run on a mutant of a module: those that fail soonest first.

    Raises
    ------
    ValueError
        If there are none.
    """
    folder, *_, name = module.split("/")
    own, tests = f"{folder}/test_{name}.py", ROOT / "tests"
    found = [own] if (tests / own).exists() else []
    found += ALSO.get(module, [])
    if not found:
        raise ValueError(
            f"{module} has no file of tests: write tests/{own}, or add a line to ALSO."
        )
    return [str(tests / one) for one in found]


# Running them.

#: Libraries that are imported before the first fork, so that a mutant costs no import of them.
LIBRARIES = ["numpy", "scipy.optimize", "scipy.sparse", "scipy.special", "sklearn.metrics"]
LIBRARIES += ["sklearn.model_selection", "sklearn.preprocessing", "sklearn.utils", "pandas"]
LIBRARIES += ["joblib", "pytest", "threadpoolctl"]
#: A mutant may ask for as much memory as its operators make of a number.
MEMORY = 6 * 2**30


class Mutated(SourceFileLoader):
    """The loader of one module whose source is not that of its file."""

    def __init__(self, fullname: str, path: str, source: str):
        super().__init__(fullname, path)
        self.mutated = source

    def get_code(self, fullname: str) -> Any:
        """Return the code of the mutant."""
        return compile(self.mutated, self.path, "exec")


class Importer:
    """A finder on ``sys.meta_path`` that gives one module another source."""

    def __init__(self, module: str, source: str):
        self.fullname = f"sknet.{module.replace('/', '.')}"
        self.source = source

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of the mutant, or None for all other modules."""
        if fullname != self.fullname:
            return None
        spec = PathFinder.find_spec(fullname, path)
        spec.loader = Mutated(fullname, spec.origin, self.source)
        return spec


def start(module: str, source: str) -> int:
    """Fork a process that runs a module's tests on a source; return the process's id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        import resource  # Windows has neither this module nor fork.

        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        sys.meta_path.insert(0, Importer(module, source))
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
        status = int(pytest.main([*options, *files_of_tests(module)]))
    finally:
        # Neither the parent's clean-up nor its buffers are the child's.
        os._exit(status)


@dataclass
class Running:
    """A process that tests one mutant, and when it has taken too long."""

    mutant: Mutant
    deadline: float


def run_all(mutants: list[Mutant], n_processes: int, limit: float) -> list[Mutant]:
    """Run the tests on each mutant, for at most ``limit`` s; return the mutants that pass."""
    waiting, running, survivors = list(reversed(mutants)), {}, []
    while waiting or running:
        while waiting and len(running) < n_processes:
            mutant = waiting.pop()
            child = start(mutant.module, mutant.source)
            running[child] = Running(mutant, time.monotonic() + limit)
        for child, one in list(running.items()):
            if time.monotonic() > one.deadline:
                os.killpg(child, signal.SIGKILL)
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del running[child]
                if os.waitstatus_to_exitcode(status) == 0:
                    survivors.append(one.mutant)
        time.sleep(0.02)
    return survivors


def time_limit(module: str) -> float:
    """Return the seconds that a mutant may take: a multiple of what the module itself takes."""
    begin = time.monotonic()
    _, status = os.waitpid(start(module, path_of(module).read_text("utf-8")), 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"The tests of {module} fail without a mutant: {files_of_tests(module)}")
    return 10 + 5 * (time.monotonic() - begin)


def path_of(module: str) -> Path:
    """Return the file of a module."""
    return ROOT / "sknet" / f"{module}.py"


# The report.


def listed_survivors() -> set[tuple[str, ...]]:
    """Return the names of the mutants that the list of survivors accepts."""
    lines = SURVIVORS.read_text("utf-8").splitlines() if SURVIVORS.exists() else []
    rows = [re.findall(r"`([^`]*)`", line) for line in lines if line.startswith("| `")]
    return {tuple(row[:4]) for row in rows}


def report(module: str, mutants: list[Mutant], survivors: list[Mutant], seconds: float) -> int:
    """Print what became of a module's mutants; return the number that nothing explains."""
    listed = listed_survivors()
    unexplained = [one for one in survivors if one.key not in listed]
    n_killed = len(mutants) - len(survivors)
    print(
        f"{module}: {n_killed} of {len(mutants)} killed, {len(survivors) - len(unexplained)} "
        f"survivors listed, {len(unexplained)} not, in {seconds:.0f} s"
    )
    for one in unexplained:
        cells = " | ".join(f"`{part}`" for part in one.key)
        print(f"  line {one.line}: | {cells} | |")
    return len(unexplained)


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", help="such as losses or nn/losses; default: all")
    parser.add_argument("--only", default="", help="of lines or functions with this text")
    parser.add_argument("--sample", type=int, help="so many mutants of each module at most")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--processes", type=int, default=1, help="how many run at a time")
    parser.add_argument("--show", action="store_true", help="list the mutants, and run nothing")
    return parser.parse_args()


def chosen_modules(names: list[str]) -> list[str]:
    """Return the modules of these names, given with or without their folder."""
    known = modules()
    unknown = [n for n in names if not any(m == n or m.endswith(f"/{n}") for m in known)]
    if unknown:
        sys.exit(f"There are no modules {unknown}; there are {known}.")
    return [m for m in known if not names or m in names or m.partition("/")[2] in names]


def chosen_mutants(module: str, options: argparse.Namespace) -> list[Mutant]:
    """Return the mutants of a module, or a sample of them."""
    found = mutants_of(module, path_of(module).read_text("utf-8"))
    mutants = [one for one in found if options.only in one.before or options.only in one.where]
    if options.sample is None or options.sample >= len(mutants):
        return mutants
    return random.Random(f"{options.seed} {module}").sample(mutants, options.sample)


def main() -> None:
    """Run the command."""
    options = arguments()
    # The plugins of pytest that happen to be installed would cost each mutant a second.
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.stdout.reconfigure(line_buffering=True)
    n_mutants = n_killed = n_unexplained = 0
    for library in LIBRARIES:
        import_module(library)
    # The collector of a child need not look at what its parent has imported.
    gc.freeze()
    for module in chosen_modules(options.modules):
        mutants = chosen_mutants(module, options)
        if options.show:
            for one in mutants:
                print(f"{module}, line {one.line}: {one.before}  ->  {one.after}")
            continue
        begin = time.monotonic()
        survivors = run_all(mutants, options.processes, time_limit(module))
        n_unexplained += report(module, mutants, survivors, time.monotonic() - begin)
        n_mutants += len(mutants)
        n_killed += len(mutants) - len(survivors)
    if n_mutants:
        print(f"{n_killed} of {n_mutants} killed: {n_killed / n_mutants:.1%}")
    sys.exit(bool(n_unexplained))


if __name__ == "__main__":
    main()

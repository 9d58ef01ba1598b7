"""List the names that a version of sknet keeps until the next major version.

``python tests/public_names.py`` writes them to ``public_names.txt``, with which a test compares
them. Each line is a function, a class, an attribute of a class, a parameter with its default,
or a text that a parameter of an estimator may be. docs/compatibility.md says what may change.
"""

import importlib
import inspect
import re
from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")

#: All of their names without an underscore are public.
MODULES = [
    "sknet", "sknet.callbacks", "sknet.distributed", "sknet.exceptions", "sknet.export",
    "sknet.inspection", "sknet.metrics", "sknet.pretraining", "sknet.search", "sknet.streaming",
]  # fmt: skip
#: Base classes of rules, and what the examples of docs/extending.md define. Other names of
#: ``sknet.nn`` may change.
RULES = {
    "sknet.nn.activations.Activation": ["forward", "backward"],
    "sknet.nn.embeddings.NumericEmbedding": [
        "backward_inputs", "buffers", "forward", "output_counts",
    ],
    "sknet.nn.losses.Loss": ["pointwise"],
    "sknet.nn.optimizers.Optimizer": ["effective_step", "step_block"],
    "sknet.nn.schedules.Schedule": ["__call__", "has_horizon"],
}  # fmt: skip


def is_ours(thing):
    """Whether a class or function is of sknet, and not of scikit-learn or Python."""
    return (getattr(thing, "__module__", None) or "").split(".")[0] == "sknet"


def names_of_module(name):
    """Return the public names of a module."""
    module = importlib.import_module(name)
    own = [
        one
        for one, value in vars(module).items()
        if getattr(value, "__module__", None) == name and not one.startswith("_")
    ]
    return [one for one in getattr(module, "__all__", own) if not one.startswith("_")]


def parameters(path, function):
    """Yield a line for each public parameter of a function."""
    for one in inspect.signature(function).parameters.values():
        if one.name != "self" and not one.name.startswith("_"):
            default = "" if one.default is one.empty else f"={one.default!r}"
            yield f"{path}({one.name}{default})"


def members_of(cls):
    """Return the names of the attributes that sknet gives to a class."""
    bases = [base for base in cls.__mro__ if is_ours(base)]
    names = {name for base in bases for name in vars(base) if not name.startswith("_")}
    # scikit-learn adds these, or a later version of it, and parameters have lines of their own.
    of_sklearn = {one for one in names if re.fullmatch(r"set_\w+_request|set_callbacks", one)}
    return names - of_sklearn - set(getattr(cls, "_parameter_constraints", ()))


def members(path, cls, names):
    """Yield lines for the attributes of a class, and for the parameters of methods."""
    for name in names:
        yield f"{path}.{name}"
        if callable(getattr(cls, name)):
            yield from parameters(f"{path}.{name}", getattr(cls, name))


def values(path, cls):
    """Yield a line for each text of sknet that a parameter of an estimator may be."""
    for parameter, constraints in getattr(cls, "_parameter_constraints", {}).items():
        options = {text for one in constraints for text in getattr(one, "options", ())}
        options = {text for text in options if isinstance(text, str)}
        # The other names of scores are those of the installed scikit-learn.
        own = {"loss", "neg_crps", "neg_interval_score"}
        options = options & own if parameter == "scoring" else options
        yield from (f"{path}({parameter}: {text!r})" for text in options)


def lines_of(path):
    """Yield the lines of one function, class or constant."""
    module, _, name = path.rpartition(".")
    thing = getattr(importlib.import_module(module), name)
    yield path
    if path in RULES:
        yield from members(path, thing, RULES[path])
        return
    if inspect.isclass(thing):
        yield from members(path, thing, members_of(thing))
        yield from values(path, thing)
    if callable(thing):
        yield from parameters(path, thing)


def public_names():
    """Return all lines, sorted."""
    paths = [f"{module}.{name}" for module in MODULES for name in names_of_module(module)]
    return sorted({line for path in [*paths, *RULES] for line in lines_of(path)})


if __name__ == "__main__":
    FILE.write_text("\n".join(public_names()) + "\n", "utf-8")

"""A mode of the tests in which every array of float64 that ``sknet.nn`` makes is noticed.

The functions of ``sknet.nn`` get other code for a while: the same source, but the value of each
expression that computes something (a call, an operator, an index) goes through a check. So a
temporary array is seen as well, whether or not it ends in an array of float32. Scalars are no
arrays: NumPy keeps float32 when it multiplies by a number of Python.
"""

import ast
import importlib
import inspect
import pkgutil
from contextlib import contextmanager
from functools import cached_property
from types import CodeType, FunctionType

import numpy as np
from scipy import sparse

import sknet.nn

#: The expressions whose values may be new arrays.
COMPUTING = ast.Call | ast.BinOp | ast.UnaryOp | ast.Compare | ast.Subscript


class Wrap(ast.NodeTransformer):
    """Send the value of each computing expression through ``__notice__(value, function)``."""

    def __init__(self):
        self.where = []

    def visit_scope(self, node):
        self.where.append(node.name)
        # Decorators, defaults and annotations are no part of the function's code.
        node.body = [self.visit(one) for one in node.body]
        self.where.pop()
        return node

    visit_FunctionDef = visit_ClassDef = visit_scope  # noqa: N815

    def generic_visit(self, node):
        super().generic_visit(node)
        loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if not (isinstance(node, COMPUTING) and loaded and self.where) or is_super(node):
            return node
        where = ast.Constant(".".join(self.where))
        return ast.Call(ast.Name("__notice__", ast.Load()), [node, where], [])


def is_super(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "super"


def wrapped_codes(module):
    """Return the code of each function of a module, with the check, by the function's name."""
    tree = Wrap().visit(ast.parse(inspect.getsource(module)))
    return dict(codes(compile(ast.fix_missing_locations(tree), module.__file__, "exec")))


def codes(code):
    """Yield the code objects of all functions in a code object, by their full names."""
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one.co_qualname, one
            yield from codes(one)


def functions(module):
    """Return the functions and methods in a module's source, without their decorations."""
    values = list(vars(module).values())
    classes = [one for one in values if inspect.isclass(one)]
    own = [one for one in classes if one.__module__ == module.__name__]
    found = {undecorated(one) for one in [*values, *(m for c in own for m in vars(c).values())]}
    # What dataclasses add to a class has no source.
    return {
        one
        for one in found
        if isinstance(one, FunctionType) and one.__code__.co_filename == module.__file__
    }


def undecorated(one):
    match one:
        case property(fget=function) | cached_property(func=function):
            return function
        case staticmethod() | classmethod():
            return one.__func__
    return inspect.unwrap(one) if callable(one) else None


@contextmanager
def noticing():
    """Give a set to which the name of each function is added that makes an array of float64.

    A name is that of the module in ``sknet.nn``, of the class and of the method.
    """
    found, changed = set(), []
    for info in pkgutil.iter_modules(sknet.nn.__path__, "sknet.nn."):
        module = importlib.import_module(info.name)
        module.__notice__ = notice_into(found, info.name.removeprefix("sknet.nn."))
        noticing_codes = wrapped_codes(module)
        for function in functions(module):
            changed.append((function, function.__code__))
            function.__code__ = noticing_codes[function.__qualname__]
    try:
        yield found
    finally:
        for function, original in changed:
            function.__code__ = original


def notice_into(found, module):
    """Return a function that passes a value on, and notes where it is an array of float64."""

    def notice(value, where):
        parts = value if isinstance(value, tuple | list) else [value]
        for part in parts:
            is_array = isinstance(part, np.ndarray) and part.ndim > 0 or sparse.issparse(part)
            if is_array and part.dtype == np.float64:
                found.add(f"{module}.{where}")
        return value

    return notice

"""Solvers by name: the stochastic optimizers, and L-BFGS."""

from sknet.nn.lbfgs import LBFGS
from sknet.nn.optimizers import OPTIMIZERS, Solver

#: Solvers by name.
SOLVERS: dict[str, type[Solver]] = {"lbfgs": LBFGS, **OPTIMIZERS}


def is_stochastic(solver: str | Solver) -> bool:
    """Return whether a solver, given by name or as an instance, steps after each mini-batch."""
    return (SOLVERS[solver] if isinstance(solver, str) else solver).stochastic

"""The L-BFGS solver (SciPy's minimizer on the same objective), and all solvers by name."""

import math
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Annotated, Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.optimize import Bounds, OptimizeResult, minimize

from sknet.nn.budget import Budget
from sknet.nn.kernels import Array
from sknet.nn.network import Workspace
from sknet.nn.objective import BatchIterable, Objective
from sknet.nn.optimizers import OPTIMIZERS, Solver
from sknet.nn.rules import POSITIVE_INT
from sknet.nn.soundness import Ending, Judge, Probe
from sknet.nn.state import History, Monitor, Stopping, TrainingResult, append
from sknet.nn.training import Evaluate, Report

#: A run of the minimizer that lowers the objective by less than this fraction is the last one.
LEAST_DECREASE = 1e-6
#: A gradient that is larger than this is not due to rounding in float64.
LEAST_SLOPE = 1e-6


@dataclass(frozen=True)
class LBFGS(Solver):
    """The limited-memory BFGS method of Byrd, Lu, Nocedal and Zhu (1995), as in SciPy.

    Each iteration evaluates the objective over all rows, in float64.

    Parameters
    ----------
    max_fun : int >= 1, default=15000
        The largest number of function evaluations.
    """

    max_fun: Annotated[int, POSITIVE_INT] = 15000
    stochastic = False
    divergence_remedy = "Scale the data, lower alpha, or try a solver such as 'adam'."
    convergence_remedy = "Increase max_iter and max_fun, or tol."


def train_lbfgs(
    objective: Objective,
    params: Array,
    batches: BatchIterable,
    stopping: Stopping,
    solver: LBFGS,
    *,
    evaluate: Evaluate | None = None,
    report: Report | None = None,
    budget: Budget | None = None,
) -> TrainingResult:
    """Minimize the objective over all rows by L-BFGS-B; one iteration is one epoch.

    Parameters
    ----------
    objective : Objective
    params : ndarray of shape (n_params,)
        The initial parameters, which are overwritten by the result. The minimizer computes in
        float64, since a line search compares nearly equal values. Parameters are evaluated and
        returned in the dtype of this array.
    batches : iterable of batches
        Blocks of rows. A function evaluation is a sum over all of them.
    stopping : Stopping
        Its ``tol`` bounds the largest component of the projected gradient.
    solver : LBFGS
    evaluate, report : callable, optional
        As in :func:`sknet.nn.training.train`.
    budget : Budget, optional
        The time that the fit may take. No iteration begins that is expected to exceed it.

    Returns
    -------
    TrainingResult

    Raises
    ------
    DivergenceError
        If training diverges before an iteration has ended well (see
        :mod:`sknet.nn.soundness`).
    """
    problem = SplitProblem(objective, batches)
    monitor, budget = Monitor(stopping), budget or Budget()
    trace = Trace(problem, params.dtype, monitor, evaluate, report, budget)
    probe = Probe(objective, batches)
    judge = Judge(probe, probe.loss(params), solver.divergence_remedy)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        budget.begin(evaluate and partial(evaluate, params))
        result = _minimize(trace, problem.split(params.astype(np.float64)), solver)
        stuck = False
        if not trace.history:
            # No iteration was made: the initial point was stationary, or the line search found
            # no better one.
            stuck = problem.slope(result) > max(stopping.tol, LEAST_SLOPE)
            trace.record(result)
        last = problem.join(result.x).astype(params.dtype, copy=False)
    best = trace.monitor.best_params
    candidate = last if evaluate is None else best
    ending, found = judge.verdict(candidate, best, _ending(result, trace, stuck))
    np.copyto(params, found)
    return TrainingResult(params, trace.history, ending)


def _minimize(trace: "Trace", x: Array, solver: LBFGS) -> OptimizeResult:
    """Return the result of SciPy's minimizer, which is restarted where it gives up.

    After a step to a point where the objective is immense, the minimizer's approximation of the
    curvature can be so poor that none of its steps lowers the objective, although the gradient
    is large. A restart discards the approximation.
    """
    problem, stopping = trace.problem, trace.monitor.stopping
    n_iter, n_fun, before = stopping.max_iter, solver.max_fun, math.inf
    while True:
        result = minimize(
            problem.value_and_gradient,
            x,
            method="L-BFGS-B",
            jac=True,
            # SciPy would loop over infinite bounds.
            bounds=problem.bounds if problem.is_bounded else None,
            callback=trace.on_iteration,
            # ftol=0 disables SciPy's test of the decrease, so tol alone says when to stop.
            options={"maxiter": n_iter, "maxfun": n_fun, "gtol": stopping.tol, "ftol": 0.0},
        )
        n_iter, n_fun = n_iter - result.nit, n_fun - result.nfev
        gained = before - result.fun > LEAST_DECREASE * abs(result.fun)
        gave_up = not trace.ended and problem.slope(result) > stopping.tol
        if not (gained and gave_up and min(n_iter, n_fun) > 0):
            return result
        x, before = result.x, result.fun


def _ending(result: OptimizeResult, trace: "Trace", stuck: bool) -> Ending:
    """Return what ended the minimizer; ``stuck`` is True if its first line search failed."""
    if not math.isfinite(result.fun):
        return Ending.DIVERGED
    if trace.stopped:
        return Ending.STOPPED
    if trace.timed_out:
        return Ending.TIME_LIMIT
    if result.status == 1:  # max_iter iterations or max_fun evaluations are used up.
        return Ending.MAX_ITER
    return Ending.STUCK if stuck else Ending.CONVERGED


@dataclass
class Trace:
    """The record of the iterations, and the decision to stop early."""

    problem: "SplitProblem"
    dtype: DTypeLike
    monitor: Monitor
    evaluate: Evaluate | None
    report: Report | None
    budget: Budget
    history: History = field(default_factory=dict)
    stopped: bool = False
    timed_out: bool = False
    start: float = field(default_factory=perf_counter)

    @property
    def ended(self) -> bool:
        """Whether training was stopped, its time is up, or its score has stalled."""
        stalled = self.evaluate is not None and self.monitor.stalled
        return self.stopped or self.timed_out or stalled

    def on_iteration(self, intermediate_result: OptimizeResult) -> None:
        """Record an iteration; raise StopIteration, which ends SciPy's loop, after the last."""
        self.record(intermediate_result)
        if self.ended:
            raise StopIteration

    def record(self, result: OptimizeResult) -> None:
        """Record one iteration."""
        params = self.problem.join(result.x).astype(self.dtype, copy=False)
        objective = float(result.fun) - self.problem.excess(result.x)
        penalty = self.problem.objective.penalty_value(self.problem.join(result.x))
        record = {"loss": objective - penalty, "penalty": penalty}
        record |= {} if self.evaluate is None else self.evaluate(params)
        record["seconds"] = perf_counter() - self.start
        append(self.history, record)
        iteration = len(self.history["loss"])
        self.monitor.update(iteration, record.get("validation_score", -objective), params)
        self.stopped = self.report is not None and bool(self.report(iteration, record, params))
        self.timed_out = self.budget.left_out(1) > 0
        self.start = perf_counter()


class SplitProblem:
    """The objective over all rows, with an exact L1 term, as L-BFGS-B sees it.

    With an L1 penalty, each penalized weight is w = p - n with the bounds p, n >= 0, and |w|
    becomes p + n. This is linear, and exact if p or n is zero. The vector is (p, n,
    unpenalized). If parameters have their own bounds, low <= w <= high with low <= 0 <= high,
    these become p <= high and n <= -low.
    """

    def __init__(self, objective: Objective, batches: BatchIterable):
        network = objective.network
        self.objective = objective
        self.batches = batches
        self.l1: float = objective.penalty.l1
        self.n_split: int = network.n_penalized if self.l1 else 0
        n, free = self.n_split, np.full(network.n_params, np.inf)
        limits = network.bounds(np.float64)
        self.is_bounded: bool = limits is not None or n > 0
        low, high = self._limits = limits or (-free, free)
        self.bounds: Any = Bounds(
            np.concatenate([np.zeros(2 * n), low[n:]]),
            np.concatenate([high[:n], -low[:n], high[n:]]),
        )
        self._workspace = Workspace(network, batches.batch_size, np.float64)
        self._batch_gradient = np.empty(network.n_params)

    def slope(self, result: OptimizeResult) -> float:
        """Return the largest component of the projected gradient of a result."""
        projected = np.clip(result.jac, result.x - self.bounds.ub, result.x - self.bounds.lb)
        return float(np.abs(projected).max(initial=0.0))

    def split(self, params: Array) -> Array:
        """Return (p, n, unpenalized)."""
        w, rest = params[: self.n_split], params[self.n_split :]
        return np.concatenate([np.maximum(w, 0), np.maximum(-w, 0), rest])

    def join(self, x: Array) -> Array:
        """Return the flat parameter vector."""
        n = self.n_split
        # Because of rounding, the line search may step past a bound.
        return np.clip(np.concatenate([x[:n] - x[n : 2 * n], x[2 * n :]]), *self._limits)

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """Return the objective and its gradient with respect to the split vector."""
        params = self.join(x)
        value, g, n = 0.0, np.zeros_like(params), self.objective.network.n_penalized
        for batch in self.batches:
            share = batch.X.shape[0] / self.batches.n_rows
            value += self.objective.loss_and_gradient(
                params, batch, self._workspace, self._batch_gradient, share=share
            )
            g += self._batch_gradient
        value += self.objective.penalty_value(params)
        self.objective.penalty.add_gradient(params[:n], g[:n])
        split = g[: self.n_split]
        gradient = np.concatenate([split + self.l1, self.l1 - split, g[self.n_split :]])
        return value + self.excess(x), gradient

    def excess(self, x: Array) -> float:
        """Return the L1 term of (p, n) minus that of p - n: zero if p or n is zero."""
        p, n = x[: self.n_split], x[self.n_split : 2 * self.n_split]
        return 2 * self.l1 * float(np.minimum(p, n).sum())


#: Solvers by name.
SOLVERS: dict[str, type[Solver]] = {"lbfgs": LBFGS, **OPTIMIZERS}


def is_stochastic(solver: str | Solver) -> bool:
    """Return whether a solver, given by name or as an instance, steps after each mini-batch."""
    return (SOLVERS[solver] if isinstance(solver, str) else solver).stochastic

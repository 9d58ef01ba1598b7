"""Where a fitted model comes from: the version, the rows and the end of its training."""

from dataclasses import dataclass, replace
from typing import Self

from sknet._version import __version__


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The training that made a model.

    Attributes
    ----------
    version : str
        The version of sknet that trained the model last.
    n_rows : int or None
        The number of rows of positive weight that the last ``fit`` was trained on; None if
        there was ``partial_fit`` only.
    n_validation : int or None
        The number of rows by which that fit was validated; 0 without early stopping, and None
        as for ``n_rows``.
    ending : str or None
        What ended that fit: a value of :class:`sknet.nn.soundness.Ending`. None while it is not
        over.
    certainty : float or None
        The factor of the certainty of predictions that was fitted to the validation rows (see
        :mod:`sknet.nn.members`); None if there was none.
    n_refit : int
        The number of epochs in which that fit was trained on the validation rows, too: the last
        ones.
    n_passes : int
        The number of passes of ``partial_fit`` since that fit.
    n_pass_rows : int
        The number of rows of these passes together.
    n_continued : int
        The number of earlier fits that the last one went on from, by ``warm_start``. Passes of
        ``partial_fit`` before it count as a fit.
    """

    version: str = __version__
    n_rows: int | None = None
    n_validation: int | None = None
    ending: str | None = None
    certainty: float | None = None
    n_refit: int = 0
    n_passes: int = 0
    n_pass_rows: int = 0
    n_continued: int = 0

    @property
    def n_seen(self) -> int:
        """The number of rows of the last fit and of the passes since."""
        return (self.n_rows or 0) + self.n_pass_rows

    def begun(self, n_rows: int, n_validation: int) -> "Provenance":
        """Return the provenance of a fit that begins here, with these numbers of rows."""
        goes_on = self.n_rows is not None or self.n_passes > 0
        return Provenance(
            version=__version__,
            n_rows=n_rows,
            n_validation=n_validation,
            n_continued=self.n_continued + 1 if goes_on else 0,
        )

    def ended(self, ending: str, certainty: float | None, n_refit: int) -> Self:
        """Return the provenance of a fit that is over."""
        return replace(self, ending=ending, certainty=certainty, n_refit=n_refit)

    def passed(self, n_rows: int) -> Self:
        """Return the provenance after a further pass of ``partial_fit`` over so many rows.

        The pass changes the logits, so that their correction is no longer that of the fit.
        """
        return replace(
            self,
            version=__version__,
            certainty=None,
            n_passes=self.n_passes + 1,
            n_pass_rows=self.n_pass_rows + n_rows,
        )

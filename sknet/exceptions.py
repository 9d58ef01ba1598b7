"""Warnings of sknet's own."""


class InconsistentVersionWarning(UserWarning):
    """An estimator was saved by one version of sknet and is loaded by another.

    The counterpart of :class:`sklearn.exceptions.InconsistentVersionWarning`, which speaks of
    scikit-learn's own estimators only.

    Parameters
    ----------
    estimator_name : str
        The estimator's class.
    original_version : str
        The version of sknet that saved it.
    current_version : str
        The version of sknet that loads it.
    """

    def __init__(self, estimator_name, original_version, current_version):
        super().__init__(estimator_name, original_version, current_version)
        self.estimator_name = estimator_name
        self.original_version = original_version
        self.current_version = current_version

    def __str__(self):
        return (
            f"{self.estimator_name} was saved by sknet {self.original_version} and is loaded "
            f"by sknet {self.current_version}. Files of released versions are meant to load "
            "and to predict as before; compare predictions with ones that you know, and save "
            "the estimator anew or fit it again."
        )

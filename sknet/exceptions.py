"""Warnings that sknet defines."""


class InconsistentVersionWarning(UserWarning):
    """Warning that an estimator was saved by a different version of sknet.

    It is the counterpart of :class:`sklearn.exceptions.InconsistentVersionWarning`, which
    compares versions of scikit-learn.

    Parameters
    ----------
    estimator_name : str
        The name of the class of the estimator.
    original_version : str
        The version of sknet that saved the estimator.
    current_version : str
        The version of sknet that loads the estimator.
    """

    def __init__(self, estimator_name: str, original_version: str, current_version: str):
        super().__init__(estimator_name, original_version, current_version)
        self.estimator_name = estimator_name
        self.original_version = original_version
        self.current_version = current_version

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved by sknet {self.original_version} and is loaded "
            f"by sknet {self.current_version}. Files of released versions should load and "
            "predict as before. Compare some predictions with known ones, then save the "
            "estimator again or fit it again."
        )

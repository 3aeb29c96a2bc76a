"""The models that every server serves: one row in, three numbers out, or the tensor itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]


def load(variant: str) -> Predict:
    """Return the variant's prediction: float32 in, float32 out."""
    return {"identity": _identity, "iris": _iris, "tensor": _tensor}[variant]()


def _identity() -> Predict:
    weights = np.eye(4, 3, dtype=np.float32)
    return lambda rows: rows @ weights


def _iris() -> Predict:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1_000).fit(*load_iris(return_X_y=True))
    return lambda rows: model.predict_proba(rows).astype(np.float32)


def _tensor() -> Predict:
    return lambda tensor: tensor

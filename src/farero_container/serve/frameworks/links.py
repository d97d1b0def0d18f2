"""From margins to answers, as XGBoost's objectives do it: in float32, step by step.

Facts: XGBoost's common/math.h (Sigmoid, Softmax, FindMaxIndex) and the objectives' PredTransform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

#: exp of more than this is beyond float32.
_LARGEST = np.float32(88.7)
_ONE = np.float32(1)


def apply(link: str, margins: Matrix) -> Matrix:
    """Return answers as Booster.predict shapes them: (rows,), or (rows, outputs) for several.

    margins: (rows, outputs). May be changed.
    """
    if link == "argmax":
        return margins.argmax(axis=1).astype(np.float32)
    if link == "sign":
        margins = (margins > 0).astype(np.float32)
    elif link == "sigmoid":
        np.negative(margins, out=margins)
        np.minimum(margins, _LARGEST, out=margins)
        np.exp(margins, out=margins)
        np.add(margins, _ONE, out=margins)
        np.divide(_ONE, margins, out=margins)
    elif link == "softmax":
        margins -= np.maximum.reduce(margins, axis=1, keepdims=True)
        np.exp(margins, out=margins)
        margins /= np.add.reduce(margins, axis=1, keepdims=True)
    elif link == "exp":
        with np.errstate(over="ignore"):  # infinite, as the Booster's own
            np.exp(margins, out=margins)
    return margins[:, 0] if margins.shape[1] == 1 else margins

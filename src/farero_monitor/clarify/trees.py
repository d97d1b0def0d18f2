"""TreeSHAP by XGBoost's own `pred_contribs`, where the model's file is an XGBoost one and says what the endpoint says.

Its values are exact and cost no question, but are what the trees add up, before the link function: they are used where
the link is the identity, or log-odds are asked for. What is expected of a row without features comes from the training
data (path-dependent), not from a baseline. Source: Lundberg, Erion, Lee, "Consistent Individualized Feature Attribution
for Tree Ensembles" (2018).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.clarify.attributions import Explained, labels
from farero_monitor.clarify.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.clarify.aws import Aws
    from farero_monitor.clarify.config import Shap, Value
    from farero_monitor.clarify.infinite import Array
    from farero_monitor.clarify.rows import Rows

log = logging.getLogger(__name__)

_IDENTITY = (
    "reg:squarederror",
    "reg:linear",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
)
_LOG_ODDS = ("binary:logistic", "reg:logistic")
_LIMIT_BYTES = 1 << 30


def booster_of(aws: Aws, model: str) -> Any | None:
    """Return the XGBoost model of a SageMaker model, or None if there is none or a script stands before it."""
    try:
        import xgboost
    except ImportError:
        return None
    try:
        told = aws.sagemaker("DescribeModel", ModelName=model)
        container: dict[str, Any] = told.get("PrimaryContainer") or {}
        environment: dict[str, str] = container.get("Environment") or {}
        if "xgboost" not in container.get("Image", "") or environment.get("SAGEMAKER_PROGRAM"):
            return None
        content = aws.read(container["ModelDataUrl"])
    except (AwsError, KeyError) as error:
        log.info("The file of model %s cannot be read: %s", model, error)
        return None
    file = _only_file(content)
    if file is not None:
        with contextlib.suppress(xgboost.core.XGBoostError, ValueError):
            return xgboost.Booster(model_file=bytearray(file))
    return None


def _only_file(content: bytes) -> bytes | None:
    """Return the one file of a model's archive; None if there are more, as with a script, or it is a pickle."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [entry for entry in archive if entry.isfile()]
            if len(files) != 1 or files[0].size > _LIMIT_BYTES:
                return None
            opened = archive.extractfile(files[0])
            found = opened.read() if opened else b""
    except (tarfile.TarError, EOFError, OSError):
        return None
    return None if found[:1] == b"\x80" else found


def by_trees(
    booster: Any, rows: Rows, shap: Shap, headers: Sequence[Value] | None
) -> Explained | None:
    """Explain an XGBoost model by its trees; None where its sums are not what is to be explained."""
    import xgboost

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective not in (_LOG_ODDS if shap.use_logit else _IDENTITY):
        return None
    columns: list[Array] = []
    for name in rows.names:
        numbers = rows.numbers(name)
        if numbers is None:
            return None
        columns.append(numbers.astype(np.float32))
    if len(columns) != booster.num_features():
        return None
    data = xgboost.DMatrix(np.column_stack(columns), feature_names=booster.feature_names)
    found = np.asarray(booster.predict(data, pred_contribs=True), np.float64)
    if found.ndim == 2:
        found = found[:, None, :]
    local = found[:, :, :-1].transpose(0, 2, 1)
    return Explained(
        rows.names, labels(local.shape[2], headers), local, found[0, :, -1],
        "TreeSHAP of XGBoost", rows=len(rows),
    )  # fmt: skip

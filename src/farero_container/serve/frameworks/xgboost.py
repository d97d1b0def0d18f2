"""SageMaker's built-in XGBoost server: its content types, answers and status codes per image version.

Facts: sagemaker-xgboost-container's serving code. Beyond it, JSON, NPY and bodies without a known type are accepted
where they can be read; the reply then carries `x-farero-compat: aws-would-415`.
Predictions are the Booster's own, bit for bit; one thread a replica.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import pickle
import sys
import warnings
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve import content
from farero_container.serve.frameworks.xgboost_selected import selection
from farero_container.serve.http import Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What AWS's container takes; anything else is our leniency.
AWS_TYPES = (
    *content.CSV,
    *content.LIBSVM,
    *content.PARQUET,
    "application/x-recordio-protobuf",
    "recordio-protobuf",
)
LENIENT_TYPES = (*content.JSON, *content.JSONLINES, *content.NPY, "application/octet-stream", "text/plain",
                 "application/x-www-form-urlencoded", "")  # fmt: skip
FIRST_WITH_ACCEPT = (1, 2)


def import_xgboost() -> Any:
    """Import xgboost without scikit-learn and pandas, which cost most of its start and are not used here."""
    hidden = [name for name in ("sklearn", "pandas") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType] - import then fails, as the docs of sys.modules say
    try:
        return importlib.import_module("xgboost")  # heavy and optional
    except ImportError as error:
        raise StartUpError(
            "E-NO-FRAMEWORK",
            f"xgboost cannot be imported: {error}",
            fix="pip install 'farero[xgboost]'",
        ) from error
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


class XGBoostServer:
    """The models of one folder; an ensemble when there are several."""

    def __init__(self, folder: Path, version: str) -> None:
        self._xgb = import_xgboost()
        self._version = _version(version)
        self._boosters = [self._load(path) for path in model_files(folder)]
        first = self._boosters[0]
        self._features: int = first.num_features()
        self._names: list[str] = list(first.feature_names or [])
        self._selection = selection(first)

    def describe(self) -> str:
        """Say what is served, for the log."""
        return f"XGBoost {self._xgb.__version__}, {len(self._boosters)} model(s) of {self._features} features"

    def warm_up(self) -> None:
        """Predict once, so that the first caller does not pay for it."""
        self._predict(np.zeros((1, self._features), dtype=np.float32))

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Answer one request."""
        kind = content.media_type(headers.get("content-type"))
        if not body:
            return Response(204)
        if kind not in AWS_TYPES and kind not in LENIENT_TYPES:
            return self._refuse(415, f"{kind} is not an accepted ContentType: csv, libsvm, parquet, "
                                "recordio-protobuf, text/csv, text/libsvm, text/x-libsvm, application/x-parquet, "
                                "application/x-recordio-protobuf.", kind, None)  # fmt: skip
        try:
            if "recordio" in kind:
                from farero_container.train.recordio import read_records  # only for this type

                rows = read_records(body)
            else:
                rows = content.decode(body, kind)
        except content.Undecodable as error:
            return self._refuse(415, f"Unable to read the payload: {error}.", kind, None)
        if kind in content.LIBSVM and rows.shape[1] < self._features:
            padding = np.full(
                (rows.shape[0], self._features - rows.shape[1]), np.nan, dtype=np.float32
            )
            rows = np.concatenate([rows, padding], axis=1)
        if rows.shape[1] != self._features:
            what = f"{rows.shape[1]} columns came, the model has {self._features} features."
            return self._refuse(400, f"Unable to evaluate payload provided: {what}", kind, rows)
        try:
            scores = self._predict(rows)
        except Exception as error:  # noqa: BLE001 - the library's own message is the answer
            return self._refuse(
                400, f"Unable to evaluate payload provided: {_first_line(error)}", kind, rows
            )
        is_json = kind not in AWS_TYPES and body.lstrip()[:1] in (b"{", b"[")
        response = self._answer(scores, kind, headers.get("accept"), is_json=is_json)
        if kind not in AWS_TYPES:
            response.headers["x-farero-compat"] = "aws-would-415"
        return response

    def _predict(self, rows: content.Matrix) -> Any:
        matrix = self._xgb.DMatrix(rows, missing=math.nan, nthread=1)
        outputs = [self._predict_one(booster, matrix) for booster in self._boosters]
        if len(outputs) == 1:
            return outputs[0]
        return np.mean(outputs, axis=0)

    def _predict_one(self, booster: Any, matrix: Any) -> Any:
        best = booster.attr("best_iteration")
        last = int(best) + 1 if best is not None else 0
        return booster.predict(matrix, validate_features=False, iteration_range=(0, last))

    def _answer(self, scores: Any, kind: str, accept: str | None, *, is_json: bool) -> Response:
        """Write the scores; who sent JSON and accepts anything gets JSON."""
        values: list[Any] = scores.tolist()
        wanted = _accepted(accept)
        is_batch = os.environ.get("SAGEMAKER_BATCH", "").lower() == "true"
        is_lenient_json = is_json and accept in (None, "", "*/*")
        if self._selection is not None:
            selected = "application/json" if is_lenient_json and not is_batch else wanted
            if response := self._selection.answer(scores, selected):
                return response
        has_accept = self._version >= FIRST_WITH_ACCEPT or self._selection is not None
        if not is_batch and (is_lenient_json or (has_accept and wanted == "application/json")):
            body = {"predictions": [{"score": _finite(value)} for value in values]}
            return Response(200, {"content-type": "application/json"}, json.dumps(body).encode())
        if not is_batch and has_accept and wanted in content.JSONLINES:
            lines = [json.dumps({"score": _finite(value)}) for value in values]
            return Response(200, {"content-type": wanted}, ("\n".join(lines) + "\n").encode())
        if not is_batch and has_accept and wanted not in ("text/csv", ""):
            return self._refuse(406, f"Accept type {accept} is not supported. Please use supported accept types: "
                                "['text/csv', 'application/json', 'application/jsonlines'].", kind, None)  # fmt: skip
        headers = {"content-type": "text/csv; charset=utf-8"}
        if is_batch or has_accept:
            lines = [_csv_line(value, as_list=is_batch) for value in values]
            return Response(200, headers, ("\n".join(lines) + "\n").encode())
        return Response(200, headers, ",".join(map(str, values)).encode())

    def _refuse(self, status: int, what: str, kind: str, rows: content.Matrix | None) -> Response:
        sample = ",".join("1" for _ in range(min(self._features, 8))) + (
            ",..." if self._features > 8 else ""
        )
        names = f" ({', '.join(self._names[:20])})" if self._names else ""
        came = content.shape_of(rows) if rows is not None else "a body that was not read"
        lines = [
            what,
            f"came: {kind or 'no content type'}, {came}",
            (
                f"expected: text/csv, application/json, text/libsvm or application/x-npy with {self._features} "
                f"features a row{names}"
            ),
            f"works: curl -H 'Content-Type: text/csv' --data '{sample}' .../invocations",
        ]
        return Response(
            status,
            {"content-type": "text/plain; charset=utf-8"},
            ("\n".join(lines) + "\n").encode(),
        )

    def _load(self, path: Path) -> Any:
        booster = None
        if path.suffix not in (".json", ".ubj"):
            booster = self._unpickle(path)
        if booster is None:
            booster = self._xgb.Booster()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter(
                        "ignore", UserWarning
                    )  # guesses JSON or UBJSON without an extension
                    booster.load_model(str(path))
            except Exception as error:
                raise StartUpError(
                    "E-MODEL-LOAD", f"Unable to load model: {path.name}: {_first_line(error)}", file=path.name,
                    fix="Save it with booster.save_model('xgboost-model') or as model.json / model.ubj.",
                ) from error  # fmt: skip
        booster.set_param({"nthread": 1})
        return booster

    def _unpickle(self, path: Path) -> Any:
        with path.open("rb") as file:
            if file.read(1) != b"\x80":
                return None
        print("farero: warning: the model is a pickle; unpickling runs code", flush=True)
        try:
            with path.open("rb") as file:
                found = pickle.load(file)  # noqa: S301 - AWS's own images of 0.90 to 1.2 wrote pickles
        except Exception as error:
            raise StartUpError(
                "E-PICKLE-VERSION",
                f"{path.name} is a pickle of another XGBoost that {self._xgb.__version__} cannot read: "
                f"{_first_line(error)}",
                file=path.name,
                fix="Load it with the XGBoost that wrote it and save it with booster.save_model('xgboost-model').",
            ) from error
        return found.get_booster() if hasattr(found, "get_booster") else found


def model_files(folder: Path) -> list[Path]:
    """Return the model files: all regular files, or the first when SAGEMAKER_INFERENCE_ENSEMBLE is false."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    named = [p for p in files if p.name in ("xgboost-model", "model.json", "model.ubj", "model.bin", "model.pkl")
             or p.name.startswith("xgboost-model") or p.suffix in (".ubj", ".bst", ".xgb", ".model")]  # fmt: skip
    files = named or [
        p for p in files if p.suffix not in (".txt", ".md", ".csv", ".yaml", ".yml", ".py")
    ]
    if not files:
        raise StartUpError(
            "E-NO-MODEL-FILE",
            "model.tar.gz has no model file; expected one of model.json, model.ubj, xgboost-model",
            fix="farero inspect model.tar.gz shows what is in it.",
        )
    if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true").lower() == "false":
        return files[:1]
    return files


def _version(text: str) -> tuple[int, ...]:
    numbers = [part for part in text.replace("-", ".").split(".") if part.isdigit()]
    return tuple(int(part) for part in numbers[:2]) or (99,)


def _accepted(accept: str | None) -> str:
    default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    for part in (accept or "*/*").split(","):
        kind = content.media_type(part)
        if kind in ("", "*/*", "text/*"):
            return default
        if kind in ("text/csv", "application/json", *content.JSONLINES):
            return kind
    return content.media_type(accept)


def _csv_line(value: Any, *, as_list: bool) -> str:
    """One record's scores; several classes are columns, or a printed list as AWS's batch path has it."""
    if as_list or isinstance(value, float):
        return str(value)
    return ",".join(str(item) for item in value)


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not finite is told as a string."""
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[float]", value)]
    return value if math.isfinite(value) else str(value)


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and "Stack trace" not in line]
    text = lines[0] if lines else type(error).__name__
    return text.rpartition("] ")[2][:200] if text.startswith("[") else text[:200]

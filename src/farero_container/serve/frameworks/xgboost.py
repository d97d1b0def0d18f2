"""SageMaker's built-in XGBoost server: its content types, answers and status codes per image version.

Facts: sagemaker-xgboost-container's serving code. Beyond it, JSON, NPY and bodies without a known type are accepted
where they can be read; the reply then carries `x-farero-compat: aws-would-415`.
Predictions are the Booster's own, bit for bit, unless acceleration is asked for (`accelerated.py`); one thread a
replica.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.serve import content, numbers
from farero_container.serve.batching import Work, most_rows
from farero_container.serve.frameworks import accelerated, xgboost_files
from farero_container.serve.frameworks.booster import Boosters, Engine
from farero_container.serve.frameworks.xgboost_answers import Answers
from farero_container.serve.frameworks.xgboost_library import import_xgboost
from farero_container.serve.frameworks.xgboost_selected import selection, selection_of
from farero_container.serve.messages import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from farero_container.serve.frameworks.tree_engine import Engine as Accelerated

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
#: Rows that are predicted together at most; one row of 300 trees costs little less than 64.
MAX_BATCH = 64


@dataclass(slots=True)
class _Asked:
    """What the answer needs of a request."""

    kind: str
    accept: str | None
    is_json: bool


class XGBoostServer:
    """The models of one folder; an ensemble when there are several."""

    is_ours = True

    def __init__(self, folder: Path, version: str) -> None:
        self._version = _version(version)
        self.max_batch = most_rows(MAX_BATCH)
        paths = xgboost_files.find(folder)
        #: What predicts; anything with `predict(rows) -> scores` can stand here.
        self._engine: Engine
        if engine := accelerated.find(paths, lambda: Boosters(*self._load_all(paths))):
            self._use(engine, len(paths))  # xgboost is not even imported
            return
        self._xgb, boosters = self._load_all(paths)
        first = boosters[0]
        self._features: int = first.num_features()
        self._names: list[str] = list(first.feature_names or [])
        self._answers = Answers(self._version, selection(first))
        if engine := accelerated.make(paths, boosters, self._xgb):
            self._use(engine, len(paths))
            return
        self._engine = Boosters(self._xgb, boosters)
        self._runs = (
            f"XGBoost {self._xgb.__version__}, {len(paths)} model(s) of {self._features} features"
        )

    def _use(self, engine: Accelerated, models: int) -> None:
        """Let it predict."""
        self._engine = engine
        self._features, self._names = engine.facts.features, list(engine.facts.feature_names)
        selected = selection_of(engine.facts.objective, engine.facts.outputs)
        self._answers = Answers(self._version, selected)
        by = " and ".join(engine.by)
        self._runs = f"XGBoost by {by}, {models} model(s) of {self._features} features"

    def _load_all(self, paths: list[Path]) -> tuple[Any, list[Any]]:
        """Import xgboost and load the models."""
        self._xgb = import_xgboost()
        return self._xgb, [xgboost_files.load(self._xgb, path) for path in paths]

    def describe(self) -> str:
        """Say what is served, for the log."""
        return self._runs

    def warm_up(self) -> None:
        """Predict once, so that the first caller does not pay for it, and give back what the load has left behind."""
        self._engine.predict(np.zeros((1, self._features), dtype=np.float32))
        with contextlib.suppress(AttributeError, OSError):  # glibc's own
            ctypes.CDLL(None).malloc_trim(0)  # the text of 300 trees: 4 MB

    def read(self, body: bytes, headers: Mapping[str, str]) -> Work | Response:
        """Decode one request to rows of the model's features, or say what is wrong with it."""
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
        is_json = kind not in AWS_TYPES and body.lstrip()[:1] in (b"{", b"[")
        asked = _Asked(kind, headers.get("accept"), is_json)
        # One row's scores do not depend on other rows: all requests of this model are alike.
        return Work(rows, len(rows), "rows" if len(rows) else None, asked)

    def predict(self, works: Sequence[Work]) -> Sequence[Any]:
        """Score the rows of all works at once."""
        if len(works) == 1:
            return [self._engine.predict(works[0].data)]
        scores = self._engine.predict(np.concatenate([work.data for work in works]))
        ends = list(itertools.accumulate(work.rows for work in works))
        if len(scores) != ends[-1]:
            raise ValueError(f"{len(scores)} scores came for {ends[-1]} rows")
        return [scores[end - work.rows : end] for work, end in zip(works, ends, strict=True)]

    def answer(self, work: Work, prediction: Any) -> Response:
        """Write one request's scores; who sent JSON and accepts anything gets JSON."""
        asked: _Asked = work.asked
        response = self._answers.write(prediction, asked.accept, is_json=asked.is_json)
        if response is None:
            what = (
                f"Accept type {asked.accept} is not supported. Please use supported accept types: "
                "['text/csv', 'application/json', 'application/jsonlines']."
            )
            response = self._refuse(406, what, asked.kind, None)
        if asked.kind not in AWS_TYPES:
            response.headers["x-farero-compat"] = "aws-would-415"
        return response

    def answer_alike(
        self, bodies: Sequence[bytes], headers: Mapping[str, str]
    ) -> tuple[dict[str, str], list[bytes]] | None:
        """Answer plain CSV and JSON of several callers at once: one reading, one prediction, one writing."""
        kind = content.media_type(headers.get("content-type"))
        if kind in content.JSON:
            found = numbers.json_rows_of_all(bodies, content.JSON_MEMBERS)
        else:
            found = numbers.csv_rows_of_all(bodies) if kind in content.CSV else None
        if found is None:
            return None
        rows, counts = found
        if rows.shape[1] != self._features or len(rows) > self.max_batch:
            return None
        is_json = kind in content.JSON
        written = self._answers.write_all(
            self._engine.predict(rows), counts, headers.get("accept"), is_json=is_json
        )
        if written is None:
            return None
        if kind not in AWS_TYPES:
            written[0]["x-farero-compat"] = "aws-would-415"
        return written

    def failed(self, work: Work, error: Exception) -> Response:
        """Say what the library says of one request's rows."""
        what = f"Unable to evaluate payload provided: {xgboost_files.first_line(error)}"
        return self._refuse(400, what, work.asked.kind, work.data)

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


def _version(text: str) -> tuple[int, ...]:
    numbers = [part for part in text.replace("-", ".").split(".") if part.isdigit()]
    return tuple(int(part) for part in numbers[:2]) or (99,)

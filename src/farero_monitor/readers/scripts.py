"""Preprocessing scripts as on SageMaker: `preprocess_handler(inference_record[, logger])` makes rows of a record."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero_monitor.errors import AnalysisError
from farero_monitor.readers.flat import flatten

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from farero_monitor.readers.flat import Texts


class ScriptError(AnalysisError):
    """A user's script failed; the text is its own traceback."""


def load(path: Path, name: str) -> Callable[..., Any]:
    """Return the function `name` of a script; raises ScriptError with the traceback or what is missing."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ScriptError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise ScriptError(_told(error)) from error
    found = getattr(module, name, None)
    if not callable(found):
        raise ScriptError(f"{path.name} has no function {name}().")
    return found


def preprocessor(path: Path) -> Callable[[Any], Any]:
    """Return a script's `preprocess_handler` as a function of the record alone."""
    handler = load(path, "preprocess_handler")
    if len(inspect.signature(handler).parameters) > 1:
        logger = logging.getLogger("farero_monitor.script")
        return lambda record: handler(record, logger)
    return handler


def rows_of_script(script: Callable[[Any], Any], record: Any) -> list[Texts]:
    """Return the rows that a script makes of a record, columns in the order of their names; raises ScriptError."""
    try:
        made = script(record)
    except BaseException as error:
        raise ScriptError(_told(error)) from error
    rows = cast("list[dict[str, Any]]", made if isinstance(made, list) else [made] if made else [])
    if not all(isinstance(row, dict) for row in rows):  # pyright: ignore[reportUnnecessaryIsInstance] - a user's
        raise ScriptError("preprocess_handler must return a dict, a list of dicts, or [].")
    return [flatten(dict(sorted(row.items()))) for row in rows]


def record_of(line: bytes) -> SimpleNamespace:
    """Return a capture record as scripts know it."""
    raw: dict[str, Any] = msgspec.json.decode(line)
    data, event = raw.get("captureData", {}), raw.get("eventMetadata", {})
    custom = event.get("customAttributes")
    halves = {
        "endpoint_input": _half(data.get("endpointInput")),
        "endpoint_output": _half(data.get("endpointOutput")),
        "batch_transform_output": _half(data.get("batchTransformOutput")),
        "ground_truth": _half(raw.get("groundTruthData")),
    }
    return SimpleNamespace(
        **halves,
        event_data=SimpleNamespace(
            endpointInput=halves["endpoint_input"], endpointOutput=halves["endpoint_output"]
        ),
        event_metadata=SimpleNamespace(
            event_id=event.get("eventId"), event_time=event.get("inferenceTime"),
            custom_attribute=custom, inference_id=event.get("inferenceId"),
        ),
        event_version=raw.get("eventVersion"),
        as_dict=lambda: raw,
    )  # fmt: skip


def _half(found: dict[str, Any] | None) -> SimpleNamespace | None:
    if found is None:
        return None
    return SimpleNamespace(
        encoding=found.get("encoding"), data=found.get("data"),
        observedContentType=found.get("observedContentType"), mode=found.get("mode"),
    )  # fmt: skip


def _told(error: BaseException) -> str:
    """Return the traceback from the first line of the user's own script on."""
    lines = traceback.format_exception(type(error), error, _own(error.__traceback__))
    return "".join(lines).strip()


def _own(found: Any) -> Any:
    while found is not None and "farero_monitor" in found.tb_frame.f_code.co_filename:
        found = found.tb_next
    while found is not None and "importlib" in found.tb_frame.f_code.co_filename:
        found = found.tb_next
    return found

"""A user's inference.py: model_fn, input_fn, predict_fn, output_fn, transform_fn, called as SageMaker's toolkit does.

The number of parameters decides whether `context` is passed; any other number is an error at start. What the user does
not define is done by the framework's defaults. Facts: sagemaker-inference-toolkit 1.10.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_container.contract import StartUpError, user_frame
from farero_container.serve import content, rows
from farero_container.serve.batching import VARIABLE, Apart, Work, most_rows
from farero_container.serve.messages import Response
from farero_container.serve.script import import_failure, import_script, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

#: Function → the parameters it takes without `context`.
FUNCTIONS = {
    "model_fn": 1,
    "input_fn": 2,
    "predict_fn": 2,
    "output_fn": 2,
    "transform_fn": 4,
}
TEXT_TYPES = ("application/json", "text/csv")
SUPPORTED = ("application/json", "text/csv", "application/x-npy")


class UnsupportedFormat(Exception):  # noqa: N818 - the caller's fault
    """A content type or Accept that nobody decodes or encodes."""


class Context:
    """What handlers that ask for it get: the request's headers and the model's folder."""

    def __init__(self, model_dir: Path) -> None:
        self.system_properties = {"model_dir": str(model_dir), "gpu_id": None}
        self.request_headers: dict[str, str] = {}
        self.response_headers: dict[str, str] = {}

    def enter(self, headers: dict[str, str], answer_headers: dict[str, str]) -> None:
        """Stand for one request."""
        self.request_headers = headers
        self.response_headers = answer_headers

    def get_request_header(self, _index: int, name: str) -> str | None:
        """Return a header of the request."""
        return self.request_headers.get(name.lower())

    def get_all_request_header(self, _index: int) -> dict[str, str]:
        """Return every header of the request."""
        return dict(self.request_headers)

    def set_response_content_type(self, _index: int, value: str) -> None:
        """Set the answer's content type."""
        self.response_headers["content-type"] = value


@dataclass(slots=True)
class _Asked:
    """What a request said beside its body."""

    headers: dict[str, str]
    #: What the user's code sets on the answer.
    answer_headers: dict[str, str]
    content_type: str
    accept: str


class Defaults:
    """What a framework does where the user's code says nothing; frameworks override."""

    name = "the toolkit"

    def max_batch(self, model: Any) -> int:
        """Return how many rows of several requests may be predicted together; 1 for none."""
        _ = model
        return 1

    def is_proved(self, data: Any, model: Any) -> bool:
        """Say whether requests like `data` may really be predicted together with this model."""
        _ = data, model
        return True

    def load(self, model_dir: Path) -> Any:
        """Load the model, or say that the user must."""
        _ = model_dir
        raise StartUpError(
            "E-MODEL-FN",
            "Please provide a model_fn implementation.",
            file="code/inference.py",
            fix="Define model_fn(model_dir) in code/inference.py; it returns the loaded model.",
        )

    def decode(self, body: bytes, content_type: str) -> Any:
        """Turn a body into what predict takes."""
        return decode(body, content_type)

    def predict(self, data: Any, model: Any) -> Any:
        """Run the model."""
        return model.predict(data)

    def encode(self, prediction: Any, accept: str) -> bytes | str:
        """Turn a prediction into a body."""
        return encode(prediction, accept)


class UserModel:
    """A model served by the user's functions over a framework's defaults."""

    is_ours = False

    def __init__(self, model_dir: Path, script: Path | None, defaults: Defaults) -> None:
        self._dir = model_dir
        self._defaults = defaults
        self._context = Context(model_dir)
        self._script = script
        self._with_context: set[str] = set()
        module = import_script(script) if script else None
        self._functions = {name: self._bind(module, name) for name in FUNCTIONS}
        if self._functions["transform_fn"] and any(
            self._functions[name] for name in ("input_fn", "predict_fn", "output_fn")
        ):
            raise StartUpError(
                "E-HANDLER-ARITY",
                "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or "
                "output_fn implementation",
                file=shown(script),
                fix="Keep transform_fn, or the other three.",
            )
        own = ("input_fn", "predict_fn", "output_fn", "transform_fn")
        #: All that the user wrote, if anything, is how to load the model.
        self._is_default = not any(self._functions[name] for name in own)
        self._model = self._load()
        #: Rows of several requests that are predicted together at most.
        self.max_batch = self._max_batch(module)

    def describe(self) -> str:
        """Say what is served, for the log."""
        own = [name for name, function in self._functions.items() if function]
        where = (
            f"{shown(self._script)} ({', '.join(own) or 'no functions'})"
            if self._script
            else "no script"
        )
        return f"{self._defaults.name}, {where}"

    def warm_up(self) -> None:
        """Nothing is known about the user's input, so nothing is tried."""

    def read(self, body: bytes, headers: Mapping[str, str]) -> Work | Response:
        """Decode one request; a failure of the user's code is told with its traceback, as the toolkit does."""
        content_type = headers.get("content-type", "application/json")
        accept = choose_accept(headers.get("accept"))
        asked = _Asked(dict(headers), {}, content_type, accept)
        self._context.enter(asked.headers, asked.answer_headers)
        kind = content.media_type(content_type)
        try:
            take = self._functions["input_fn"]
            if not (take or self._functions["transform_fn"]):
                data = self._defaults.decode(body, kind)
            else:
                payload: Any = body.decode("utf-8") if kind in TEXT_TYPES else body
                if not take:
                    return Work(payload, 1, None, asked)
                data = take(payload, content_type)
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            return _told(error)
        if self.max_batch < 2:
            return Work(data, 1, None, asked)
        return Work(data, rows.count(data), rows.likeness(data), asked)

    def predict(self, works: Sequence[Work]) -> Sequence[Any]:
        """Run the user's or the framework's predict; once, if several works came."""
        first = works[0].asked
        self._context.enter(first.headers, first.answer_headers)
        if len(works) == 1:
            return [self._run(works[0])]
        if self._is_default and not self._defaults.is_proved(works[0].data, self._model):
            raise Apart
        together = self._run(replace(works[0], data=rows.join([work.data for work in works])))
        try:
            return rows.split(together, [work.rows for work in works])
        except rows.NotRows as error:
            print(f"farero: requests are no longer predicted together: {error}", flush=True)
            self.max_batch = 1
            raise

    def answer(self, work: Work, prediction: Any) -> Response:
        """Encode what was predicted for one request."""
        asked: _Asked = work.asked
        self._context.enter(asked.headers, asked.answer_headers)
        result = prediction
        if not self._functions["transform_fn"]:
            give = self._functions["output_fn"]
            try:
                encoded = (give or self._defaults.encode)(prediction, asked.accept)
            except Exception as error:  # noqa: BLE001 - the user's code may raise anything
                return _told(error)
            result = encoded
        kind = asked.accept
        if isinstance(result, tuple):
            result, kind = cast("tuple[Any, str]", result)
        kind = self._context.response_headers.get("content-type", kind)
        if not isinstance(result, (bytes, bytearray, str)):
            result = encode(result, kind)
        data = result.encode() if isinstance(result, str) else bytes(result)
        return Response(200, {"content-type": kind}, data)

    def answer_alike(self, bodies: Sequence[bytes], headers: Mapping[str, str]) -> None:
        """Leave each request to be read by itself: the user's code may look at anything."""

    def failed(self, work: Work, error: Exception) -> Response:
        """Tell what the model raised."""
        _ = work
        return _told(error)

    def _run(self, work: Work) -> Any:
        transform = self._functions["transform_fn"]
        if transform:
            asked: _Asked = work.asked
            return transform(self._model, work.data, asked.content_type, asked.accept)
        return (self._functions["predict_fn"] or self._defaults.predict)(work.data, self._model)

    def _max_batch(self, module: ModuleType | None) -> int:
        """Return how many rows go together; own code takes several requests only where it says so."""
        asked: Any = getattr(module, VARIABLE, 1)
        if self._is_default:
            return most_rows(self._defaults.max_batch(self._model))
        if not isinstance(asked, int) or asked < 2:
            return 1
        if self._functions["transform_fn"] or "predict_fn" in self._with_context:
            which = "transform_fn" if self._functions["transform_fn"] else "predict_fn with context"
            print(f"farero: warning: {VARIABLE} is not used: {which} takes one request", flush=True)
            return 1
        return most_rows(asked)

    def _load(self) -> Any:
        load = self._functions["model_fn"]
        before = Path.cwd()
        os.chdir(self._dir)  # the toolkit's workers stand in the model's folder
        try:
            return load(str(self._dir)) if load else self._defaults.load(self._dir)
        except StartUpError:
            raise
        except ImportError as error:
            raise import_failure(error) from error
        except Exception as error:
            file, line = user_frame(error.__traceback__)
            cause = "E-MODEL-FN" if load else "E-MODEL-LOAD"
            traceback.print_exc()
            raise StartUpError(
                cause,
                f"{type(error).__name__}: {error}",
                file=file,
                line=line,
                fix="model_fn fails while it loads the model; the log has the traceback."
                if load
                else "Add code/inference.py with a model_fn that loads it.",
            ) from error
        finally:
            os.chdir(before)

    def _bind(self, module: ModuleType | None, name: str) -> Callable[..., Any] | None:
        function = getattr(module, name, None)
        if function is None:
            return None
        wanted = FUNCTIONS[name]
        given = len(inspect.signature(function).parameters)
        if given == wanted:
            return function
        if given == wanted + 1:
            self._with_context.add(name)
            return lambda *arguments: function(*arguments, self._context)
        raise StartUpError(
            "E-HANDLER-ARITY",
            f"{name} takes {wanted} arguments but {given} were given.",
            file=shown(self._script),
            line=function.__code__.co_firstlineno,
            fix=f"Define {name} with {wanted} parameters (or {wanted + 1} for context).",
        )


def choose_accept(header: str | None) -> str:
    """Return the first supported type of an Accept header; the default for none or `*/*`."""
    default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    kinds = [content.media_type(part) for part in (header or "*/*").split(",")]
    for kind in kinds:
        if kind in ("", "*/*"):
            return default
        if kind in SUPPORTED:
            return kind
    return kinds[0]


def decode(body: bytes, content_type: str) -> Any:
    """The toolkit's default decoders. Raises UnsupportedFormat for other types."""
    if content_type == "application/json":
        return np.array(json.loads(body))
    if content_type == "text/csv":
        return np.genfromtxt(io.StringIO(body.decode("utf-8")), dtype=np.float32, delimiter=",")
    if content_type == "application/x-npy":
        return np.load(io.BytesIO(body), allow_pickle=False)
    raise UnsupportedFormat(
        f"Content type {content_type} is not supported by this framework.\n\nPlease implement input_fn to "
        "deserialize the request data or an output_fn to serialize the response."
    )


def encode(prediction: Any, accept: str) -> bytes | str:
    """The toolkit's default encoders. Raises UnsupportedFormat for other types."""
    if accept == "application/json":
        return json.dumps(_plain(prediction))
    if accept == "text/csv":
        lines = np.atleast_1d(np.asarray(_plain(prediction)))
        buffer = io.StringIO()
        np.savetxt(buffer, lines, delimiter=",", fmt="%s")
        return buffer.getvalue()
    if accept == "application/x-npy":
        stream = io.BytesIO()
        np.save(stream, np.asarray(_plain(prediction)), allow_pickle=False)
        return stream.getvalue()
    raise UnsupportedFormat(
        f"Accept type {accept} is not supported by this framework.\n\nPlease implement output_fn to serialize "
        "the response."
    )


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        return {key: _plain(item) for key, item in members.items()}
    if isinstance(value, (list, tuple)):
        items = cast("list[Any]", value)
        return [_plain(item) for item in items]
    return value


def _told(error: Exception) -> Response:
    status = 415 if isinstance(error, UnsupportedFormat) else 500
    trace = "".join(traceback.format_exception(error))
    print(trace, file=sys.stderr, flush=True)
    return Response(
        status, {"content-type": "text/plain; charset=utf-8"}, f"{error}\n{trace}".encode()
    )

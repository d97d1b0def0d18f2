"""A TorchScript network as a proven ONNX graph: a program of its own, so that who serves need not import PyTorch.

`python -m farero_container.serve.frameworks.torch_graph FOLDER OUT`: convert the network of a model's folder, prove the
graph on its sample, measure both, and write the graph with its facts as notes to OUT. The last line of the output is
JSON: {} or {"reason": "why not"}.

The graph is PyTorch's own export of TorchScript (`dynamo=False`). That one imports the package `onnx` for networks
with functions of ONNX in them alone; TorchScript files have none, so what it asks of the package is answered here.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import time
import types
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve.frameworks import onnx_wire, torch_parity, torch_symbolics
from farero_container.serve.frameworks.onnx_session import NotAccelerated, open_graph
from farero_container.serve.frameworks.pytorch import MAX_BATCH, PyTorch, array_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Raised whenever graphs or their facts change, so that no file of an older form is used.
FORM = "torch-1"
#: Of ONNX's operators: the newest with all that is written here in its own words (2021).
OPSET = 17
#: Name of the sample's file → what it holds.
SAMPLES = {
    "sample.json": "application/json",
    "sample.csv": "text/csv",
    "sample.npy": "application/x-npy",
}
#: Rows that may go together, if that is much cheaper than fewer.
_MORE = (16, 64)
_MUCH = 0.75
_REPEATS, _SECONDS = 15, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a server must know of a graph."""

    #: Of one row.
    shape: tuple[int, ...]
    dtype: str
    #: Whether the answer is a tuple of tensors, not one tensor.
    is_tuple: bool
    is_together: bool
    is_bare: bool
    limit: float | None
    #: Rows that go together at most.
    rows: int
    proof: str


def facts_of(text: str) -> Facts:
    """Read a graph's notes."""
    told: dict[str, Any] = json.loads(text)
    told["shape"] = tuple(told["shape"])
    return Facts(**told)


def sample_of(folder: Path) -> tuple[str, bytes]:
    """Return name and content of the sample beside a network. Raises NotAccelerated."""
    found = [name for name in SAMPLES if (folder / name).is_file()]
    if len(found) != 1:
        what = "there is no sample of its input" if not found else f"samples: {', '.join(found)}"
        ways = f"deploy with --sample FILE, or put one of {', '.join(SAMPLES)} into model.tar.gz"
        raise NotAccelerated(f"{what}; {ways}")
    return found[0], (folder / found[0]).read_bytes()


def build(folder: Path) -> bytes:
    """Return the graph with its notes. Raises NotAccelerated."""
    name, body = sample_of(folder)
    try:
        sample = array_of(body, SAMPLES[name])
    except Exception as error:
        raise NotAccelerated(f"{name} cannot be read: {_first_line(error)}") from error
    sample = sample[None] if sample.ndim == 1 else sample
    is_float = str(sample.dtype) in ("float32", "float64")
    if not is_float or not sample.size or not np.isfinite(sample).all():
        raise NotAccelerated(f"{name} must be rows of finite floating-point numbers, at least one")
    framework = PyTorch()
    network = _Network(framework, framework.load(folder))
    try:
        network(sample[:1])
    except _Unfit as error:
        raise NotAccelerated(str(error)) from error
    except Exception as error:
        what = f"{name}, rows of {_shown(sample.shape[1:])}"
        raise NotAccelerated(f"the network does not take {what}: {_first_line(error)}") from error
    proven: list[tuple[float, bytes, torch_parity.Proof]] = []
    reasons: list[NotAccelerated] = []
    for is_wide in (False, True):
        try:
            graph = _export(framework.load(folder), framework.tensor(sample[:1]), is_wide=is_wide)
            proof = _prove(network, graph, sample)
        except NotAccelerated as error:
            reasons.append(error)
            continue
        sizes = (1, MAX_BATCH) if proof.is_together else (1,)
        proven.append((sum(_costs([open_graph(graph).all], sample, sizes)[0]), graph, proof))
    if not proven:
        raise reasons[0]
    _, graph, proof = min(proven, key=lambda one: one[0])
    return _finished(network, graph, proof, sample)


def _finished(
    network: _Network, graph: bytes, proof: torch_parity.Proof, sample: NDArray[Any]
) -> bytes:
    """Return a graph with its notes, if it is not slower than the network. Raises NotAccelerated."""
    sizes = (1, MAX_BATCH) if proof.is_together else (1,)
    run = open_graph(graph).all
    ours, theirs = _costs([run, network], sample, sizes)
    spent = sum(ours) / len(ours), sum(theirs) / len(theirs)
    told = f"{spent[0]:.3g} ms of CPU a row where PyTorch takes {spent[1]:.3g}"
    if spent[0] > spent[1]:
        raise NotAccelerated(f"it would be slower, {told}")
    rows = sizes[-1]
    for more in _MORE if proof.is_together else ():
        few, many = _costs([run], sample, (rows, more))[0]
        if many > few * _MUCH:
            break
        rows = more
    beyond = f"other shapes, NaN, infinite and beyond {proof.limit:.0e}" if proof.limit else "other shapes"  # fmt: skip
    text = (
        f"parity proven on {proof.batches} batches of {'1 to 7 rows' if proof.is_together else 'one row'} of "
        f"{_shown(sample.shape[1:])}, worst difference {proof.worst:.0e}, {told}, left to PyTorch: {beyond}"
    )
    facts = Facts(
        shape=sample.shape[1:], dtype=str(sample.dtype), is_tuple=network.is_tuple, rows=rows, proof=text,
        is_together=proof.is_together, is_bare=proof.is_bare, limit=proof.limit,
    )  # fmt: skip
    return graph + onnx_wire.as_notes({"facts": json.dumps(asdict(facts))})


class _Unfit(Exception):  # noqa: N818 - a finding
    """An answer that a graph cannot give."""


class _Network:
    """What is served without acceleration, from arrays to arrays."""

    def __init__(self, framework: PyTorch, model: Any) -> None:
        self._framework, self._model = framework, model
        self.is_tuple = False

    def __call__(self, rows: NDArray[Any]) -> Sequence[NDArray[Any]]:
        given: Any = self._framework.predict(self._framework.tensor(rows), self._model)
        self.is_tuple = isinstance(given, tuple)
        parts = cast("tuple[Any, ...]", given if self.is_tuple else (given,))
        if not all(hasattr(part, "detach") for part in parts):
            raise _Unfit(f"the network answers with a {type(given).__name__}, not with tensors")
        return [part.detach().numpy() for part in parts]


def _prove(network: _Network, graph: bytes, sample: NDArray[Any]) -> torch_parity.Proof:
    run = open_graph(graph).all
    try:
        return torch_parity.prove(network, run, sample)
    except torch_parity.Differs as error:
        raise NotAccelerated(f"parity could not be proven: {error}") from error
    except Exception as error:
        raise NotAccelerated(f"the graph cannot be run: {_first_line(error)}") from error


def _export(model: Any, rows: Any, *, is_wide: bool) -> bytes:
    """Write a network as ONNX. is_wide: with `torch_symbolics`. Raises NotAccelerated."""
    torch: Any = importlib.import_module("torch")  # heavy and optional
    file = io.BytesIO()
    try:
        if is_wide:
            torch_symbolics.register(torch, OPSET)
        _stand_in()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is the older export, and that rows may vary
            torch.onnx.export(
                model, (rows,), file, dynamo=False, opset_version=OPSET, input_names=["x"],
                dynamic_axes={"x": {0: "rows"}},
            )  # fmt: skip
    except Exception as error:
        raise NotAccelerated(f"PyTorch cannot write it as ONNX: {_first_line(error)}") from error
    return file.getvalue()


def _stand_in() -> None:
    """Put a module in the place of the package `onnx` that finds no node with a function in any model."""
    if importlib.util.find_spec("onnx") is None:
        module: Any = types.ModuleType("onnx")
        module.__spec__ = importlib.machinery.ModuleSpec("onnx", None)
        empty = types.SimpleNamespace(graph=types.SimpleNamespace(node=()))

        def load_model_from_string(_: bytes) -> Any:
            return empty

        module.load_model_from_string = load_model_from_string
        sys.modules["onnx"] = module


def _costs(
    calls: Sequence[Callable[[Any], Any]], sample: NDArray[Any], sizes: Sequence[int]
) -> list[list[float]]:
    """Return milliseconds of CPU a row, for each call and each number of rows; they take turns."""
    found = [[np.inf] * len(sizes) for _ in calls]
    given = [np.take(sample, range(size), axis=0, mode="wrap") for size in sizes]
    for place, rows in enumerate(given):
        ends = time.monotonic() + _SECONDS
        for turn in range(_REPEATS):
            if turn > 2 and time.monotonic() > ends:
                break
            for which, call in enumerate(calls):
                start = time.thread_time()
                call(rows)
                spent = (time.thread_time() - start) * 1000 / len(rows)
                found[which][place] = min(found[which][place], spent)
    return found


def _shown(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, RuntimeError) and len(lines) > 1 and "TorchScript interpreter" in lines[0]:
        lines = [next((line for line in lines if "Error: " in line), lines[0])]
    return (lines[0] if lines else type(error).__name__)[:200]


def main(folder: str, out: str) -> int:
    """Build the graph and write it; say why not."""
    said = os.dup(1)
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # PyTorch prints whole graphs when an export fails
        os.dup2(nothing, stream)
    try:
        Path(out).write_bytes(build(Path(folder)))
        answer: dict[str, str] = {}
    except NotAccelerated as error:
        answer = {"reason": str(error)}
    except StartUpError as error:
        answer = {"reason": error.message}
    except Exception as error:  # noqa: BLE001 - PyTorch can serve what could not be converted, whatever is wrong
        answer = {"reason": f"the conversion failed: {type(error).__name__}: {_first_line(error)}"}
    os.write(said, json.dumps(answer).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

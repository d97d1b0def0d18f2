"""TorchScript run by ONNX Runtime, where the environment asks for it and parity is proven; else says why not.

FARERO_ACCELERATE=onnx asks for it. `torch_graph.py` converts and proves in a process of its own that ends; the graph is
kept and found again by the content of the model file, the sample and all versions that count. So PyTorch, which takes
two seconds and 150 MB, is not imported here, until a request comes that the proof says nothing about: rows of another
shape or type, or numbers that are not finite. Those are answered by PyTorch, as without acceleration.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve.frameworks import keeping, torch_graph
from farero_container.serve.frameworks.keeping import VARIABLE, tell
from farero_container.serve.frameworks.onnx_session import NotAccelerated, open_graph
from farero_container.serve.frameworks.pytorch import (
    PyTorch,
    array_of,
    keep_memory,
    model_file,
)
from farero_container.serve.handler import Defaults

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Seconds that conversion and proof may take; a container is given up after 240.
LIMIT_S = 150.0
#: What a kept reason begins with, in place of a graph.
REFUSED = b"not accelerated: "


def defaults(folder: Path) -> Defaults:
    """Return what serves a network without a script: ONNX Runtime if parity is proven, else PyTorch."""
    try:
        network = _find(folder)
    except NotAccelerated as error:
        tell("torch", f"not accelerated: {error}")
        return PyTorch()
    runtime = keeping.version_of("onnxruntime")
    tell("onnxruntime", f"accelerated by ONNX Runtime {runtime}: {network.facts.proof}")
    return Accelerated(network, folder)


class _Refused(NotAccelerated):
    """Why a network is not run by ONNX Runtime, now and at every later start."""


class Network:
    """A proven graph, opened."""

    def __init__(self, graph: bytes) -> None:
        """Raises NotAccelerated."""
        run = open_graph(graph)
        self.facts = torch_graph.facts_of(run.notes["facts"])
        self._run = run.all

    def takes(self, data: Array) -> bool:
        """Say whether the proof holds for an array."""
        facts, limit = self.facts, self.facts.limit
        rows = 1 if facts.is_bare and data.shape == facts.shape else 0
        if data.ndim == len(facts.shape) + 1 and data.shape[1:] == facts.shape:
            rows = len(data)
        if not rows or data.dtype != facts.dtype or (rows > 1 and not facts.is_together):
            return False
        # false for NaN, too
        return limit is None or bool(data.max() <= limit and data.min() >= -limit)

    def predict(self, data: Array) -> Any:
        """Return what the network answers to an array that it takes."""
        is_bare = data.ndim == len(self.facts.shape)
        found = self._run(np.ascontiguousarray(data[None] if is_bare else data))
        if is_bare:
            found = [part[0] for part in found]
        return tuple(found) if self.facts.is_tuple else found[0]


class Accelerated(Defaults):
    """What PyTorch's defaults do, by ONNX Runtime."""

    def __init__(self, network: Network, folder: Path) -> None:
        keep_memory()
        self._network, self._folder = network, folder
        self._torch: PyTorch | None = None
        self._model: Any = None
        self.name = "PyTorch by ONNX Runtime"

    def max_batch(self, model: Any) -> int:
        """Return how many rows go together."""
        _ = model
        return self._network.facts.rows

    def is_proved(self, data: Any, model: Any) -> bool:
        """Say whether rows like these go together."""
        _ = model
        if self._network.takes(data):
            return self._network.facts.is_together
        torch = self._beside()
        return torch.is_proved(torch.tensor(data), self._model)

    def load(self, model_dir: Path) -> Any:
        """Predict once, so that the first caller does not pay for it."""
        _ = model_dir
        facts = self._network.facts
        self._network.predict(np.zeros((1, *facts.shape), dtype=facts.dtype))
        return self._network

    def decode(self, body: bytes, content_type: str) -> Any:
        """Return the array that a body is."""
        return array_of(body, content_type)

    def predict(self, data: Any, model: Any) -> Any:
        """Run the graph; PyTorch where the proof says nothing."""
        _ = model
        if self._network.takes(data):
            return self._network.predict(data)
        torch = self._beside()
        return torch.predict(torch.tensor(data), self._model)

    def _beside(self) -> PyTorch:
        """Return PyTorch, with the network loaded; imported by the first request that needs it."""
        if self._torch is None:
            why = "a request came that the proof says nothing about"
            print(f"farero: PyTorch is imported: {why}", flush=True)
            torch = PyTorch()
            self._model = torch.load(self._folder)
            self._torch = torch
        return self._torch


def _find(folder: Path) -> Network:
    """Return the proven network, kept or made now. Raises NotAccelerated."""
    asked = os.environ.get(VARIABLE, "")
    if asked != "onnx":
        raise NotAccelerated(f"{VARIABLE}={asked!r} is not known; use onnx")
    try:
        path = model_file(folder)
    except StartUpError as error:
        raise NotAccelerated(error.message) from error
    name, sample = torch_graph.sample_of(folder)
    parts = (torch_graph.FORM, keeping.version_of("torch"), name)
    place = keeping.place_of_proof(path, *parts, beside=sample)
    with keeping.alone(place):
        kept = keeping.read(place)
        if kept is not None and kept.startswith(REFUSED):
            raise NotAccelerated(kept.removeprefix(REFUSED).decode())
        if kept is not None:
            try:
                return Network(kept)
            except Exception as error:  # noqa: BLE001 - a kept file that cannot be used is made anew, whatever is wrong with it
                print(f"farero: a kept graph is not used: {error}", flush=True)
        try:
            graph = _make(folder)
        except _Refused as error:  # another replica waits for this one, and need not try again
            keeping.keep(place, REFUSED + str(error).encode())
            raise
        network = Network(graph)
        keeping.keep(place, graph)
    return network


def _make(folder: Path) -> bytes:
    """Convert and prove in a process of its own. Raises NotAccelerated."""
    with tempfile.TemporaryDirectory(prefix="farero-graph-") as scratch:
        out = Path(scratch) / "graph.onnx"
        command = [sys.executable, "-m", torch_graph.__name__, str(folder.resolve()), str(out)]
        try:
            done = subprocess.run(
                command, check=False, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=LIMIT_S
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _Refused(f"conversion and proof took longer than {LIMIT_S:.0f} s") from error
        try:
            told: dict[str, str] = json.loads(done.stdout)
        except ValueError as error:  # killed, as for want of memory
            raise NotAccelerated(f"the conversion ended with {done.returncode}") from error
        if "reason" in told:
            raise _Refused(told["reason"])
        return out.read_bytes()

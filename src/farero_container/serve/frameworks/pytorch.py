"""PyTorch's defaults: one TorchScript file, loaded by torch.jit; tensors in, lists out.

Facts: sagemaker-pytorch-inference-toolkit's default handler, with its own error texts.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve import content, numbers, rows
from farero_container.serve.handler import Defaults, decode

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Rows that are predicted together at most: with more, each costs more on a CPU (an ECG of 2000 steps: 16 rows cost
#: twice as much a row as 4).
MAX_BATCH = 4
#: Shapes for which it is remembered whether rows go together.
MOST_SHAPES = 64
#: How far together and alone may be apart: another number of rows is another order of additions in BLAS.
RTOL, ATOL = 1e-4, 1e-5

#: Up to here doubles hold every whole number.
WHOLE = 2.0**53

#: <malloc.h>: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (its largest), M_ARENA_MAX.
_MALLOC = ((-1, 64 << 20), (-3, 32 << 20), (-8, 1))


class PyTorch(Defaults):
    """What is done where inference.py says nothing."""

    def __init__(self) -> None:
        try:
            torch: Any = importlib.import_module("torch")  # heavy and optional
        except ImportError as error:
            raise StartUpError(
                "E-NO-FRAMEWORK",
                f"torch cannot be imported: {error}",
                fix="pip install 'farero[torch]'",
            ) from error
        keep_memory()
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self._torch = torch
        #: Likeness → rows of it may go together.
        self._proved: dict[Hashable, bool] = {}
        self.name = f"PyTorch {torch.__version__}"

    def max_batch(self, model: Any) -> int:
        """Return how many rows go together, once that is proved for their shape."""
        _ = model
        return MAX_BATCH

    def is_proved(self, data: Any, model: Any) -> bool:
        """Say whether the network treats rows of this shape by themselves; tried once for each shape."""
        key = rows.likeness(data)
        if key not in self._proved and len(self._proved) < MOST_SHAPES:
            self._prove(key, data, model)
        return self._proved.get(key, False)

    def _prove(self, key: Hashable, data: Any, model: Any) -> None:
        """Predict real rows beside shuffled ones, alone and together, in two orders."""
        parts = [data, *self._shuffled(data)]
        if all(self._torch.equal(part, data) for part in parts):
            return  # nothing is learned from equal rows
        try:
            alone = [self.predict(part, model) for part in parts]
            self._proved[key] = all(
                self._agree(alone[::step], self._together(parts[::step], model)) for step in (1, -1)
            )
        except Exception:  # noqa: BLE001 - shuffled rows may be none that the network takes
            self._proved[key] = False
        if not self._proved[key]:
            shape = " x ".join(map(str, data.shape[1:]))
            print(
                f"farero: rows of {shape} are predicted alone: together they come out otherwise",
                flush=True,
            )

    def _shuffled(self, data: Any) -> list[Any]:
        """Return two arrays of the same numbers in another order, one of them halved."""
        dice = self._torch.Generator().manual_seed(1)
        flat = data.reshape(-1)
        mixed = [
            flat[self._torch.randperm(len(flat), generator=dice)].reshape(data.shape)
            for _ in range(2)
        ]
        return [mixed[0], mixed[1] * 0.5 if data.is_floating_point() else mixed[1]]

    def _together(self, parts: Sequence[Any], model: Any) -> list[Any]:
        return rows.split(self.predict(rows.join(parts), model), [len(part) for part in parts])

    def _agree(self, one: Any, other: Any) -> bool:
        if isinstance(one, dict):
            return all(self._agree(one[key], other[key]) for key in cast("dict[Any, Any]", one))
        if isinstance(one, (list, tuple)):
            pairs = zip(cast("Sequence[Any]", one), other, strict=True)
            return all(self._agree(first, second) for first, second in pairs)
        if one.is_floating_point():
            close: bool = self._torch.allclose(one, other, rtol=RTOL, atol=ATOL, equal_nan=True)
            return close
        return bool(self._torch.equal(one, other))

    def load(self, model_dir: Path) -> Any:
        """Load model.pt, or the single .pt or .pth file, as TorchScript."""
        path = model_file(model_dir)
        try:
            model = self._torch.jit.load(str(path), map_location="cpu")
        except RuntimeError as error:
            raise StartUpError(
                "E-TORCHSCRIPT",
                f"Failed to load {path.name}. Please ensure model is saved using torchscript.",
                file=path.name,
                fix="Save it with torch.jit.script(model).save('model.pt'), or add code/inference.py with a model_fn "
                "that builds the network and loads this state_dict.",
            ) from error
        return model.eval()

    def decode(self, body: bytes, content_type: str) -> Any:
        """Return a float tensor (JSON, CSV) or the array's own type (NPY).

        AWS's toolkit fails on a JSON object; here one with a single member of rows, {"inputs": […]}, is those rows.
        """
        return self.tensor(array_of(body, content_type))

    def tensor(self, array: NDArray[Any]) -> Any:
        """Return an array as a tensor."""
        return self._torch.from_numpy(array)

    def predict(self, data: Any, model: Any) -> Any:
        """Run the network without gradients."""
        with self._torch.inference_mode():
            return model(data)


def model_file(folder: Path) -> Path:
    """Return model.pt, or the single .pt or .pth file. Raises StartUpError."""
    path = folder / "model.pt"
    if path.exists():
        return path
    found = sorted(p.name for p in folder.iterdir() if p.suffix in (".pt", ".pth") and p.is_file())
    if len(found) != 1:
        raise StartUpError(
            "E-NO-MODEL-FILE",
            f"Exactly one .pth or .pt file is required for PyTorch models: {found}",
            fix="Keep one such file at the root of model.tar.gz, or add code/inference.py with a model_fn.",
        )
    return folder / found[0]


def array_of(body: bytes, content_type: str) -> NDArray[Any]:
    """Return the array that a body is: of floats (JSON, CSV), or of its own type (NPY)."""
    array = _plain(body, content_type)
    if array is None:
        array = decode(body, content_type)
        if content_type != "application/x-npy":
            array = np.asarray(array, dtype=np.float32)
    return array


def keep_memory() -> None:
    """Let glibc keep what one prediction frees for the next one, up to 64 MB.

    It would give it back and fetch it anew, page by page: a quarter of the CPU of an ECG network's batch, and of one
    that ONNX Runtime runs, which keeps its own memory, what its body and its array take, a fortieth.
    """
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc alone has it
    if mallopt is not None and not any(name.startswith("MALLOC_") for name in os.environ):
        for option, value in _MALLOC:
            mallopt(option, value)


def _plain(body: bytes, content_type: str) -> NDArray[np.float32] | None:
    """Read what is nothing but numbers as the toolkit would, only quicker; None for all else."""
    if content_type == "text/csv":
        matrix = numbers.csv_matrix(body, commas_only=True)
        return None if matrix is None else matrix.squeeze()  # as numpy.genfromtxt does
    if content_type != "application/json":
        return None
    member = numbers.json_member(body, content.JSON_MEMBERS)
    array = numbers.json_array(member or body)
    if array is None or member:
        return array
    # the toolkit makes singles of whole numbers at once, and thereby rounds large ones another way
    return array if np.abs(array).max() < WHOLE else None

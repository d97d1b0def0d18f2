"""PyTorch's defaults: one TorchScript file, loaded by torch.jit; tensors in, lists out.

Facts: sagemaker-pytorch-inference-toolkit's default handler, with its own error texts.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_container.contract import StartUpError
from farero_container.serve.handler import Defaults, decode

if TYPE_CHECKING:
    from pathlib import Path


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
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self._torch = torch
        self.name = f"PyTorch {torch.__version__}"

    def load(self, model_dir: Path) -> Any:
        """Load model.pt, or the single .pt or .pth file, as TorchScript."""
        path = model_dir / "model.pt"
        if not path.exists():
            found = sorted(
                p.name for p in model_dir.iterdir() if p.suffix in (".pt", ".pth") and p.is_file()
            )
            if len(found) != 1:
                raise StartUpError(
                    "E-NO-MODEL-FILE",
                    f"Exactly one .pth or .pt file is required for PyTorch models: {found}",
                    fix="Keep one such file at the root of model.tar.gz, or add code/inference.py with a model_fn.",
                )
            path = model_dir / found[0]
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
        """Return a float tensor (JSON, CSV) or the array's own type (NPY)."""
        array = decode(body, content_type)
        if content_type == "application/x-npy":
            return self._torch.from_numpy(array)
        return self._torch.from_numpy(np.asarray(array, dtype=np.float32))

    def predict(self, data: Any, model: Any) -> Any:
        """Run the network without gradients."""
        with self._torch.inference_mode():
            return model(data)

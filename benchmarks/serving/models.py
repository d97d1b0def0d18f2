"""The three models of the benchmark, made the same on each machine, and one request for each.

a: XGBoost `multi:softprob`, 3 classes, 4 features, 100 rounds of depth 4 (300 trees); 34 bytes of JSON.
b: XGBoost regressor, 20 features, 500 trees of depth 6; 181 bytes.
c: an ECG's CNN-LSTM as TorchScript: three times Conv1d, BatchNorm, ReLU, MaxPool (3 to 32, 64, 64 channels; 2000 to
   250 steps), LSTM of 64, one output, sigmoid; 2000 x 3 numbers, about 128 kB.

Both builds seed their generators; c is made by the Python of PyTorch's environment, which runs this file itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One model with the request that is sent to it."""

    name: str
    #: What the model file is called within a model.tar.gz.
    file: Path
    body: bytes
    #: The model's own answer to `body`, flat.
    expected: tuple[float, ...]

    @property
    def is_torch(self) -> bool:
        """Whether PyTorch serves it."""
        return self.name == "c"

    @property
    def rows(self) -> list[object]:
        """The rows of the body, nested as JSON has them."""
        return next(iter(json.loads(self.body).values()))


def make(cache: Path, torch_python: Path | None) -> dict[str, Work]:
    """Return the works by name; c only where there is a Python with PyTorch. Built once per text of this file."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:10]
    folder = cache / f"models-{digest}"
    for stale in cache.glob("models-*"):
        if stale != folder:
            shutil.rmtree(stale, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "b.done").exists():
        _make_trees(folder)
    names = {"a": "model.json", "b": "model.json"}
    if torch_python is not None:
        names["c"] = "model.pt"
        if not (folder / "c.done").exists():
            subprocess.run([str(torch_python), __file__, str(folder / "c")], check=True)
            (folder / "c.done").touch()
    return {name: _read(folder / name, file) for name, file in names.items()}


def _read(folder: Path, file: str) -> Work:
    return Work(
        name=folder.name,
        file=folder / file,
        body=(folder / "body.json").read_bytes(),
        expected=tuple(json.loads((folder / "expected.json").read_text(encoding="utf-8"))),
    )


def _make_trees(folder: Path) -> None:
    import numpy as np
    import xgboost

    rng = np.random.default_rng(7)
    kinds = rng.integers(0, 3, 3000)
    rows = rng.normal(size=(3000, 4)) + kinds[:, None] * np.array([0.8, -0.4, 1.5, 0.6])
    flowers = (rows * np.array([0.8, 0.4, 1.7, 0.7]) + np.array([5.8, 3.0, 3.7, 1.2])).round(1)
    many = rng.normal(size=(20_000, 20)).round(4)
    truth = many[:, :5].sum(axis=1) + np.sin(3 * many[:, 5]) * many[:, 6] + rng.normal(size=20_000)
    jobs = {
        "a": (flowers, kinds, {"objective": "multi:softprob", "num_class": 3, "max_depth": 4}, 100,
              [5.1, 3.5, 1.4, 0.2]),
        "b": (many, truth, {"objective": "reg:squarederror", "max_depth": 6}, 500, many[0].tolist()),
    }  # fmt: skip
    for name, (inputs, labels, options, rounds, row) in jobs.items():
        target = folder / name
        target.mkdir(exist_ok=True)
        matrix = xgboost.DMatrix(inputs.astype(np.float32), labels)
        booster = xgboost.train({**options, "seed": 7, "nthread": 1}, matrix, rounds)
        booster.save_model(target / "model.json")
        (target / "body.json").write_text(json.dumps({"inputs": [row]}), encoding="utf-8")
        said = booster.predict(xgboost.DMatrix(np.array([row], dtype=np.float32)))
        (target / "expected.json").write_text(json.dumps(said.ravel().tolist()), encoding="utf-8")
    (folder / "b.done").touch()


def _make_ecg(target: Path) -> None:
    import numpy as np
    import torch

    class Ecg(torch.nn.Module):
        """Signals of shape (n, 2000, 3) to a probability, (n, 1)."""

        def __init__(self) -> None:
            super().__init__()
            layers: list[torch.nn.Module] = []
            for before, after in ((3, 32), (32, 64), (64, 64)):
                layers += [
                    torch.nn.Conv1d(before, after, 5, padding=2),
                    torch.nn.BatchNorm1d(after),
                    torch.nn.ReLU(),
                    torch.nn.MaxPool1d(2),
                ]
            self.convolutions = torch.nn.Sequential(*layers)
            self.memory = torch.nn.LSTM(64, 64, batch_first=True)
            self.last = torch.nn.Linear(64, 32)
            self.out = torch.nn.Linear(32, 1)

        def forward(self, signals: torch.Tensor) -> torch.Tensor:
            """Score signals."""
            steps, _ = self.memory(self.convolutions(signals.transpose(1, 2)).transpose(1, 2))
            return torch.sigmoid(self.out(torch.relu(self.last(steps[:, -1]))))

    torch.manual_seed(7)
    torch.set_num_threads(1)
    target.mkdir(exist_ok=True)
    model = Ecg().eval()
    times = np.arange(2000)[:, None] / 250
    waves = np.sin(2 * np.pi * times * np.array([1.2, 1.3, 5.0])) + 0.1 * np.random.default_rng(
        7
    ).normal(size=(2000, 3))
    signal = waves.astype(np.float32)[None]
    torch.jit.script(model).save(str(target / "model.pt"))
    with torch.inference_mode():
        said = model(torch.from_numpy(signal)).numpy().ravel().tolist()
    body = json.dumps({"signals": signal.tolist()})
    (target / "body.json").write_text(body, encoding="utf-8")
    (target / "expected.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    _make_ecg(Path(sys.argv[1]))

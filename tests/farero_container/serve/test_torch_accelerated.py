"""TorchScript over ONNX Runtime: the same answers, what is proven, kept and said, and what PyTorch still answers."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from .test_torchscript import asked_at_once, npy

pytestmark = pytest.mark.journey

ROOT = Path(__file__).resolve().parents[3]
ASKED = {"FARERO_ACCELERATE": "onnx"}

#: Saves networks, scripted and traced, as <name>.pt.
TRAIN = """
import sys, torch
from pathlib import Path
nn = torch.nn
torch.manual_seed(7)
folder = Path(sys.argv[1])
class Ecg(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for before, after in ((3, 16), (16, 16)):
            layers += [nn.Conv1d(before, after, 5, padding=2), nn.BatchNorm1d(after), nn.ReLU(), nn.MaxPool1d(2)]
        self.layers, self.memory, self.out = nn.Sequential(*layers), nn.LSTM(16, 8, batch_first=True), nn.Linear(8, 1)
    def forward(self, x):
        steps, _ = self.memory(self.layers(x.transpose(1, 2)).transpose(1, 2))
        return torch.sigmoid(self.out(steps[:, -1]) * 5)
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv1d(3, 16, 3, padding="same"), nn.Conv1d(16, 16, 3, stride=2, padding=1, groups=4)
        self.three, self.norm = nn.Conv1d(16, 16, 3, padding=2, dilation=2), nn.BatchNorm1d(16)
    def forward(self, x):
        y = nn.functional.max_pool1d(nn.functional.gelu(self.one(x.transpose(1, 2))), 3, 2, ceil_mode=True)
        y = self.two(y)
        return torch.relu(y + self.norm(self.three(y))).mean(2), y.argmax(1)
def trained(net):  # statistics that are not zeros and ones
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d):
            part.running_mean.uniform_(-1, 1)
            part.running_var.uniform_(0.5, 2)
    return net
ecg, residual = trained(Ecg()), trained(Residual())
torch.jit.script(ecg.train()).save(folder / "scripted.pt")  # as it is after training
torch.jit.trace(ecg.eval(), torch.zeros(1, 100, 3)).save(folder / "traced.pt")
torch.jit.script(residual).save(folder / "residual.pt")
torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))).save(folder / "plain.pt")
class Two(nn.Module):
    def forward(self, x):
        return {"sum": x.sum(1), "most": x.argmax(1)}
class Noisy(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)
class Counts(nn.Module):
    def forward(self, x):
        return x.sum(1) + x.shape[0]
class Whole(nn.Module):
    def forward(self, x):
        return x.sum()
class Grid(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvals(x[:, :2, None] * x[:, None, :2]).real
for one in (Two, Noisy, Counts, Whole, Grid):
    torch.jit.script(one()).save(folder / (one.__name__.lower() + ".pt"))
"""

RANDOM = np.random.default_rng(5)
SIGNALS = RANDOM.normal(size=(9, 100, 3)).astype(np.float32)
ROWS = RANDOM.normal(size=(9, 4)).astype(np.float32)
SIGNAL = json.dumps(SIGNALS[:1].tolist())
ROW = json.dumps(ROWS[:1].tolist())


@pytest.fixture(scope="module")
def saved(train):
    """Saved networks by name."""
    return train(TRAIN)[0]


@pytest.fixture(scope="module")
def serve(launch, torch_python, saved):
    """A function: name of a network → a server; with a sample, unless told otherwise."""

    def start(name, sample=SIGNAL, suffix=".json", **options):
        files = {"model.pt": saved[name]} | ({f"sample{suffix}": sample} if sample else {})
        files |= options.pop("files", {})
        return launch(
            files, framework="pytorch", version="2.6.0", python=str(torch_python), **options
        )

    return start


@pytest.fixture(scope="module")
def plain(serve):
    """The ECG network over PyTorch."""
    return serve("scripted")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return {**ASKED, "FARERO_KEPT_DIR": str(tmp_path_factory.mktemp("kept") / "graphs")}


@pytest.fixture(scope="module")
def fast(serve, kept):
    """The same over ONNX Runtime."""
    return serve("scripted", **kept)


def told(server):
    return json.loads((server.base / "output" / "engine.json").read_text(encoding="utf-8"))


def libraries(server):
    return Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")


def kind_of(answer):
    return answer[0], answer[1]["content-type"]


def close(one, other):
    np.testing.assert_allclose(json.loads(one[2]), json.loads(other[2]), rtol=1e-4, atol=1e-5)
    assert kind_of(one) == kind_of(other)


def test_an_ecg_network_answers_the_same_without_pytorch_and_says_so(fast, plain):
    for rows in (1, 2, 4, 7, 9):
        body = json.dumps({"signals": SIGNALS[:rows].tolist()})
        close(fast.post(body, "application/json"), plain.post(body, "application/json"))

    said = told(fast)
    assert said["engine"] == "onnxruntime"
    assert "parity proven on 22 batches of 1 to 7 rows of 100 x 3, worst difference" in said["text"]
    assert "left to PyTorch: other shapes, NaN, infinite and beyond 1e+" in said["text"]
    assert f"farero: accelerated by ONNX Runtime {said['version']}: parity" in fast.log
    assert "serving PyTorch by ONNX Runtime, no script" in fast.log
    assert "onnxruntime" in libraries(fast)
    assert "libtorch" not in libraries(fast)


@pytest.mark.parametrize("kind", ["application/json", "text/csv", "application/x-npy"])
@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-npy"])
def test_content_types_are_the_same(serve, kind, accept, same):
    body = {
        "application/json": json.dumps(ROWS[:2].tolist()),
        "text/csv": "\n".join(",".join(map(str, row)) for row in ROWS[:2].tolist()),
        "application/x-npy": npy(ROWS[:2]),
    }[kind]

    found, wanted = (server.post(body, kind, accept) for server in same)

    assert kind_of(found) == kind_of(wanted) == (200, accept)
    np.testing.assert_allclose(read(found[2], accept), read(wanted[2], accept), rtol=1e-4, atol=1e-5)  # fmt: skip


@pytest.fixture(scope="module")
def same(serve):
    """A network of four numbers, both ways."""
    return serve("plain", ROW, **ASKED), serve("plain")


def read(body, kind):
    if kind == "application/json":
        return np.array(json.loads(body))
    if kind == "text/csv":
        return np.loadtxt(body.decode().splitlines(), delimiter=",")
    return np.load(io.BytesIO(body))


def test_a_single_row_of_csv_is_one_row_to_this_network_as_to_pytorch(same):
    found, wanted = (server.post(b"1,2,3,4", "text/csv") for server in same)

    close(found, wanted)
    assert len(json.loads(found[2])) == 3
    assert "libtorch" not in libraries(same[0])


@pytest.mark.parametrize("name", ["traced", "residual"])
def test_traces_and_networks_of_several_branches_and_tensors_answer_the_same(serve, name):
    server, other = serve(name, **ASKED), serve(name)
    body = json.dumps(SIGNALS.tolist())

    found, wanted = (json.loads(one.post(body, "application/json")[2]) for one in (server, other))

    parts = [(found, wanted)] if name == "traced" else zip(found, wanted, strict=True)
    for one, two in parts:
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    assert told(server)["text"].startswith("accelerated by ONNX Runtime")


def test_rows_that_come_at_once_are_each_answered_as_alone(fast, plain):
    bodies = [SIGNALS[n % 9 : n % 9 + 1 + n % 2].tolist() for n in range(24)]

    found = asked_at_once(fast, bodies)

    for body, answer in zip(bodies, found, strict=True):
        wanted = json.loads(plain.post(json.dumps(body), "application/json")[2])
        np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def odd(serve, kept):
    """One that is asked what the proof says nothing about."""
    return serve("scripted", **kept)


def strange(value):
    rows = SIGNALS[:3].copy()
    rows[1, 50, 1] = value
    return rows


@pytest.mark.parametrize(
    "rows",
    [strange(np.nan), strange(np.inf), strange(-np.inf), strange(3e38), SIGNALS[:2, :60], SIGNALS[:1].astype(np.float64),
     SIGNALS[0], SIGNALS[:0], SIGNALS[:1, :, :2]],
    ids=["NaN", "infinite", "-infinite", "large", "shorter", "doubles", "no rows", "none", "too narrow"],
)  # fmt: skip
def test_what_the_proof_says_nothing_about_is_answered_by_pytorch(odd, plain, rows):
    server = odd

    found, wanted = (one.post(npy(rows), "application/x-npy") for one in (server, plain))

    assert found[0] == wanted[0]
    if found[0] == 200:
        np.testing.assert_array_equal(json.loads(found[2]), json.loads(wanted[2]))
    else:
        assert found[2].partition(b"\n")[0] == wanted[2].partition(b"\n")[0]
    assert "PyTorch is imported: a request came that the proof says nothing about" in server.log
    close(*(one.post(SIGNAL, "application/json") for one in (server, plain)))


def test_a_later_start_finds_the_proof_and_needs_no_pytorch(serve, fast, kept, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None\n")

    server = serve("scripted", **kept, PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}")

    close(*(one.post(SIGNAL, "application/json") for one in (server, fast)))
    assert told(server) == told(fast)


def test_another_sample_or_a_damaged_file_is_proven_anew(serve, tmp_path):
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path)}
    serve("plain", ROW, **env)
    (first,) = tmp_path.glob("*.proven")
    first.write_bytes(first.read_bytes()[:-1])

    again = serve("plain", ROW, **env)
    other = serve("plain", json.dumps(ROWS[:2, None].tolist()), **env)

    assert "rows of 4, worst" in told(again)["text"]
    assert "rows of 1 x 4, worst" in told(other)["text"]
    assert len(list(tmp_path.glob("*.proven"))) == 2


@pytest.mark.parametrize(
    ("name", "sample", "suffix", "reason"),
    [
        ("plain", None, "", "there is no sample of its input; deploy with --sample FILE, or put one of sample.json"),
        ("plain", SIGNAL, ".json", "the network does not take sample.json, rows of 100 x 3: "),
        ("plain", npy(ROWS.astype(np.int64)), ".npy", "sample.npy must be rows of finite floating-point numbers"),
        ("plain", "[[1, NaN, 2, 3]]", ".json", "sample.json must be rows of finite floating-point numbers"),
        ("plain", "{", ".json", "sample.json cannot be read: "),
        ("two", ROW, ".json", "the network answers with a dict, not with tensors"),
        ("noisy", ROW, ".json", "parity could not be proven: the network itself answers the same row differently"),
        ("grid", ROW, ".json", "PyTorch cannot write it as ONNX: Exporting the operator 'aten::linalg_eigvals'"),
    ],
)  # fmt: skip
def test_what_cannot_be_accelerated_is_served_by_pytorch_with_the_reason(
    serve, name, sample, suffix, reason
):
    server = serve(name, sample, suffix, **ASKED)

    assert told(server)["engine"] == "torch"
    assert told(server)["text"].startswith(f"not accelerated: {reason}")
    assert f"farero: {told(server)['text']}" in server.log
    assert server.post(ROW, "application/json")[0] == 200
    assert "serving PyTorch 2." in server.log


@pytest.mark.parametrize(
    ("name", "answer"), [("counts", lambda rows: [sum(row) + len(rows) for row in rows]),
                         ("whole", lambda rows: sum(map(sum, rows)))],
)  # fmt: skip
def test_a_network_that_looks_at_all_rows_is_proven_for_one_and_asked_for_one_alone(
    serve, name, answer
):
    server = serve(name, ROW, FARERO_MAX_BATCH="8", **ASKED)
    bodies = [ROWS[n : n + 1].tolist() for n in range(6)]

    found = asked_at_once(server, bodies)
    several = json.loads(server.post(json.dumps(ROWS.tolist()), "application/json")[2])

    assert "batches of one row of 4" in told(server)["text"]
    for body, one in zip(bodies, found, strict=True):
        np.testing.assert_allclose(one, answer(body), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(several, answer(ROWS.tolist()), rtol=1e-4, atol=1e-5)


def test_a_reason_is_kept_as_a_proof_is_and_not_looked_for_again(serve, tmp_path):
    env = {**ASKED, "FARERO_KEPT_DIR": str(tmp_path)}
    first = serve("two", ROW, **env)
    (kept,) = tmp_path.glob("*.proven")
    written = kept.stat().st_mtime_ns

    again = serve("two", ROW, **env)

    assert told(again) == told(first)
    assert told(again)["text"].endswith("the network answers with a dict, not with tensors")
    assert kept.stat().st_mtime_ns == written


def test_without_onnx_runtime_pytorch_serves(serve, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['onnxruntime'] = None\n")

    server = serve("plain", ROW, **ASKED, PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}")

    assert "onnxruntime cannot be imported" in told(server)["text"]
    assert server.post(ROW, "application/json")[0] == 200


def test_a_wish_that_is_not_known_is_refused_by_name(serve):
    server = serve("plain", ROW, FARERO_ACCELERATE="tensorrt")

    assert told(server)["text"] == (
        "not accelerated: FARERO_ACCELERATE='tensorrt' is not known; use onnx"
    )


def test_a_script_of_the_users_is_not_accelerated(serve):
    script = "import torch\ndef predict_fn(data, model):\n    return data * 0 + 1\n"

    server = serve("plain", ROW, files={"code/inference.py": script}, **ASKED)

    assert json.loads(server.post(ROW, "application/json")[2]) == [[1, 1, 1, 1]]
    assert not (server.base / "output" / "engine.json").exists()

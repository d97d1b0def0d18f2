"""PyTorch without a script: TorchScript files are served as they are, and what is none says so."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import frame, read_frame

pytestmark = pytest.mark.journey

ROOT = Path(__file__).resolve().parents[3]
ROWS = [[0.1, 0.2, 0.3, 0.4], [1.0, -1.0, 0.5, 0.0]]

#: Saves three networks of one set of weights and says what they answer, to the last bit.
TRAIN = """
import json, sys, torch
from pathlib import Path
folder = Path(sys.argv[1])
torch.manual_seed(7)
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.ReLU(), torch.nn.Linear(8, 3))
net.train()  # as it is after training: the server has to turn dropout off
torch.jit.script(net).save(folder / "scripted.pt")
torch.jit.script(net.double()).save(folder / "double.pt")
net.float()
torch.jit.trace(net.eval(), torch.zeros(1, 4)).save(folder / "traced.pt")
torch.save(net.state_dict(), folder / "weights.pt")
torch.save(net, folder / "pickled.pt")
class Two(torch.nn.Module):
    def forward(self, x):
        return {"sum": x.sum(1), "most": x.argmax(1)}
torch.jit.script(Two()).save(folder / "dict.pt")
class Pair(torch.nn.Module):
    def forward(self, x):
        return x.sum(1), x.argmax(1)
torch.jit.script(Pair()).save(folder / "pair.pt")
class Counts(torch.nn.Module):
    def forward(self, x):
        return x.sum(1) + x.shape[0]
torch.jit.script(Counts()).save(folder / "counts.pt")
class Time(torch.nn.Module):  # its first dimension is time
    def forward(self, x):
        return x.cumsum(0)
torch.jit.script(Time()).save(folder / "time.pt")
class Whole(torch.nn.Module):
    def forward(self, x):
        return x.sum()
torch.jit.script(Whole()).save(folder / "whole.pt")
torch.set_num_threads(1)
with torch.inference_mode():
    print(json.dumps(net(torch.tensor(json.loads(sys.argv[2]))).tolist()))
"""


@pytest.fixture(scope="module")
def saved(train):
    """Saved networks by name, and what they answer to ROWS."""
    files, said = train(TRAIN, json.dumps(ROWS))
    return files, json.loads(said)


@pytest.fixture(scope="module")
def serve(launch, torch_python):
    """A function: files of the model → a server on PyTorch."""

    def start(files, **options):
        return launch(
            files, framework="pytorch", version="2.6.0", python=str(torch_python), **options
        )

    return start


@pytest.fixture(scope="module")
def scripted(serve, saved):
    return serve({"model.pt": saved[0]["scripted"]})


def npy(array):
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


CSV = "\n".join(",".join(map(str, row)) for row in ROWS).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps(ROWS).encode(), "application/json"),
        (CSV, "text/csv"),
        (npy(np.array(ROWS, dtype=np.float32)), "application/x-npy"),
        (json.dumps(ROWS).encode(), None),
    ],
    ids=["json", "csv", "npy", "no content type"],
)
def test_answers_are_the_networks_bit_for_bit_with_dropout_off(scripted, saved, body, kind):
    status, headers, answer = scripted.post(body, kind)

    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(answer) == saved[1]


def test_answers_come_as_csv_and_npy(scripted, saved):
    body = json.dumps(ROWS).encode()

    csv = scripted.post(body, "application/json", "text/csv")
    binary = scripted.post(body, "application/json", "application/x-npy")

    rows = [[float(cell) for cell in line.split(",")] for line in csv[2].decode().splitlines()]
    assert (csv[1]["content-type"], rows) == ("text/csv", saved[1])
    assert binary[1]["content-type"] == "application/x-npy"
    assert np.load(io.BytesIO(binary[2])).tolist() == saved[1]


@pytest.mark.parametrize("name", ["model.pth", "net.pt", "model.pt"])
def test_a_traced_network_of_any_one_name_is_served(serve, saved, name):
    server = serve({name: saved[0]["traced"], "readme.txt": "x"})

    assert json.loads(server.post(json.dumps(ROWS), "application/json")[2]) == saved[1]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("dict", {"sum": [1.0, 0.5], "most": [3, 0]}),
        ("pair", [[1.0, 0.5], [3, 0]]),
    ],
)
def test_networks_that_answer_with_several_tensors_are_served(serve, saved, name, answer):
    server = serve({"model.pt": saved[0][name]})

    status, _, body = server.post(json.dumps(ROWS), "application/json")

    assert status == 200, body
    assert json.loads(body, parse_float=lambda text: round(float(text), 5)) == answer


@pytest.mark.parametrize("name", ["weights", "pickled"])
def test_what_is_no_torchscript_says_so(serve, saved, name):
    server = serve({"model.pt": saved[0][name]})

    report = server.failure

    assert (report["cause"], report["file"]) == ("E-TORCHSCRIPT", "model.pt")
    assert report["message"].startswith("Failed to load model.pt. Please ensure model is saved")
    assert "torch.jit.script(model).save('model.pt')" in report["fix"]


@pytest.mark.parametrize("names", [(), ("a.pt", "b.pth")])
def test_without_one_file_the_model_is_not_known(serve, saved, names):
    server = serve({"readme.txt": "x", **dict.fromkeys(names, saved[0]["traced"])})

    report = server.failure

    assert report["cause"] == "E-NO-MODEL-FILE"
    assert str(list(names)) in report["message"]


@pytest.mark.parametrize("body", ["[[1, 2]]", '"words"', "[[1, 2], [3]]", "{"])
def test_a_body_that_does_not_fit_is_an_error_and_the_server_lives(scripted, saved, body):
    status, _, answer = scripted.post(body, "application/json")

    assert status in (400, 415, 500)
    assert answer
    assert json.loads(scripted.post(json.dumps(ROWS), "application/json")[2]) == saved[1]


def test_a_network_of_doubles_gets_doubles_in_npy(serve, saved):
    server = serve({"model.pt": saved[0]["double"]})

    status, _, answer = server.post(npy(np.array(ROWS)), "application/x-npy")

    assert status == 200, answer
    assert np.allclose(json.loads(answer), saved[1], atol=1e-6)


def asked_at_once(server, bodies):
    """What each of the bodies is answered when all come in one piece."""
    head = {"content-type": "application/json"}
    sent = b"".join(frame(n, json.dumps(body).encode(), head) for n, body in enumerate(bodies))
    with server.raw() as connection, connection.makefile("rb") as stream:
        connection.sendall(b"FRO1" + sent)
        found = {number: json.loads(body) for number, _, body in map(read_frame, [stream] * len(bodies))}  # fmt: skip
    return [found[n] for n in range(len(bodies))]


def test_rows_that_come_at_once_are_predicted_together_within_tolerance(scripted, saved):
    bodies = [[ROWS[n % 2]] if n % 3 else ROWS for n in range(24)]

    found = asked_at_once(scripted, bodies)

    for n, body in enumerate(bodies):
        expected = saved[1] if body == ROWS else [saved[1][n % 2]]
        assert np.allclose(found[n], expected, rtol=1e-4, atol=1e-5)
    assert "predicted alone" not in scripted.log


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("counts", lambda row: [sum(row) + 1]),
        ("time", lambda row: [row]),
        ("whole", sum),
    ],
)
def test_networks_whose_rows_depend_on_one_another_are_never_predicted_together(
    serve, saved, name, answer
):
    server = serve({"model.pt": saved[0][name]})
    bodies = [[[float(n), 1.0, 2.0, -n / 2]] for n in range(12)]

    found = asked_at_once(server, bodies)

    assert all(np.allclose(one, answer(body[0])) for one, body in zip(found, bodies, strict=True))
    assert "rows of 4 are predicted alone" in server.log


def test_an_object_with_one_member_of_rows_is_those_rows(scripted, saved):
    status, _, answer = scripted.post(json.dumps({"signals": ROWS}), "application/json")

    assert (status, json.loads(answer)) == (200, saved[1])

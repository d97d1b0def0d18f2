"""What is too large, too slow or ambiguous, over real HTTP: refused at once, by a gateway that stays small and alive.

T17 of the test plan. "At once": without waiting for more, which would end in a 408.
"""

import io
import select
import socket
import tarfile
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

MIB = 1024 * 1024
INVOKE = "/endpoints/e/invocations"


def resident(platform):
    """Return the resident bytes of the gateway."""
    [pid] = platform.control.info()["gateways"]
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.fixture
def gateway(shared_platform):
    """The platform; at the end its gateway is the same process as before, answers, and has not grown."""
    before, size = shared_platform.control.info()["gateways"], resident(shared_platform)
    yield shared_platform
    assert (
        send(shared_platform, b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200
    )
    assert shared_platform.control.info()["gateways"] == before
    assert resident(shared_platform) - size < 40 * MIB


def read_answer(connection):
    """Return (status, text) of what comes back; (0, "") if the connection just ends."""
    answer = b""
    try:
        while b"\r\n\r\n" not in answer or len(answer) < 12:
            piece = connection.recv(65536)
            if not piece:
                break
            answer += piece
    except ConnectionResetError:
        pass
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    return status, answer.decode("latin-1")


def read_all(connection):
    """Return everything until the other side hangs up."""
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def send(platform, *pieces):
    """Send pieces until an answer comes or all are sent; return (status, text)."""
    with socket.create_connection(("127.0.0.1", platform.port), timeout=30) as connection:
        for piece in pieces:
            if not push(connection, piece):
                break
        return read_answer(connection)


def push(connection, piece):
    """Send a piece; say whether the other side still listens and has not answered yet."""
    try:
        connection.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return not select.select([connection], [], [], 0)[0]


def post(path, *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
LENGTH = b"""
def model_fn(model_dir): return None
def input_fn(data, content_type): return data
def predict_fn(data, model): return str(len(data))
def output_fn(prediction, accept): return prediction, "text/csv"
"""


@pytest.fixture
def endpoint(shared_platform):
    """An endpoint that answers with the length of what it got."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(LENGTH)
        tar.addfile(info, io.BytesIO(LENGTH))
    sagemaker, bucket = shared_platform.client("sagemaker"), shared_platform.bucket
    shared_platform.client("s3").put_object(
        Bucket=bucket, Key="limits.tar.gz", Body=archive.getvalue()
    )
    sagemaker.create_model(
        ModelName="limits",
        ExecutionRoleArn=shared_platform.client("iam").list_roles()["Roles"][0]["Arn"],
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/limits.tar.gz"},
    )
    variant = {
        "VariantName": "v",
        "ModelName": "limits",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="limits", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="limits", EndpointConfigName="limits")
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="limits", WaiterConfig={"Delay": 0.2, "MaxAttempts": 150})
    yield "limits"
    sagemaker.delete_endpoint(EndpointName="limits")


def test_a_model_gets_all_that_is_allowed_and_a_byte_more_is_refused_in_words(gateway, endpoint):
    runtime = gateway.client("sagemaker-runtime", retries={"total_max_attempts": 1})

    def send_bytes(count):
        body = b"x" * count
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body)
        return int(answer["Body"].read())

    assert send_bytes(6 * MIB) == 6 * MIB
    for count in (6 * MIB + 1, 7 * 1000 * 1000):
        with pytest.raises(ClientError, match=f"has {count:,} bytes") as refused:
            send_bytes(count)
        assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_twenty_megabytes_for_a_model_are_refused_in_words_too(gateway):
    runtime = gateway.client("sagemaker-runtime", retries={"total_max_attempts": 1})

    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName="limits", Body=b"1," * (10 * MIB))

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize(
    ("announced", "expected"), [(17 * MIB, 413), (10 * 1024**3, 413), (10**30, 400)]
)
def test_a_body_announced_too_large_is_refused_before_it_is_sent(gateway, announced, expected):
    status, text = send(gateway, post(INVOKE, f"Content-Length: {announced}"))

    assert status == expected, text


@pytest.mark.parametrize("path", [INVOKE, "/", "/service/sagemaker/operation/ListModels"])
def test_ten_gigabytes_in_chunks_are_cut_short(gateway, path):
    chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        push(connection, post(path, "Transfer-Encoding: chunked"))
        sent = 0
        while sent < 10 * 1024 and push(connection, chunk):
            sent += 1
        status, text = read_answer(connection)

    assert status in (413, 0), text
    assert sent < 100


def test_an_upload_without_a_good_signature_is_refused_before_its_body_is_sent(gateway):
    path = f"/{gateway.bucket}/huge"
    head = post(path, f"Content-Length: {10 * 1024**3}").replace(b"POST", b"PUT", 1)

    status, text = send(gateway, head)

    assert status == 413, text


MANY = [f"X-Many-{number}: 1" for number in range(10_000)]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (post(INVOKE, "X-Long: " + "x" * MIB), 431),
        (post(INVOKE, *MANY), 431),
        (post("/" + "x" * MIB), 414),
        (post("/?" + "x" * MIB), 414),
        (post(INVOKE, "X-Long: " + "x" * 20 * MIB), 431),
    ],
    ids=["a header of 1 MiB", "10,000 headers", "a path of 1 MiB", "a query of 1 MiB", "20 MiB"],
)
def test_a_head_too_large_is_refused_at_once(gateway, head, expected):
    status, text = send(gateway, *(head[at : at + 65536] for at in range(0, len(head), 65536)))

    assert status == expected, text[:300]


def test_a_head_that_never_ends_is_refused(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        push(connection, b"POST / HTTP/1.1\r\nHost: localhost\r\n")
        sent = 0
        while sent < 200 * MIB and push(connection, b"X-A: " + b"y" * 60_000 + b"\r\n"):
            sent += 60_000
        status, _ = read_answer(connection)

    assert status in (431, 0)
    assert sent < 10 * MIB


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: 5x",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
    ],
)
def test_a_body_of_two_minds_is_refused_and_the_connection_ends(gateway, headers):
    hidden = b"GET /_farero/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(post("/", *headers) + b"0\r\n\r\n" + hidden)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1 ") == 1, answer


def test_a_head_that_trickles_is_given_up(gateway):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: local")
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 408"), answer
    assert time.monotonic() - began > 5

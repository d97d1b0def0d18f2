"""What models are sent and answer, in CSV and JSON; drift of attributions by hand; signatures against botocore's."""

import http.server
import json
import math
import threading

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from farero_monitor.clarify import answers, metrics, payload, violations
from farero_monitor.clarify.answers import AnswerError
from farero_monitor.clarify.aws import Aws, AwsError
from farero_monitor.clarify.config import ConfigError, Predictor
from farero_monitor.clarify.rows import Rows

ROWS = Rows.of({"age": ["31", "4.5", None], "town": ["Lugo", 'Vigo, "O Porto"', "Lugo"]})


def _bodies(kind, **predictor):
    return [body.decode() for _, body in payload.requests(ROWS, Predictor(**predictor), kind)]


def test_csv_is_quoted_where_it_must_be():
    assert _bodies("text/csv") == ['31,Lugo\n4.5,"Vigo, ""O Porto"""\n,Lugo\n']


def test_json_lines_follow_the_template():
    (body,) = _bodies("application/jsonlines", content_template='{"x":$features}')

    found = [json.loads(line) for line in body.splitlines()]
    assert found == [{"x": [31, "Lugo"]}, {"x": [4.5, 'Vigo, "O Porto"']}, {"x": [None, "Lugo"]}]


@pytest.mark.parametrize(
    ("whole", "record", "first"),
    [
        ('{"instances": $records}', "$features", {"instances": [[31, "Lugo"], [4.5, 'Vigo, "O Porto"'], [None, "Lugo"]]}),
        ("$record", "$features_kvp", {"age": 31, "town": "Lugo"}),
        ("$record", '{"A": "${age}", "names": $feature_names}', {"A": 31, "names": ["age", "town"]}),
    ],
)  # fmt: skip
def test_json_follows_both_templates(whole, record, first):
    found = _bodies("application/json", content_template=whole, record_template=record)

    assert json.loads(found[0]) == first
    assert len(found) == (1 if "$records" in whole else 3)


def test_a_template_that_names_another_feature_is_refused():
    with pytest.raises(ConfigError, match=r"names 'size'. There are: age, town\."):
        _bodies("application/json", content_template="$records", record_template='["${size}"]')


def test_requests_stay_below_the_limits():
    rows = Rows.of({"text": ["x" * 1000] * 50_000})

    found = list(payload.requests(rows, Predictor(), "text/csv"))

    assert sum(count for count, _ in found) == 50_000
    assert max(len(body) for _, body in found) <= payload.MOST_BYTES
    assert max(count for count, _ in found) <= payload.MOST_ROWS


@pytest.mark.parametrize(
    ("body", "kind", "which", "expected"),
    [
        ("0.1\n0.9\n", "text/csv", None, [[0.1], [0.9]]),
        ("0.1,0.9", "text/csv", None, [[0.1], [0.9]]),
        ("1,0.1\n0,0.9\n", "text/csv", 1, [[0.1], [0.9]]),
        ("a,0.1,0.2\nb,0.9,0.8\n", "text/csv; charset=utf-8", "2", [[0.2], [0.8]]),
        ("[0.1, 0.9]", "application/json", None, [[0.1], [0.9]]),
        ('{"predictions": [[0.1, 0.2], [0.9, 0.8]]}', "application/json", None, [[0.1, 0.2], [0.9, 0.8]]),
        ('{"predictions": [{"score": 0.1}, {"score": 0.9}]}', "application/json", "predictions[*].score", [[0.1], [0.9]]),
        ('{"score": 0.1}\n{"score": 0.9}\n', "application/jsonlines", "score", [[0.1], [0.9]]),
        ('{"s": {"p": [0.1, 0.2]}}\n{"s": {"p": [0.9, 0.8]}}', "application/jsonlines", "s.p", [[0.1, 0.2], [0.9, 0.8]]),
    ],
)  # fmt: skip
def test_scores_are_found_in_every_form_of_answer(body, kind, which, expected):
    found = answers.split(body, kind, 2, which)

    assert answers.scores(found, which).tolist() == expected


def test_too_few_answers_are_told_with_their_beginning():
    with pytest.raises(AnswerError, match=r"answered 3 rows with 2. Its answer begins: 1\n2"):
        answers.split("1\n2", "text/csv", 3)


def test_a_label_that_is_not_in_the_answer_is_told():
    with pytest.raises(AnswerError, match="probability is 4, but the model answers 2 values"):
        answers.scores([["1", "2"]], 4)


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        pytest.param([["0.2"], ["0.7"]], {"values": [1], "known": ["0", "1"]}, [False, True], id="probability"),
        pytest.param([["0.2"], ["0.7"]], {"values": [0], "known": ["0", "1"]}, [True, False], id="of the other label"),
        pytest.param([["0.2"], ["0.7"]], {"values": [1], "known": ["0", "1"], "threshold": 0.1}, [True, True], id="threshold"),
        pytest.param([["1"], ["0"]], {"values": [1.0], "known": ["0", "1"]}, [True, False], id="label"),
        pytest.param([["yes"], ["no"]], {"values": ["yes"], "known": ["no", "yes"]}, [True, False], id="text"),
        pytest.param([["0.9"], ["0.1"]], {"values": ["yes"], "known": ["no", "yes"], "headers": ["yes"]}, [True, False], id="header"),
        pytest.param([["0.1", "0.9"], ["0.6", "0.4"]], {"values": ["b"], "known": ["a", "b"], "headers": ["a", "b"]}, [True, False], id="largest"),
        pytest.param([["0.1", "0.9"], ["0.6", "0.4"]], {"values": [1], "known": ["0", "1"]}, [True, False], id="by number"),
        pytest.param([["x", "0.9"], ["y", "0.2"]], {"values": [1], "known": ["0", "1"], "probability": 1}, [True, False], id="place"),
        pytest.param([["55"], ["40"]], {"values": [50], "known": [], "above": 50.0}, [True, False], id="number"),
    ],
)  # fmt: skip
def test_answers_become_positive_or_not(given, options, expected):
    assert answers.positive(given, options.pop("values"), **options).tolist() == expected


def test_a_score_of_an_unnamed_label_asks_for_its_name():
    with pytest.raises(AnswerError, match="say which label the score is of with label_headers"):
        answers.positive([["0.5"], ["0.1"]], ["yes"], known=["no", "yes"])


BEFORE = {"a": 0.5, "b": 0.3, "c": 0.2}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"a": 9, "b": 5, "c": 1}, 1.0),
        # by hand: c first, then b, then a, worth what they were in the baseline
        ({"a": 1, "b": 5, "c": 9}, (0.2 + 0.3 / math.log2(3) + 0.5 / 2) / (0.5 + 0.3 / math.log2(3) + 0.2 / 2)),
        ({"a": -9, "b": 5, "c": 1}, 1.0),
        ({"b": 5, "c": 9, "d": 7}, (0.2 + 0.3 / math.log2(3)) / (0.3 + 0.2 / math.log2(3))),
    ],
    ids=["same order", "turned round", "by size", "features of both"],
)  # fmt: skip
def test_ndcg_is_what_paper_and_pencil_say(now, expected):
    assert violations.ndcg(now, BEFORE) == pytest.approx(expected)


def _explained(values):
    label = {"global_shap_values": values, "expected_value": 0.25}
    return {"version": "1.0", "explanations": {"kernel_shap": {"label0": label}}}


def test_attributions_that_changed_violate_in_clarifys_words():
    found, scores = violations.attributions(
        _explained({"a": 1, "b": 5, "c": 9}), _explained(BEFORE)
    )

    assert found == [{
        "label": "label0", "metric_name": "shap",
        "constraint_check_type": "feature_attribution_drift_check",
        "description": f"Feature attribution drift {scores['label0']} exceeds threshold 0.9",
    }]  # fmt: skip
    assert scores["label0"] < 0.9
    assert violations.attributions(_explained(BEFORE), _explained(BEFORE))[0] == []


@pytest.mark.parametrize(
    ("name", "now", "then", "violates"),
    [
        ("DPL", 0.2, 0.1, True), ("DPL", -0.2, 0.1, True), ("DPL", -0.05, 0.1, False), ("DPL", 0.1, 0.1, False),
        ("DI", 0.7, 0.8, True), ("DI", 1.25, 0.8, True), ("DI", 0.9, 0.8, False), ("DI", "Infinity", 2.0, True),
        ("DI", None, 0.8, False), ("DI", 0.1, None, False),
    ],
)  # fmt: skip
def test_a_metric_violates_farther_from_fair(name, now, then, violates):
    def told(value):
        group = {"value_or_threshold": "(0.5, 0.99]", "metrics": [{"name": name, "value": value}]}
        return {"pre_training_bias_metrics": {"label": "y", "facets": {"f": [group]}}}

    found = violations.bias(told(now), told(then))

    assert bool(found) is violates


def test_attributions_are_published_under_clarifys_names():
    lines = metrics.lines(_explained({"age": 0.3}), "ep", "hourly", "2026-01-05T10:00:00Z")

    told = [
        (one["MetricName"], one["Value"], {d["Name"]: d["Value"] for d in one["Dimensions"]})
        for one in lines
    ]
    where = {
        "Endpoint": "ep", "MonitoringSchedule": "hourly", "ExplainabilityMethod": "KernelShap", "Label": "label0",
    }  # fmt: skip
    assert told == [
        ("feature_age", 0.3, where | {"ValueType": "GlobalShapValues"}),
        ("ExpectedValue", 0.25, where | {"ValueType": "ExpectedValue"}),
    ]


@pytest.fixture
def server():
    """A server that keeps what it was asked and answers what it is told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            held.asked.append((self.command, self.path, dict(self.headers), body))
            status, content = held.answers.pop(0)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    held = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.asked, held.answers = [], []
    thread = threading.Thread(target=held.serve_forever, args=(0.01,))
    thread.start()
    yield held
    held.shutdown()
    held.server_close()
    thread.join()


def _client(server):
    url = f"http://127.0.0.1:{server.server_port}"
    return Aws("eu-west-1", "AKIDEXAMPLE", "secret/key", "a-token", url)


def test_a_request_is_signed_as_botocore_signs_it(server):
    server.answers = [(200, b"{}"), (200, b"x"), (200, b"<r/>")]
    client = _client(server)
    client.sagemaker("DescribeModel", ModelName="m")
    client.read("s3://bucket/a folder/ünï+1.csv")
    client.find("s3://bucket/pre fix/")
    client.close()

    for (method, path, headers, body), service in zip(
        server.asked, ("sagemaker", "s3", "s3"), strict=True
    ):
        lower = {name.lower(): value for name, value in headers.items()}
        own = lower.pop("authorization")
        signed = own.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        request = AWSRequest(method, f"http://{lower['host']}{path}", data=body)
        for name in signed:
            request.headers[name] = lower[name]
        request.context["timestamp"] = lower["x-amz-date"]
        # for S3 a path is signed as it is, for the others it is quoted once more
        judge = SigV4Auth(Credentials("AKIDEXAMPLE", "secret/key", "a-token"), service, "eu-west-1")
        if service == "s3":
            judge._normalize_url_path = lambda path: path
        canonical = judge.canonical_request(request)
        expected = judge.signature(judge.string_to_sign(request, canonical), request)
        assert own.endswith(f"Signature={expected}")


def test_a_models_failure_is_told_in_its_own_words(server):
    told = {
        "Message": "Received server error (500) from primary",
        "OriginalMessage": "ValueError: no column 7",
    }
    server.answers = [(424, json.dumps({"__type": "ModelError", **told}).encode())]
    client = _client(server)

    with pytest.raises(AwsError, match="ModelError: ValueError: no column 7"):
        client.invoke("ep", b"1", {})
    client.close()


def test_not_now_is_asked_again(server):
    server.answers = [(503, b"slow down"), (200, b"0.5")]
    client = _client(server)

    assert client.invoke("ep", b"1", {"content-type": "text/csv"}) == b"0.5"
    assert len(server.asked) == 2
    client.close()


def test_the_words_of_s3_are_kept(server):
    server.answers = [
        (404, b"<Error><Code>NoSuchKey</Code><Message>The key is not here.</Message></Error>")
    ]
    client = _client(server)

    with pytest.raises(AwsError, match=r"NoSuchKey: The key is not here\."):
        client.read("s3://bucket/key")
    client.close()


def test_rows_come_in_order_however_many_they_are():
    count = payload.AT_ONCE + 30_000
    rows = Rows.of({"n": [str(n) for n in range(count)], "t": [None, "x"] * (count // 2)})

    bodies = b"".join(body for _, body in payload.requests(rows, Predictor(), "text/csv"))

    assert bodies.decode().splitlines() == [f"{n},{'x' if n % 2 else ''}" for n in range(count)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [("0.5\n1e-3\n", [[0.5], [0.001]]), ("0.5\n 7 ", [[0.5], [7.0]]), ("0.5\nyes", None), ("1,2\n3,4", None), ("0.5", None)],
)  # fmt: skip
def test_plain_scores_are_read_at_once_and_others_left(body, expected):
    found = answers.plain_scores(body, "text/csv", 2)

    assert (None if found is None else found.tolist()) == expected

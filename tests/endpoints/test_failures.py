"""What went wrong with a container → one coded cause in the user's words."""

import pytest

from farero.endpoints import failures
from farero.endpoints.failures import ADVICE, LIMIT, Failure, failure_reason, from_exit, from_log
from farero.records.compute import ProcessStatus

PREFIX = (
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint. "
)


def exited(code, *, out_of_memory=False):
    return ProcessStatus(name="p", state="exited", exit_code=code, out_of_memory=out_of_memory)


def test_reason_has_aws_sentence_cause_place_advice_and_log():
    failure = Failure(
        cause="E-IMPORT",
        message="No module named 'lightgbm'",
        file="code/inference.py",
        line=3,
        fix="Add it to code/requirements.txt.",
    )

    reason = failure_reason(failure, "AllTraffic", ["loading", "Traceback", ""])

    assert reason == (
        PREFIX + "Cause E-IMPORT: code/inference.py line 3: No module named 'lightgbm'. "
        "Add it to code/requirements.txt. Last log lines: loading | Traceback"
    )


def test_reason_never_passes_the_limit_and_keeps_the_last_lines():
    lines = [f"line {number} " + "x" * 60 for number in range(40)]

    reason = failure_reason(Failure(cause="E-EXIT", message="m"), "AllTraffic", lines)

    assert len(reason) <= LIMIT
    assert reason.endswith(lines[-1])
    assert lines[0] not in reason


@pytest.mark.parametrize("cause", sorted(ADVICE))
def test_every_cause_says_what_to_do(cause):
    text = failure_reason(Failure(cause=cause, message="something happened"), "AllTraffic")

    assert text == f"{PREFIX}Cause {cause}: something happened. {ADVICE[cause]}"


def test_there_are_at_least_twenty_causes():
    assert len(ADVICE) >= 20


def test_a_report_of_the_container_wins_over_its_exit_code():
    report = {"cause": "E-MODEL-FN", "message": "boom", "file": "code/inference.py", "line": 7}

    failure = from_exit(exited(1), report, ["ModuleNotFoundError: No module named 'x'"])

    assert failure == Failure(cause="E-MODEL-FN", message="boom", file="code/inference.py", line=7)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (exited(-9, out_of_memory=True), "E-OOM"),
        (exited(-11), "E-SEGFAULT"),
        (exited(-6), "E-SEGFAULT"),
        (exited(-9), "E-SIGNAL"),
        (exited(3), "E-EXIT"),
    ],
    ids=["memory limit", "SIGSEGV", "SIGABRT", "SIGKILL", "exit code"],
)
def test_how_a_process_ended_gives_the_cause(status, cause):
    assert from_exit(status, None, []).cause == cause


@pytest.mark.parametrize(
    ("line", "cause", "message"),
    [
        (
            "ModuleNotFoundError: No module named 'lightgbm'",
            "E-IMPORT",
            "No module named 'lightgbm'",
        ),
        ("SyntaxError: invalid syntax", "E-SYNTAX", "SyntaxError: invalid syntax"),
        (
            "OSError: [Errno 28] No space left on device",
            "E-DISK",
            "OSError: [Errno 28] No space left on device",
        ),
        ("MemoryError", "E-OOM", "MemoryError"),
    ],
)
def test_the_log_of_a_silent_program_gives_the_cause(line, cause, message):
    failure = from_log(
        ["starting", 'File "/opt/ml/model/code/inference.py", line 12, in <module>', line]
    )

    assert failure == Failure(cause=cause, message=message, file="code/inference.py", line=12)


def test_a_log_without_a_sign_gives_nothing():
    assert from_log(["all is well", "bye"]) is None


@pytest.mark.parametrize("cause", ["E-IMPORT", "E-TAR-GZIP", "E-REQ-INSTALL", "E-PING-TIMEOUT"])
def test_what_would_fail_again_is_final(cause):
    assert Failure(cause=cause, message="m").is_final


@pytest.mark.parametrize("cause", ["E-EXIT", "E-SIGNAL", "E-SEGFAULT", "E-DISK"])
def test_what_may_pass_is_tried_again(cause):
    assert not Failure(cause=cause, message="m").is_final


def test_causes_of_our_own_say_the_facts():
    assert str(failures.ping_timed_out(240)) == (
        f"Cause E-PING-TIMEOUT: /ping gave no answer within 240 s. {ADVICE['E-PING-TIMEOUT']}"
    )
    assert "answered 503 instead of 200" in str(failures.ping_refused(503, 60))
    assert "Could not find model data at s3://b/k" in str(failures.no_model_data("s3://b/k"))
    assert "(ETag a, now b)" in str(failures.changed_model_data("s3://b/k", "a", "b"))
    last = Failure(cause="E-EXIT", message="code 3")
    assert str(failures.crash_loop(5, 12.2, last)).startswith(
        "Cause E-CRASH-LOOP: it died 5 times within 12 s, last of E-EXIT (code 3)"
    )
    assert failures.repeated(last, 5, 12.2).message == "code 3 (5 times within 12 s)"

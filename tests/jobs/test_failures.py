import pytest

from farero.jobs.failures import LIMIT, download_failed, exit_reason

KILLED = (
    "AlgorithmError: the training process was killed (SIGKILL); most often the machine ran out of memory, "
    "exit code: 137"
)


@pytest.mark.parametrize(
    ("code", "failure", "text", "lines", "expected"),
    [
        (1, None, "ClientError: bad data", [], "ClientError: bad data"),
        (1, None, "AlgorithmError: bad", [], "AlgorithmError: bad, exit code: 1"),
        (
            1,
            {"cause": "E-SCRIPT", "message": "KeyError: 'x'", "file": "train.py", "line": 7},
            "framework error: KeyError",
            [],
            "AlgorithmError: KeyError: 'x' (train.py:7), exit code: 1",
        ),
        (
            1,
            {"cause": "E-DATA", "message": "no label column", "fix": "Add one."},
            "",
            [],
            "ClientError: no label column Add one.",
        ),
        (
            1,
            {"cause": "E-X", "message": "m", "file": "train.py", "line": 3},
            "AlgorithmError: NameError: x\nTraceback",
            [],
            "AlgorithmError: NameError: x (train.py:3)\nTraceback, exit code: 1",
        ),
        (1, {"message": "ClientError: x"}, "", [], "ClientError: x"),
        (
            2,
            {"cause": "E-X", "message": ""},
            "",
            ["a", "last", " "],
            "AlgorithmError: last, exit code: 2",
        ),
        (3, None, "", [], "AlgorithmError: the process said nothing, exit code: 3"),
        (1, None, "said\nmore", [], "AlgorithmError: said\nmore, exit code: 1"),
        (
            -9,
            None,
            "",
            ["x"],
            KILLED,
        ),
        (
            -11,
            None,
            "",
            [],
            "AlgorithmError: the training process was ended by SIGSEGV, exit code: 139",
        ),
        (1, None, "AlgorithmError: x, exit code: 5", [], "AlgorithmError: x, exit code: 5"),
    ],
)
def test_reason_has_the_form_of_aws(code, failure, text, lines, expected):
    assert exit_reason(code, failure, text, lines) == expected


def test_reason_is_cut_but_keeps_the_exit_code():
    reason = exit_reason(1, None, "x" * 5000, [])

    assert len(reason) == LIMIT
    assert reason.endswith(", exit code: 1")
    assert len(download_failed("x" * 5000)) == LIMIT

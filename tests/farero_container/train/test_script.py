"""Script mode: what a script is given, what comes back, and how its failure is told."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import signal
import tarfile
import zipfile
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from farero_container.train.environment import user_arguments
from farero_container.train.requirements import missing
from farero_container.train.script import find_reason

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Box


def _source(path: Path, **files: str) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return str(path)


def _hyperparameters(program: str, **own: object) -> dict[str, str]:
    platform = {
        "sagemaker_program": program,
        "sagemaker_submit_directory": "s3://b/sourcedir.tar.gz",
    }
    return {name: json.dumps(value) for name, value in {**platform, **own}.items()}


def test_a_script_gets_arguments_and_variables(box: Box, tmp_path: Path) -> None:
    script = (
        "import json, os, sys, helper\n"
        "assert open('data.txt').read() == 'here'\n"
        "told = {k: v for k, v in os.environ.items() if k.startswith('SM_')}\n"
        "json.dump([sys.argv[1:], told], open(os.environ['SM_MODEL_DIR'] + '/told', 'w'))\n"
        "open(os.environ['SM_OUTPUT_DATA_DIR'] + '/x', 'w').close()\n"
    )
    source = _source(
        tmp_path / "s.tar.gz", train_dot_py=script, helper_dot_py="", data_dot_txt="here"
    )
    box.put("train", "a.csv", "1,2\n")
    values = _hyperparameters(
        "train.py", lr=0.1, epochs=5, n="a b", on=True, layers=[1, 2], m={"b": 1, "a": 2}
    )

    code, out, err = box.train(
        {**values, "raw": "not json"}, {"train": "text/csv"}, FARERO_SOURCE_ARCHIVE=source
    )

    assert (code, err) == (0, "")
    assert "train.py --epochs 5" in out
    arguments, told = json.loads((box.base / "model/told").read_text())
    assert arguments == ["--epochs", "5", "--layers", "[1, 2]", "--lr", "0.1", "-m", "a=2,b=1", "-n", "a b",
                         "--on", "True", "--raw", "not json"]  # fmt: skip
    assert told["SM_CHANNEL_TRAIN"] == str(box.base / "input/data/train")
    assert told["SM_CHANNELS"] == '["train"]'
    assert (told["SM_HP_EPOCHS"], told["SM_HP_N"], told["SM_HP_ON"]) == ("5", "a b", "true")
    assert json.loads(told["SM_HPS"])["layers"] == [1, 2]
    assert json.loads(told["SM_USER_ARGS"]) == arguments
    assert json.loads(told["SM_TRAINING_ENV"])["channel_input_dirs"] == {
        "train": told["SM_CHANNEL_TRAIN"]
    }
    assert told["SM_USER_ENTRY_POINT"] == "train.py"
    assert int(told["SM_NUM_CPUS"]) >= 1


SKLEARN_SCRIPT = """
import argparse, os
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-C", "--C", type=float, default=1.0)
    parser.add_argument("--max-iter", type=int)
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    args = parser.parse_args()
    rows = np.loadtxt(os.path.join(args.train, "train.csv"), delimiter=",")
    model = LogisticRegression(C=args.C, max_iter=args.max_iter).fit(rows[:, 1:], rows[:, 0])
    print(f"accuracy={model.score(rows[:, 1:], rows[:, 0]):.3f};")
    joblib.dump(model, os.path.join(args.model_dir, "model.joblib"))
"""


def test_a_scikit_learn_script_as_people_write_it(box: Box, tmp_path: Path) -> None:
    rows = np.random.default_rng(1).random((80, 3)).round(3)
    rows[:, 0] = rows[:, 1] > 0.5
    box.put("train", "train.csv", "".join(",".join(map(str, row)) + "\n" for row in rows))
    source = _source(tmp_path / "s.tar.gz", train_dot_py=SKLEARN_SCRIPT)
    values = _hyperparameters("train.py", **{"C": 0.5, "max-iter": 200})

    code, out, _ = box.train(
        values, {"train": "text/csv"}, FARERO_SOURCE_ARCHIVE=source, FARERO_FRAMEWORK="sklearn"
    )

    assert code == 0
    read = np.loadtxt(box.base / "input/data/train/train.csv", delimiter=",")
    expected = LogisticRegression(C=0.5, max_iter=200).fit(read[:, 1:], read[:, 0])
    model = joblib.load(box.base / "model/model.joblib")
    assert "accuracy=" in out
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_an_exception_is_told_with_its_place(box: Box, tmp_path: Path) -> None:
    script = "def f():\n    raise ValueError('boom')\nprint('before')\nf()\n"
    source = _source(tmp_path / "s.tar.gz", train_dot_py=script)

    code, out, err = box.train(
        _hyperparameters("train.py", epochs=5), {}, FARERO_SOURCE_ARCHIVE=source
    )

    head, command = box.failure.split("\nCommand ")
    assert code == 1
    assert out.endswith("before\n")
    assert "Traceback" in err
    assert (
        head
        == 'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ValueError: boom"'
    )
    assert command.endswith('train.py --epochs 5", exit code: 1')
    assert box.report == {
        "cause": "E-SCRIPT",
        "message": "ValueError: boom",
        "file": "train.py",
        "line": 2,
        "fix": "",
    }


@pytest.mark.parametrize(
    ("script", "exit_code", "message", "line"),
    [
        ("x = (\n", 1, "SyntaxError: '(' was never closed", 1),
        ("import sys\nsys.exit(7)\n", 7, "", None),
        ("import sys\nsys.exit('no data')\n", 1, "no data", None),
        ("import nothere\n", 1, "ModuleNotFoundError: No module named 'nothere'", 1),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", 137, "killed by SIGKILL", None),
        ("import json\n\njson.loads('x')\n", 1,
         "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", 3),
    ],
    ids=["syntax", "exit code", "exit message", "import", "killed", "in a library"],
)  # fmt: skip
def test_every_end_has_a_reason(
    box: Box, tmp_path: Path, script: str, exit_code: int, message: str, line: int
) -> None:
    source = _source(tmp_path / "s.tar.gz", train_dot_py=script)

    code, _, _ = box.train(_hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=source)

    assert code == exit_code
    assert f'ExitCode {exit_code}\nErrorMessage "{message}"' in box.failure
    assert box.report["line"] == line


def test_a_shell_script_runs(box: Box, tmp_path: Path) -> None:
    source = _source(tmp_path / "s.tar.gz", go_dot_sh='echo "$1=$2" > "$SM_MODEL_DIR/told"\n')

    code, _, _ = box.train(_hyperparameters("go.sh", epochs=5), {}, FARERO_SOURCE_ARCHIVE=source)

    assert (code, (box.base / "model/told").read_text()) == (0, "--epochs=5\n")


def test_a_missing_program_names_what_is_there(box: Box, tmp_path: Path) -> None:
    source = _source(tmp_path / "s.tar.gz", other_dot_py="")

    code, _, _ = box.train(_hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=source)

    assert code == 1
    assert box.failure.startswith(
        "ClientError: No such file: 'train.py' in sourcedir.tar.gz, which holds other.py"
    )


def test_a_broken_archive_is_the_callers(box: Box, tmp_path: Path) -> None:
    (tmp_path / "s.tar.gz").write_bytes(b"no archive")

    code, _, _ = box.train(
        _hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=str(tmp_path / "s.tar.gz")
    )

    assert code == 1
    assert box.failure.startswith("ClientError: sourcedir.tar.gz: E-TAR-GZIP")


def test_sigterm_reaches_the_script(box: Box, tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(0)))\n"
        "print('ready')\nwhile True: time.sleep(0.05)\n"  # a pause may begin just after the signal
    )
    source = _source(tmp_path / "s.tar.gz", train_dot_py=script)
    process = box.start(_hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=source)
    assert process.stdout is not None
    while process.stdout.readline() != "ready\n":
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, "saved\n")


def test_arguments_of_nothing_are_nothing() -> None:
    assert user_arguments({}) == []


def test_requirements_that_are_there_need_no_pip() -> None:
    version = importlib.metadata.version("numpy")
    there = f"# comment\n\nnumpy\nnumpy>=1; python_version > '3'\nnumpy=={version}\nnumpy=={version[0]}.*\n"
    absent = [f"numpy=={version[:-1]}", "numpy==0.*", "no-such-package", "-r other.txt"]

    assert missing(there + "\n".join(absent)) == absent


def _wheel(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr(f"{name}.py", text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return buffer.getvalue()


def test_requirements_are_installed_into_the_folder_of_the_platform(
    box: Box, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "faretest-1.0-py3-none-any.whl").write_bytes(
        _wheel("faretest", "WORD = 'from the wheel'")
    )
    (source / "requirements.txt").write_text("./faretest-1.0-py3-none-any.whl\n")
    (source / "train.py").write_text("import faretest\nprint(faretest.WORD)\n")
    packages = tmp_path / "packages"

    code, out, _ = box.train(
        _hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=str(source), FARERO_REQUIREMENTS_DIR=str(packages)
    )  # fmt: skip

    assert code == 0
    assert out.endswith("from the wheel\n")
    assert (packages / "faretest.py").is_file()


def test_requirements_that_cannot_be_installed_are_the_reason(box: Box, tmp_path: Path) -> None:
    source = _source(
        tmp_path / "s.tar.gz",
        train_dot_py="",
        requirements_dot_txt="./no-such-1.0-py3-none-any.whl\n",
    )

    code, _, err = box.train(
        _hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=source, FARERO_REQUIREMENTS_DIR=str(tmp_path / "p")
    )  # fmt: skip

    assert code == 1
    assert box.failure.startswith("ClientError: requirements.txt could not be installed: ERROR: ")
    assert "no-such-1.0" in box.failure
    assert "no-such-1.0" in err
    assert (box.report["cause"], box.report["file"]) == ("E-REQ-INSTALL", "requirements.txt")


def test_a_folder_is_code_too_and_stays_as_it_was(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("open('left', 'w').close()\n")

    code, _, _ = box.train(_hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=str(source))

    assert code == 0
    assert (box.base / "code/left").exists()
    assert [path.name for path in source.iterdir()] == ["train.py"]


def test_what_a_script_leaves_running_does_not_hide_its_reason(box: Box, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "raise ValueError('boom')\n"
    )
    source = _source(tmp_path / "s.tar.gz", train_dot_py=script)
    process = box.start(_hyperparameters("train.py"), {}, FARERO_SOURCE_ARCHIVE=source)

    try:
        assert process.wait(timeout=60) == 1
    finally:
        os.kill(int((box.base / "code/pid").read_text()), signal.SIGKILL)
        process.communicate(timeout=60)

    assert 'ErrorMessage "ValueError: boom"' in box.failure


def test_the_metric_of_tuning_is_no_argument(box: Box, tmp_path: Path) -> None:
    script = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--epochs', type=int)\nprint(p.parse_args())\n"
    source = _source(tmp_path / "s.tar.gz", train_dot_py=script)
    values = {**_hyperparameters("train.py", epochs=3), "_tuning_objective_metric": "validation:f1"}

    code, out, _ = box.train(values, {}, FARERO_SOURCE_ARCHIVE=source)

    assert code == 0
    assert out.endswith("Namespace(epochs=3)\n")


def test_arguments_that_a_script_does_not_know_are_the_reason(box: Box, tmp_path: Path) -> None:
    script = "import argparse\nargparse.ArgumentParser().parse_args()\n"
    source = _source(tmp_path / "s.tar.gz", train_dot_py=script)

    code, _, _ = box.train(_hyperparameters("train.py", lr=1), {}, FARERO_SOURCE_ARCHIVE=source)

    assert code == 2
    assert 'ErrorMessage "train.py: error: unrecognized arguments: --lr 1"' in box.failure


def test_the_last_exception_of_a_chain_is_the_reason(tmp_path: Path) -> None:
    text = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    x\nKeyError: 1\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "b.py", line 9, in g\n    y\n'
        '  File "/usr/lib/python3/json.py", line 3, in h\n    z\nValueError: two\nlines\n'
    )

    assert find_reason(text, tmp_path) == ("ValueError: two", "b.py", 9)

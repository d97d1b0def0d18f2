"""The same commands aimed at AWS: a word, once, that Model Monitor is closed there to new accounts."""

import pytest

from farero.cli.monitor.toward_aws import is_amazon

WORD = "warning: AWS has closed Model Monitor to new accounts"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "price"], "this analysis runs here, on captures from AWS."),
        (["label", "price", "labels.csv"], "the labels are put where a schedule there reads them."),
    ],
    ids=["run", "label"],
)
def test_a_command_that_goes_to_aws_warns_once_on_stderr(
    shared_platform, tmp_path, arguments, hint
):
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\na,1\n")
    asked = [str(labels) if word == "labels.csv" else word for word in arguments]
    # nothing listens where the way to AWS would lead, so that no test ever gets there
    away = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
        "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "", "no_proxy": "",
    }  # fmt: skip
    done = shared_platform.farero(
        "--aws", "--region", "us-east-1", "monitor", *asked,
        check=False, env={**shared_platform.env, **away},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count(WORD) == 1
    assert hint in done.stderr
    assert "E-CLIENT" in done.stderr
    assert WORD not in done.stdout


def test_farero_behind_aws_endpoint_url_is_not_aws(shared_platform):
    env = {**shared_platform.env, **shared_platform.client_env}
    done = shared_platform.farero("--aws", "monitor", "run", "nobody", check=False, env=env)
    assert WORD not in done.stderr
    assert 'Could not find endpoint "' in done.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.sagemaker.us-east-1.amazonaws.com", True),
        ("https://api.sagemaker.cn-north-1.amazonaws.com.cn", True),
        ("http://127.0.0.1:4747", False),
        ("https://amazonaws.com.example.org", False),
    ],
)
def test_awss_own_hosts_are_told_from_others(url, expected):
    assert is_amazon(url) is expected

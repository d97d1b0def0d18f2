"""What an image URI stands for."""

import pytest

from farero.records.images import find_image, is_same_version


@pytest.mark.parametrize(
    ("uri", "framework", "version"),
    [
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", "xgboost", "1.7"),
        (
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3",
            "xgboost",
            "1.0",
        ),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", "xgboost", ""),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "xgboost", "0.72"),
        (
            "683313688378.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "sklearn",
            "1.2",
        ),
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.0.0-cpu-py310",
            "pytorch",
            "2.0.0",
        ),
        (
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6-gpu-py312",
            "pytorch",
            "2.6",
        ),
        (
            "156813124566.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer",
            "model-monitor",
            "",
        ),
        ("xgboost:latest", "xgboost", ""),
        ("localhost:5000/team/xgboost:3.0@sha256:0123", "xgboost", "3.0"),
    ],
)
def test_repository_and_tag_tell_framework_and_version(uri, framework, version):
    image = find_image(uri)

    assert (image.framework, image.version) == (framework, version)


@pytest.mark.parametrize(
    "uri", ["", "mine:latest", "localhost:5000/xgboostish:1", "xgboost/other:1"]
)
def test_other_repositories_stand_for_nothing(uri):
    assert find_image(uri) is None


@pytest.mark.parametrize(
    ("asked", "runs", "same"),
    [
        ("1.7", "1.7.6", True),
        ("1.7", "1.70.0", False),
        ("", "3.2.0", True),
        ("2.0.0", "2.0.0", True),
        ("3.0", "3.2.0", False),
    ],
)
def test_versions_agree_as_far_as_the_tag_goes(asked, runs, same):
    assert is_same_version(asked, runs) is same

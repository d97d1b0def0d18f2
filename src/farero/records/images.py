"""Image URIs: which framework and version a container image stands for, whatever the account and region.

Only the repository's last name and the tag matter: `…dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1` is
XGBoost 1.7. No image is ever pulled; its framework runs in an environment of this machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Repository name → framework. Names as the SageMaker SDK's image_uris publishes them.
FRAMEWORKS = {
    "sagemaker-xgboost": "xgboost",
    "xgboost": "xgboost",
    "sagemaker-scikit-learn": "sklearn",
    "scikit-learn": "sklearn",
    "sklearn": "sklearn",
    "pytorch-inference": "pytorch",
    "pytorch-training": "pytorch",
    "pytorch": "pytorch",
    "sagemaker-pytorch": "pytorch",
    "sagemaker-model-monitor-analyzer": "model-monitor",
    "sagemaker-model-monitor-groundtruth-merger": "model-monitor-merger",
    "model-monitor": "model-monitor",
    "sagemaker-clarify-processing": "clarify",
}
#: Frameworks that answer requests.
SERVING = ("xgboost", "sklearn", "pytorch")

_VERSION = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an image URI asks for."""

    uri: str
    #: `xgboost`, `sklearn`, `pytorch`, `model-monitor`, …
    framework: str
    #: The framework's version as far as the tag tells it, e.g. `1.7` of `1.7-1`; "" for `latest`.
    version: str
    repository: str
    tag: str


def find_image(uri: str) -> Image | None:
    """Return what `uri` stands for, or None if its repository is not known."""
    path, _, _digest = uri.partition("@")
    repository = path.rpartition("/")[2]
    name, _, tag = repository.partition(":")
    framework = FRAMEWORKS.get(name.lower())
    if framework is None:
        return None
    # XGBoost's first image, `xgboost:1`, holds 0.72 (image_uris of the SageMaker SDK: xgboost.json).
    version = "0.72" if (name, tag) == ("xgboost", "1") else _version(tag)
    return Image(uri=uri, framework=framework, version=version, repository=name, tag=tag)


def is_same_version(asked: str, runs: str) -> bool:
    """Say whether version `runs` is what `asked` means: equal as far as `asked` goes."""
    wanted = asked.split(".") if asked else []
    return runs.split(".")[: len(wanted)] == wanted


def _version(tag: str) -> str:
    # `1.7-1` and `2.0.0-cpu-py310` carry the version first; the `-1` of the first counts image releases.
    found = _VERSION.match(tag)
    return found.group() if found else ""

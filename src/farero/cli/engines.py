"""What predicts behind an endpoint that was deployed with `--accelerate`: its tags, in words."""

from __future__ import annotations

from typing import Any

from farero.cli.session import guarded, is_aws

_TAG = "farero:engine:"


def engines_of(sagemaker: Any, endpoint_arn: str) -> dict[str, str]:
    """Return variant → what its replicas say of their engine; empty where nobody asked for another one."""
    if is_aws():
        return {}
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=endpoint_arn)
    tags = guarded(lambda: [tag for page in pages for tag in page["Tags"]])
    return {
        tag["Key"].removeprefix(_TAG): tag["Value"] for tag in tags if tag["Key"].startswith(_TAG)
    }

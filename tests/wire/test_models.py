"""botocore's models as they are kept: nothing is lost but the texts for people."""

from __future__ import annotations

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from farero.aws.wire import models


def plain(value):
    """Leave out every text for people."""
    if isinstance(value, dict):
        kept = {n: v for n, v in value.items() if n != "documentation" or isinstance(v, dict)}
        return {name: plain(one) for name, one in kept.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("service", ["s3", "sagemaker", "sagemaker-runtime"])  # s3 has extras
def test_a_model_says_what_botocores_own_says_but_for_the_texts(service):
    own = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    kept = models.service_model(service)

    assert kept.shape_names == own.shape_names
    assert kept.operation_names == own.operation_names
    assert kept.metadata == own.metadata
    for name in own.operation_names:
        ours, theirs = kept.operation_model(name), own.operation_model(name)
        assert ours._operation_model == plain(theirs._operation_model)
    for name in own.shape_names:
        assert kept.shape_for(name)._shape_model == plain(own.shape_for(name)._shape_model)

"""The model of an analysis: an endpoint that is there, or one that is made for the job and removed with it.

An endpoint that captures is not asked itself: the thousands of made-up rows of an explanation would stand among its
captures as if somebody had sent them. Its model is asked behind an endpoint of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.clarify import answers, payload
from farero_monitor.clarify.aws import Aws, AwsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from farero_monitor.clarify.config import Column, Predictor
    from farero_monitor.clarify.infinite import Array
    from farero_monitor.clarify.rows import Rows

log = logging.getLogger(__name__)

#: How long an endpoint may take to come into service, and how often one looks.
START_LIMIT_S, LOOK_S = 1200.0, 0.5


class ModelError(Exception):
    """The model cannot be asked, or fails; the text is its own."""


@dataclass(frozen=True, slots=True)
class Model:
    """An endpoint that can be asked."""

    aws: Aws
    endpoint: str
    predictor: Predictor
    content_type: str

    def ask(self, rows: Rows) -> list[Any]:
        """Return the model's answer to each row. Raises ModelError with the model's words, AnswerError."""
        which = self._which
        found: list[Any] = []
        for count, body in self._bodies(rows):
            found += answers.split(body, self._accept, count, which)
        return found

    def scores(self, rows: Rows) -> Array:
        """Return the model's scores of each row, Float64[rows, outputs]. Raises ModelError, AnswerError."""
        which = self._which
        found: list[Array] = []
        for count, body in self._bodies(rows):
            made = (
                answers.plain_scores(body, self._accept, count) if which in {None, 0, "0"} else None
            )
            if made is None:
                made = answers.scores(answers.split(body, self._accept, count, which), which)
            if not np.isfinite(made).all():
                raise answers.AnswerError(
                    "The model answers NaN or infinity, which cannot be explained."
                )
            found.append(made)
        if len({part.shape[1] for part in found}) > 1:
            raise answers.AnswerError("The model answers some rows with more numbers than others.")
        return np.concatenate(found)

    @property
    def _accept(self) -> str:
        return self.predictor.accept_type or self.content_type

    @property
    def _which(self) -> Column | None:
        own = self.predictor
        return own.probability if own.probability is not None else own.label

    def _bodies(self, rows: Rows) -> Iterator[tuple[int, str]]:
        """Yield how many rows were sent and what was answered, request by request."""
        predictor = self.predictor
        headers = {"content-type": self.content_type, "accept": self._accept}
        if predictor.custom_attributes:
            headers["x-amzn-sagemaker-custom-attributes"] = predictor.custom_attributes
        if predictor.target_model:
            headers["x-amzn-sagemaker-target-model"] = predictor.target_model
        for count, body in payload.requests(rows, predictor, self.content_type):
            try:
                content = self.aws.invoke(self.endpoint, body, headers)
            except AwsError as error:
                raise ModelError(
                    f"The model behind endpoint {self.endpoint} failed: {error.message}"
                ) from error
            yield count, content.decode("utf-8", "replace")


@contextlib.contextmanager
def serving(
    aws: Aws, predictor: Predictor, content_type: str, *, endpoint: str = ""
) -> Generator[Model]:
    """Give the model for as long as it is needed. Raises ModelError.

    endpoint: the one that is monitored; its model is asked where the predictor names none.
    """
    name = predictor.endpoint_name or (endpoint if not predictor.model_name else "")
    model = predictor.model_name
    try:
        if name:
            model = _model_if_captured(aws, name)
        if not model:
            yield Model(aws, name, predictor, content_type)
            return
        with contextlib.ExitStack() as made:
            started = _start(aws, model, predictor, made)
            yield Model(aws, started, predictor, content_type)
    except AwsError as error:
        raise ModelError(str(error)) from error


def model_of(aws: Aws, predictor: Predictor, endpoint: str = "") -> str:
    """Return the name of the model that will be asked; empty if that cannot be told."""
    if predictor.model_name:
        return predictor.model_name
    try:
        return _behind(aws, predictor.endpoint_name or endpoint)
    except (AwsError, KeyError, IndexError):
        return ""


def _behind(aws: Aws, endpoint: str) -> str:
    config = aws.sagemaker("DescribeEndpoint", EndpointName=endpoint)["EndpointConfigName"]
    told = aws.sagemaker("DescribeEndpointConfig", EndpointConfigName=config)
    return str(told["ProductionVariants"][0]["ModelName"])


def _model_if_captured(aws: Aws, endpoint: str) -> str:
    """Return the model of an endpoint that captures; empty for one that does not. Raises AwsError."""
    told = aws.sagemaker("DescribeEndpoint", EndpointName=endpoint)
    if not told.get("DataCaptureConfig", {}).get("EnableCapture"):
        return ""
    return _behind(aws, endpoint)


def _start(aws: Aws, model: str, predictor: Predictor, made: contextlib.ExitStack) -> str:
    """Start an endpoint for a model and return its name; `made` removes what there is of it by then."""
    name = f"{predictor.endpoint_name_prefix or 'sm-clarify'}-{time.time_ns() // 1_000_000}-{os.getpid()}"
    log.info("Starting endpoint %s for model %s.", name, model)
    variant = {
        "VariantName": "AllTraffic", "ModelName": model, "InstanceType": predictor.instance_type,
        "InitialInstanceCount": predictor.initial_instance_count, "InitialVariantWeight": 1.0,
    }  # fmt: skip
    aws.sagemaker("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])
    made.callback(_remove, aws, "DeleteEndpointConfig", EndpointConfigName=name)
    aws.sagemaker("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
    made.callback(_remove, aws, "DeleteEndpoint", EndpointName=name)
    limit = time.monotonic() + START_LIMIT_S
    while True:
        told = aws.sagemaker("DescribeEndpoint", EndpointName=name)
        if told["EndpointStatus"] == "InService":
            return name
        if told["EndpointStatus"] == "Failed":
            reason = told.get("FailureReason", "no reason given")
            raise ModelError(f"The endpoint for model {model} failed: {reason}")
        if time.monotonic() > limit:
            raise ModelError(
                f"The endpoint for model {model} is not in service after {START_LIMIT_S:.0f} s."
            )
        time.sleep(LOOK_S)


def _remove(aws: Aws, operation: str, **named: str) -> None:
    try:
        aws.sagemaker(operation, **named)
    except AwsError as error:
        log.warning("%s of %s: %s", operation, *named.values(), error)

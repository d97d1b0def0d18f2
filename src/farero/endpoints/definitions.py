"""What a caller can ask of models and endpoint configs: create and delete. Both are immutable."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from farero.base.arns import parse_s3_uri, sagemaker_arn
from farero.base.errors import Conflict, Invalid, NotFound
from farero.endpoints import events
from farero.records.endpoint import EndpointConfig, Model, ModelData
from farero.records.images import FRAMEWORKS, find_image
from farero.store import endpoints as rows
from farero.store import tags as tag_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.base.context import Context
    from farero.objects.base import ObjectStore
    from farero.records.tag import Tag
    from farero.store.engine import Store

MOST_VARIANTS = 10


class Definitions:
    """Creates and deletes models and endpoint configs."""

    def __init__(self, store: Store, objects: ObjectStore) -> None:
        self._store = store
        self._objects = objects

    def create_model(
        self, ctx: Context, name: str, given: dict[str, Any], tags: Sequence[Tag] = ()
    ) -> Model:
        """Keep a model and pin the data it names.

        Raises Conflict if the name is taken, Invalid if the image is unknown or the data is not there.
        """
        arn = sagemaker_arn(ctx.region, ctx.account, "model", name)
        model = Model(name=name, arn=arn, created_at=ctx.now, given=given)
        containers = model.containers
        if not containers:
            raise Invalid("You must provide either PrimaryContainer or Containers.")
        if "PrimaryContainer" in given and "Containers" in given:
            raise Invalid("PrimaryContainer and Containers cannot be given together.")
        for container in containers:
            check_image(container)
        data = pin_data(self._objects, containers[0])
        for container in containers[1:]:
            pin_data(self._objects, container)
        model = Model(name=name, arn=arn, created_at=ctx.now, given=given, data=data)
        with self._store.begin() as db:
            if rows.find_model(db, name) is not None:
                raise Conflict("model", name, f'Cannot create already existing model "{arn}".')
            rows.insert_model(db, model)
            tag_rows.put(db, arn, tags)
            events.tell_model(db, model, ctx.now)
        return model

    def delete_model(self, ctx: Context, name: str) -> None:
        """Forget a model; endpoints that run with it go on. Raises NotFound."""
        arn = sagemaker_arn(ctx.region, ctx.account, "model", name)
        with self._store.begin() as db:
            model = rows.get_model(db, name, arn)
            rows.delete_model(db, name)
            tag_rows.remove_all(db, arn)
            events.tell_model(db, model, ctx.now)

    def create_config(
        self, ctx: Context, name: str, given: dict[str, Any], tags: Sequence[Tag] = ()
    ) -> EndpointConfig:
        """Keep an endpoint config.

        Raises Conflict if the name is taken, Invalid if a model is unknown or the variants make no sense.
        """
        arn = sagemaker_arn(ctx.region, ctx.account, "endpoint-config", name)
        given = with_defaults(given)
        check_variants(given)
        config = EndpointConfig(name=name, arn=arn, created_at=ctx.now, given=given)
        with self._store.begin() as db:
            if rows.find_config(db, name) is not None:
                raise Conflict(
                    "endpoint configuration",
                    name,
                    f'Cannot create already existing endpoint configuration "{arn}".',
                )
            for variant in given["ProductionVariants"]:
                wanted = variant["ModelName"]
                model_arn = sagemaker_arn(ctx.region, ctx.account, "model", wanted)
                rows.get_model(db, wanted, model_arn)
            rows.insert_config(db, config)
            tag_rows.put(db, arn, tags)
            events.tell_config(db, config, ctx.now)
        return config

    def delete_config(self, ctx: Context, name: str) -> None:
        """Forget an endpoint config; endpoints that run with it go on. Raises NotFound."""
        arn = sagemaker_arn(ctx.region, ctx.account, "endpoint-config", name)
        with self._store.begin() as db:
            config = rows.get_config(db, name, arn)
            rows.delete_config(db, name)
            tag_rows.remove_all(db, arn)
            events.tell_config(db, config, ctx.now)


def check_image(container: dict[str, Any]) -> None:
    """Raise Invalid if the container's image stands for nothing that can run here."""
    uri = container.get("Image")
    if not uri:
        raise Invalid(
            "The container names no Image. Models from model packages (ModelPackageName) are not there yet."
        )
    if find_image(uri) is None:
        known = ", ".join(sorted(FRAMEWORKS))
        raise Invalid(
            f"E-IMAGE: The image '{uri}' is not one that can run here. Images are recognised by the name of their "
            f"repository, whatever the account: {known}."
        )


def data_source(container: dict[str, Any]) -> tuple[str, bool] | None:
    """Return the S3 URI of a container's model data and whether it is a folder; None if it has none."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is not None:
        return source["S3Uri"], source["S3DataType"] == "S3Prefix"
    uri = container.get("ModelDataUrl")
    if not uri:
        return None
    return uri, container.get("Mode") == "MultiModel"


def pin_data(objects: ObjectStore, container: dict[str, Any]) -> ModelData | None:
    """Look at a container's model data and note what lies there. Raises Invalid if nothing does."""
    source = data_source(container)
    if source is None:
        return None
    uri, is_folder = source
    bucket, key = parse_s3_uri(uri)
    try:
        if is_folder:
            return pin_folder(objects, uri)
        info = objects.head(bucket, key)
    except NotFound as error:
        raise Invalid(f"Could not find model data at {uri}.") from error
    return ModelData(uri=uri, etag=info.etag, size_bytes=info.size_bytes)


def pin_folder(objects: ObjectStore, uri: str) -> ModelData:
    """Note every object below a prefix. Raises NotFound if there is none."""
    bucket, prefix = parse_s3_uri(uri)
    digest, size = hashlib.sha256(), 0
    count = 0
    for info in objects.list(bucket, prefix):
        digest.update(f"{info.key}\0{info.etag}\n".encode())
        size += info.size_bytes
        count += 1
    if not count:
        raise NotFound("object", uri)
    return ModelData(uri=uri, etag=digest.hexdigest()[:32], size_bytes=size, is_folder=True)


def with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Fill in what SageMaker fills in and DescribeEndpointConfig shows."""
    filled = dict(given)
    filled["ProductionVariants"] = [
        {"InitialVariantWeight": 1.0, **variant} for variant in given["ProductionVariants"]
    ]
    if "DataCaptureConfig" in given:
        filled["DataCaptureConfig"] = {"EnableCapture": True, **given["DataCaptureConfig"]}
    return filled


def check_variants(given: dict[str, Any]) -> None:
    """Raise Invalid for production variants that could not run, in AWS's words where they are known."""
    variants = given["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(
            f"Duplicate production variant name: {twice[0]}. Variant names must be unique."
        )
    if len(variants) > MOST_VARIANTS:
        raise Invalid(f"An endpoint config has at most {MOST_VARIANTS} production variants.")
    for variant in variants:
        _check_variant(variant, is_only_one=len(variants) == 1)
    # AWS captures no data of serverless endpoints; here they are like any other.
    capture = given.get("DataCaptureConfig")
    if capture is not None:
        parse_s3_uri(capture["DestinationS3Uri"])


def _check_variant(variant: dict[str, Any], *, is_only_one: bool) -> None:
    name = variant["VariantName"]
    if "ModelName" not in variant:
        raise Invalid(
            f"Production variant {name} names no model. Inference components are not there yet."
        )
    serverless = variant.get("ServerlessConfig")
    if serverless is not None:
        _check_serverless(name, serverless, is_only_one=is_only_one)
        if "InstanceType" in variant or "InitialInstanceCount" in variant:
            raise Invalid(
                f"Production variant {name} has a ServerlessConfig; InstanceType and InitialInstanceCount "
                "cannot be given with it."
            )
    elif "InstanceType" not in variant or "InitialInstanceCount" not in variant:
        raise Invalid(
            f"Production variant {name} needs InstanceType and InitialInstanceCount, or a ServerlessConfig."
        )


def _check_serverless(name: str, serverless: dict[str, int], *, is_only_one: bool) -> None:
    memory = serverless["MemorySizeInMB"]
    if memory % 1024 or not 1024 <= memory <= 6144:
        raise Invalid(
            f"MemorySizeInMB of production variant {name} is {memory}; "
            "it must be one of 1024, 2048, 3072, 4096, 5120, 6144."
        )
    if serverless.get("ProvisionedConcurrency", 1) > serverless["MaxConcurrency"]:
        raise Invalid(
            f"ProvisionedConcurrency of production variant {name} must not be above its MaxConcurrency."
        )
    if not is_only_one:
        raise Invalid("A serverless endpoint has exactly one production variant.")

"""Data that the configuration names by an S3 URI: the data set itself, facets, predictions, a baseline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from farero_monitor.clarify.aws import AwsError
from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.data import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.clarify.aws import Aws
    from farero_monitor.clarify.config import Config
    from farero_monitor.clarify.rows import Rows


def fetch(aws: Aws, uri: str, config: Config, what: str) -> Rows:
    """Return the data set at a URI, of the type and headers of a configuration. Raises ConfigError."""
    if not uri.startswith("s3://"):
        return load(Path(uri.removeprefix("file://")), config)
    try:
        keys = aws.find(uri)
        if not keys:
            raise ConfigError(f"{what}: there is nothing at {uri}.")
        with tempfile.TemporaryDirectory() as folder:
            for number, key in enumerate(keys):
                name = f"{number:06d}-{key.rpartition('/')[2]}"
                Path(folder, name).write_bytes(aws.read(key))
            return load(Path(folder), config)
    except AwsError as error:
        raise ConfigError(f"{what}: {uri} cannot be read: {error}") from error


def with_others(rows: Rows, config: Config, aws: Aws) -> tuple[Rows, Config, tuple[str, ...]]:
    """Return the data with facets and predictions of other data sets beside it, and the names of those columns.

    The configuration that comes back names the predictions by their column.
    """
    added: list[str] = []
    if config.facet_dataset_uri:
        other = fetch(
            aws, config.facet_dataset_uri,
            msgspec.structs.replace(config, headers=config.facet_headers), "facet_dataset_uri",
        )  # fmt: skip
        for facet in config.facet:
            name = other.name(facet.name_or_index, "facet")
            rows = rows.with_column(
                name, _beside(rows, other, config, "facet_dataset_uri").texts(name)
            )
            added.append(name)
        names = [
            msgspec.structs.replace(facet, name_or_index=name)
            for facet, name in zip(config.facet, added, strict=True)
        ]
        config = msgspec.structs.replace(config, facet=names)
    if config.predicted_label_dataset_uri:
        other = fetch(
            aws, config.predicted_label_dataset_uri,
            msgspec.structs.replace(config, headers=config.predicted_label_headers),
            "predicted_label_dataset_uri",
        )  # fmt: skip
        name = _predicted(other, config)
        column = _beside(rows, other, config, "predicted_label_dataset_uri").texts(name)
        called = name if name not in rows.names else f"predicted_{name}"
        rows = rows.with_column(called, column)
        added.append(called)
        config = msgspec.structs.replace(config, predicted_label=called)
    return rows, config, tuple(added)


def _predicted(other: Rows, config: Config) -> str:
    if config.predicted_label is not None:
        return other.name(config.predicted_label, "predicted_label")
    key = str(config.joinsource_name_or_index)
    left = [name for name in other.names if name != key]
    if len(left) != 1:
        raise ConfigError(
            f"predicted_label is missing, and predicted_label_dataset_uri has {len(left)} columns: {', '.join(left)}."
        )
    return left[0]


def _beside(rows: Rows, other: Rows, config: Config, what: str) -> Rows:
    """Return the rows of another data set in the order of this one: by the join column, or as they stand."""
    key = config.joinsource_name_or_index
    if key is None:
        if len(rows) != len(other):
            raise ConfigError(
                f"{what} has {len(other)} rows, the data set {len(rows)}; joinsource_name_or_index would join them."
            )
        return other
    own = rows.texts(rows.name(key, "joinsource_name_or_index")).to_pylist()
    theirs = other.texts(other.name(key, f"joinsource_name_or_index of {what}")).to_pylist()
    places = {value: at for at, value in enumerate(theirs)}
    lacking = [value for value in own if value not in places]
    if lacking:
        raise ConfigError(
            f"{what} has no row for {len(lacking)} of {len(own)}, like '{lacking[0]}'."
        )
    return other.take(np.array([places[value] for value in own]))


def features(rows: Rows, config: Config, aside: Sequence[str] = ()) -> Rows:
    """Return the columns that a model is asked with: all but labels, excluded ones and the join column."""
    out = [*aside]
    for which, what in (
        (config.label, "label"), (config.predicted_label, "predicted_label"),
        (config.joinsource_name_or_index, "joinsource_name_or_index"),
    ):  # fmt: skip
        if which is not None:
            out.append(rows.name(which, what))
    out += [rows.name(which, "excluded_columns") for which in config.excluded_columns]
    return rows.without(out)

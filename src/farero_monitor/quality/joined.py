"""Predictions and labels in two tables, joined by an id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from farero_monitor.profile.dataset import Unread
from farero_monitor.quality.columns import texts
from farero_monitor.quality.gather import QualityError
from farero_monitor.quality.labels import Labels
from farero_monitor.quality.sources import Attributes, batches, chance_roles
from farero_monitor.untyped import pa, pq

if TYPE_CHECKING:
    from pathlib import Path

    from farero_monitor.quality.sources import Source

#: Columns of the joined table; the last three are named as the roles of `Attributes`.
ID, PREDICTION, PROBABILITY, LABEL = "id", "prediction", "probability", "label"


def join(
    predictions: Source, truth: Source, attributes: Attributes, id_column: str, target: Path
) -> tuple[Attributes, str]:
    """Write predictions that have a label, with it, as a Parquet file; return its columns, and the counts in words.

    id_column: in both tables. The last of several labels for one id wins. Raises QualityError if nothing is joined,
    AttributeMissingError, NoDataError.
    """
    rows = joined = 0
    unread = Unread()
    wanted = replace(attributes, truth=id_column)
    names = [ID, *(role for role in wanted.roles if role != LABEL), LABEL]
    schema = pa.schema([(name, pa.string()) for name in names])
    first = ""
    with Labels() as labels, pq.ParquetWriter(target, schema) as file:
        read_table(labels, truth, id_column, attributes.truth)
        for batch in batches(predictions, wanted, unread):
            ids = [str(one) for one in texts(batch.columns[LABEL]).to_pylist()]
            first = first or ids[0]
            rows += len(ids)
            found = labels.find(ids)
            kept = [index for index, one in enumerate(ids) if one in found]
            joined += len(kept)
            made = {ID: [ids[index] for index in kept]}
            for name in names[1:-1]:
                made[name] = texts(batch.columns[name]).take(pa.array(kept, pa.int64()))
            made[LABEL] = [found[ids[index]].data.decode() for index in kept]
            file.write_table(pa.table(made, schema=schema))
        count, known = labels.count, labels.first
    if not joined:
        raise QualityError(
            f"None of {rows:,} predictions has a label: {count:,} labels were read, all for other ids. The first "
            f"prediction is '{first}', the first label is for '{known}'; --id names the column of both."
        )
    chances, roles = attributes.chances, chance_roles(attributes.chances)
    held = ",".join(
        f"{name}={role}" if name else role for name, role in zip(chances, roles, strict=True)
    )
    told = f"{joined:,} of {rows:,} predictions have a label ({count:,} labels)."
    return replace(
        attributes,
        inference=attributes.inference and PREDICTION,
        probability=held or (attributes.probability and PROBABILITY),
        truth=LABEL,
    ), told


def read_table(labels: Labels, source: Source, id_column: str, label: str) -> None:
    """Read labels from a table; raises AttributeMissingError, NoDataError."""
    wanted = Attributes(problem="Regression", inference=id_column, truth=label)
    unread = Unread()
    for batch in batches(source, wanted, unread):
        ids, values = (texts(batch.columns[role]).to_pylist() for role in ("prediction", "label"))
        for one, value in zip(ids, values, strict=True):
            if one and value:
                labels.put(one, value.encode())

"""The data set of an analysis as rows: CSV, Parquet, JSON lines and JSON, with the names of the configuration."""

from __future__ import annotations

import csv
import logging
import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.rows import Rows, number
from farero_monitor.profile.dataset import Unread
from farero_monitor.readers import files, flat
from farero_monitor.readers.files import open_plain
from farero_monitor.readers.table import MISSING, unique
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farero_monitor.clarify.config import Config

log = logging.getLogger(__name__)

#: Share of lines that may be unreadable before an analysis counts as failed.
UNREAD_LIMIT = 0.1
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\[\*\]")


def load(path: Path, config: Config) -> Rows:
    """Return the data set of a job. Raises ConfigError, NoDataError."""
    kind = config.dataset_type.lower()
    if kind == "text/csv":
        return read_csv(path, config.headers)
    if kind == "application/x-parquet":
        return read_parquet(path, config.headers)
    if kind in {"application/jsonlines", "application/json"}:
        return read_json(path, config)
    raise ConfigError(
        f"dataset_type '{config.dataset_type}' is not known. There are text/csv, application/jsonlines, "
        "application/json and application/x-parquet."
    )


def read_csv(path: Path, headers: Sequence[str] | None) -> Rows:
    """Return the rows of a CSV file, or of all files of a folder.

    headers: the names. A first line that repeats them is one of names. Without them, a first line without any number is
    one of names, as long as its texts differ; otherwise columns are called `column_0`, `column_1`, …
    """
    unread = Unread()
    tables: list[Any] = []
    for file in files.find(path):
        with open_plain(file) as opened:
            line = opened.readline().decode("utf-8-sig", "replace").rstrip("\r\n")
        first = next(csv.reader([line]), list[str]())
        if not first:
            continue
        names, skip = _names(first, headers, file.name)
        tables += flat.csv_tables(file, 0, None, names, MISSING, unread, skip)
    return _joined(tables, unread, path)


def _names(first: list[str], headers: Sequence[str] | None, file: str) -> tuple[list[str], int]:
    told = unique(first)
    if headers is not None:
        if len(headers) != len(first):
            raise ConfigError(
                f"`headers` names {len(headers)} columns, the first line of {file} has {len(first)} values."
            )
        return list(headers), int(told == list(headers))
    texts = [text.strip() for text in first]
    if all(text and number(text) is None for text in texts) and len(set(texts)) == len(texts):
        return told, 1
    return [f"column_{at}" for at in range(len(first))], 0


def read_parquet(path: Path, headers: Sequence[str] | None) -> Rows:
    """Return the rows of Parquet files. Their columns have names; headers must be those."""
    tables: list[Any] = []
    for file in files.find(path):
        for batch in flat.parquet_tables(file):
            columns = [pc.cast(column, pa.string()) for column in batch.columns]
            tables.append(pa.table(columns, names=batch.schema.names))
    found = _joined(tables, Unread(), path)
    if headers is not None and sorted(headers) != sorted(found.names):
        raise ConfigError(
            f"`headers` differ from the columns of the file: {', '.join(found.names)}."
        )
    return found


def read_json(path: Path, config: Config) -> Rows:
    """Return the rows of JSON lines, or of JSON files that hold a list of records.

    `features` says where a record's features are, `label` and `predicted_label` where these are; without `features` all
    of a record is taken, nested parts by names like `a.b`.
    """
    unread = Unread()
    rows: list[flat.Texts] = []
    for file in files.find(path):
        for place, record in _records(file, config, unread):
            try:
                rows.append(_row(record, config))
            except ConfigError as error:
                raise ConfigError(f"{file.name}, {place}: {error}") from error
    return _joined([flat.of_records(rows)] if rows else [], unread, path)


def _records(file: Path, config: Config, unread: Unread) -> list[tuple[str, Any]]:
    with open_plain(file) as opened:
        content = opened.read()
    found: list[tuple[str, Any]] = []
    if config.dataset_type.lower() == "application/json":
        try:
            whole = msgspec.json.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file.name} is not JSON: {error}") from error
        records: list[Any] = cast("list[Any]", whole) if isinstance(whole, list) else [whole]
        if isinstance(whole, dict):
            held = list(cast("dict[str, Any]", whole).values())
            lists = [cast("list[Any]", value) for value in held if isinstance(value, list)]
            records = lists[0] if len(lists) == 1 else records
        return [(f"record {at}", record) for at, record in enumerate(records, 1)]
    for at, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append((f"line {at}", msgspec.json.decode(line)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            unread.add(file.name, f"line {at}", f"not JSON: {error}")
    return found


def _row(record: Any, config: Config) -> flat.Texts:
    if config.features is None:
        return flat.flatten(record)
    held = at(record, config.features, "features")
    label = at(record, str(config.label), "label") if config.label is not None else None
    predicted = (
        at(record, str(config.predicted_label), "predicted_label")
        if config.predicted_label is not None
        else None
    )
    aside = {str(config.label), str(config.predicted_label)}
    names = [name for name in config.headers or () if name not in aside]
    values = (
        cast("list[Any]", held) if isinstance(held, list) else list(flat.flatten(held).values())
    )
    if config.headers is not None and len(names) < len(values) <= len(config.headers):
        # a label that is found by its path has a name of its own among the headers: the last one
        names = list(config.headers)[: len(values)]
    if config.headers is not None and len(names) != len(values):
        raise ConfigError(f"{len(values)} features, but `headers` has {len(config.headers)} names.")
    names = names or [f"column_{at}" for at in range(len(values))]
    row = {name: flat.text(value) for name, value in zip(names, values, strict=True)}
    if config.label is not None:
        row[str(config.label)] = flat.text(label)
    if config.predicted_label is not None:
        row[str(config.predicted_label)] = flat.text(predicted)
    return row


def at(held: Any, path: str, what: str) -> Any:
    """Return what a path like `a.b[0].c` or `$.a.b` finds in JSON. Raises ConfigError if there is nothing."""
    path = path.removeprefix("$").lstrip(".")
    steps = [match for match in _STEP.finditer(path) if match.group() != "[*]"]
    if not steps or "".join(m.group() for m in _STEP.finditer(path)) != path.replace(".", ""):
        raise ConfigError(f"{what} '{path}' is not understood; a path is like a.b[0].")
    for step in steps:
        text: str = step.group(1) or step.group(2)
        if isinstance(held, dict) and text in held:
            held = cast("dict[str, Any]", held)[text]
            continue
        many = cast("list[Any]", held) if isinstance(held, list) else []
        if not text.isdigit() or int(text) >= len(many):
            raise ConfigError(f"there is no {what} '{path}'.")
        held = many[int(text)]
    return held


def _joined(tables: list[Any], unread: Unread, path: Path) -> Rows:
    kept = [
        table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
        for table in tables
        if table.num_columns
    ]
    rows = sum(table.num_rows for table in kept)
    if unread.count:
        (file, place, reason), *_ = unread.places
        told = f"{unread.count} of {rows + unread.count} lines cannot be read; the first: {file}, {place}: {reason}"
        if unread.count > UNREAD_LIMIT * (rows + unread.count):
            raise ConfigError(told)
        log.warning(told)
    if not rows:
        raise files.NoDataError(f"There are no rows in {path}.")
    return Rows(pa.concat_tables(kept, promote_options="default").combine_chunks())

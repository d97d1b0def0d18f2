"""Rows as a model wants them: CSV, JSON lines or JSON, the latter two by the templates of the configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.rows import Rows, number
from farero_monitor.untyped import pa, pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from farero_monitor.clarify.config import Predictor
    from farero_monitor.clarify.infinite import Array

#: A request holds at most so many rows and bytes; SageMaker takes 6 MB.
MOST_ROWS = 20_000
MOST_BYTES = 4_000_000
#: Rows that are written at a time.
AT_ONCE = 200_000
_NAMED = re.compile(r'"\$\{([^}]+)\}"')


def kind(predictor: Predictor, dataset_type: str) -> str:
    """Return the content type of requests: the one asked for, or that of the data set."""
    asked = (predictor.content_type or dataset_type).lower()
    if asked in {"application/x-parquet", "application/sagemakercapturejson"}:
        return "text/csv"
    if asked not in {"text/csv", "application/jsonlines", "application/json"}:
        raise ConfigError(
            f"predictor.content_type '{asked}' is not known. There are text/csv, application/jsonlines and "
            "application/json."
        )
    return asked


def requests(rows: Rows, predictor: Predictor, content_type: str) -> Iterator[tuple[int, bytes]]:
    """Yield how many rows a request holds and its body, in order. Raises ConfigError for a template."""
    if content_type == "text/csv":
        yield from _csv(rows)
    elif content_type == "application/jsonlines":
        lines = _jsonlines(rows, predictor)
        for start, end in _blocks(np.cumsum([len(line.encode()) + 1 for line in lines])):
            yield end - start, ("\n".join(lines[start:end]) + "\n").encode()
    else:
        yield from _json(rows, predictor)


def _blocks(ends: Array) -> Iterator[tuple[int, int]]:
    """Yield first and last + 1 of the rows of each request. ends: where each row's bytes end."""
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        end = int(np.searchsorted(ends, before + MOST_BYTES, side="right"))
        end = min(max(end, start + 1), start + MOST_ROWS, len(ends))
        yield start, end
        start = end


def _csv(rows: Rows) -> Iterator[tuple[int, bytes]]:
    for first in range(0, len(rows), AT_ONCE):
        part = Rows(rows.table.slice(first, AT_ONCE))
        columns = [pc.fill_null(_quoted(part.texts(name)), "") for name in part.names]
        joined = pc.binary_join_element_wise(*columns, ",")
        # an empty text joined on is how a line gets its end
        lines = pc.binary_join_element_wise(joined, "", "\n")
        offsets, content = _inside(lines)
        for start, end in _blocks(offsets[1:]):
            yield end - start, bytes(content[offsets[start] : offsets[end]])


def _inside(texts: Any) -> tuple[Array, memoryview]:
    """Return where each text of a pyarrow array ends, from 0, and all of them together."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    held = texts.buffers()[2]
    content = memoryview(held) if held is not None else memoryview(b"")
    return offsets - offsets[0], content[offsets[0] : offsets[-1]]


def _quoted(column: Any) -> Any:
    """Return texts as cells: between quotes where they hold a comma, a quote or a newline."""
    content = bytes(_inside(column)[1])
    if not any(sign in content for sign in (b",", b'"', b"\n", b"\r")):
        return column
    encoded = pc.dictionary_encode(column)
    cells = [
        '"' + text.replace('"', '""') + '"' if re.search('[",\n\r]', text) else text
        for text in encoded.dictionary.to_pylist()
    ]
    return pc.take(pa.array(cells, pa.string()), encoded.indices)


def _values(rows: Rows) -> Iterator[list[Any]]:
    """Yield each row as JSON values: numbers where a text is one, null where it is missing."""
    columns: list[list[Any]] = []
    for name in rows.names:
        column = rows.codes(name)
        values: list[Any] = [_value(text) for text in column.values]
        columns.append([values[code] if code >= 0 else None for code in column.codes.tolist()])
    yield from ([*row] for row in zip(*columns, strict=True))


def _value(text: str) -> Any:
    found = number(text)
    if found is None or not np.isfinite(found):
        return text
    return int(text) if re.fullmatch(r"-?\d{1,18}", text.strip()) else found


def _jsonlines(rows: Rows, predictor: Predictor) -> list[str]:
    template = predictor.content_template or '{"features":$features}'
    if "$features" not in template:
        raise ConfigError(f"predictor.content_template has no $features: {template}")
    return [template.replace("$features", _text(row)) for row in _values(rows)]


def _json(rows: Rows, predictor: Predictor) -> Iterator[tuple[int, bytes]]:
    whole = predictor.content_template or '{"instances":$records}'
    template = predictor.record_template or "$features"
    records = [_record(template, rows.names, row) for row in _values(rows)]
    if "$records" in whole:
        for start, end in _blocks(np.cumsum([len(record.encode()) + 1 for record in records])):
            block = f"[{','.join(records[start:end])}]"
            yield end - start, whole.replace("$records", block).encode()
    elif "$record" in whole:
        for record in records:
            yield 1, whole.replace("$record", record).encode()
    else:
        raise ConfigError(f"predictor.content_template has neither $records nor $record: {whole}")


def _record(template: str, names: Sequence[str], row: list[Any]) -> str:
    held = dict(zip(names, row, strict=True))

    def named(found: re.Match[str]) -> str:
        if found[1] not in held:
            raise ConfigError(
                f"predictor.record_template names '{found[1]}'. There are: {', '.join(names)}."
            )
        return _text(held[found[1]])

    made = template.replace("$features_kvp", _text(held)).replace(
        "$feature_names", _text(list(names))
    )
    return _NAMED.sub(named, made.replace("$features", _text(row)))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()

"""From files to one profile: each file, or a part of a large one, is profiled by itself; the profiles are merged."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from farero_monitor import cache
from farero_monitor.errors import AnalysisError
from farero_monitor.profile.dataset import Profile, Unread
from farero_monitor.profile.sample import ROWS
from farero_monitor.readers import files
from farero_monitor.readers.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from farero_monitor.workers import Workers

#: Rows of a sample that every part gives, however small it is.
FEW = 500
#: Share of lines that may be unreadable before a run counts as failed.
UNREAD_LIMIT = 0.1


class UnreadableDataError(AnalysisError):
    """So much of the data cannot be read that a result would say nothing; the text names file, line and reason."""


@dataclass(frozen=True, slots=True)
class Source:
    """A data set on disk and how to read it."""

    path: Path
    format: files.Format
    #: The first line of each CSV file names the columns.
    header: bool = True
    options: Options = field(default_factory=Options)
    #: A folder for kept profiles that outlives the files; None for beside them.
    kept: Path | None = None
    #: Path of a preprocessing script; its function is loaded in the process that uses it.
    script: Path | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file: bytes `start` to `end` (None: all), or row groups of a Parquet file."""

    path: Path
    start: int = 0
    end: int | None = None
    groups: tuple[int, ...] | None = None
    names: tuple[str, ...] | None = None


def profile(
    source: Source, *, workers: int | Workers | None = None, keep: bool = False, sample: int = ROWS
) -> Profile:
    """Return the profile of a data set. Raises NoDataError, UnreadableDataError, ScriptError.

    workers: processes, or how many; by default one for each core. keep: a profile beside each file, used again while it
    holds.
    """
    found = files.find(source.path)
    whole = Profile(sample=sample)
    is_kept = keep or source.kept is not None
    made = (_kept if is_kept else _fresh)(source, found, workers, sample)
    for part in made:
        whole.merge(part)
    if source.kept is not None:
        cache.trim(source.kept)
    _judge(whole, source)
    return whole


def _fresh(
    source: Source, found: Sequence[Path], workers: int | Workers | None, sample: int
) -> Iterator[Profile]:
    parts = [part for path in found for part in _parts(path, source)]
    return _profiles(source, parts, workers, sample)


def _kept(
    source: Source, found: Sequence[Path], workers: int | Workers | None, sample: int
) -> Iterator[Profile]:
    """Yield the profile of each folder's files, kept ones where they hold; the others are kept now."""
    rows = min(sample, cache.ROWS)
    folders: dict[Path, list[Path]] = {}
    for path in found:
        folders.setdefault(path.parent, []).append(path)
    whole = {folder: cache.find(paths, source) for folder, paths in folders.items()}
    held = {
        path: cache.find([path], source)
        for folder, paths in folders.items() if whole[folder] is None
        for path in paths
    }  # fmt: skip
    left = [path for path, kept in held.items() if kept is None]
    # a kept profile is one of a whole file
    parts = [Part(path, names=_header(path, source)) for path in left]
    fresh, new = _profiles(source, parts, workers, rows, alike=True), {*left}
    for folder, paths in folders.items():
        if (known := cache.read(whole[folder])) is not None:
            yield known
            continue
        made = Profile(sample=sample)
        for path in paths:
            profile = next(fresh) if path in new else cache.read(held.get(path))
            if profile is None:  # damaged, or removed just now
                profile = profile_part(source, Part(path, names=_header(path, source)), rows)
                new.add(path)
            if path in new:
                cache.write([path], source, profile, whole=len(paths) == 1)
            made.merge(profile)
        if len(paths) > 1:
            cache.write(paths, source, made, whole=True)
        yield made


def _profiles(
    source: Source,
    parts: list[Part],
    workers: int | Workers | None,
    sample: int,
    *,
    alike: bool = False,
) -> Iterator[Profile]:
    """Yield the profile of each part in their order; alike: with a sample that does not depend on the others."""
    sizes = [(part.end or part.path.stat().st_size) - part.start for part in parts]
    # of a part a third more than the rows that will be among those of the whole
    tasks = [
        (
            source,
            part,
            sample if alike else min(sample, FEW + 4 * sample * size // (3 * max(1, sum(sizes)))),
        )
        for part, size in zip(parts, sizes, strict=True)
    ]
    if workers is not None and not isinstance(workers, int):
        yield from workers.map(tasks)
        return
    workers = min(workers or len(os.sched_getaffinity(0)), len(parts))
    if workers < 2 or sum(sizes) < files.WORTH_PROCESSES:
        for task in tasks:
            yield profile_part(*task)
        return
    # processes, and the threads that feed them, are nothing that a run over kept profiles needs
    from farero_monitor.workers import Workers

    with Workers(workers) as pool:
        yield from pool.map(tasks)


def profile_part(source: Source, part: Part, sample: int) -> Profile:
    """Return the profile of one part; raises ScriptError."""
    # the readers bring pyarrow along: imported in the process that reads
    from farero_monitor.readers.scripts import preprocessor

    if source.script is not None and source.options.script is None:
        source = replace(
            source, options=replace(source.options, script=preprocessor(source.script))
        )
    name = f"{part.path.name}:{part.start}:{part.groups}"
    made = Profile(zlib.crc32(name.encode()), sample)
    for table in _tables(source, part, made):
        if table.num_columns:
            made.update(table)
    return made


def _tables(source: Source, part: Part, made: Profile) -> Iterator[Any]:
    from farero_monitor.readers import capture, flat

    if source.format == "capture":
        return capture.capture_tables(part.path, part.start, part.end, source.options, made)
    if source.format == "parquet":
        return flat.parquet_tables(part.path, part.groups)
    if source.format == "json":
        return flat.json_tables(part.path, part.start, part.end, made.unread)
    return flat.csv_tables(
        part.path, part.start, part.end, part.names, source.options.missing, made.unread,
        skip=1 if source.header and not part.start else 0,
    )  # fmt: skip


def _header(path: Path, source: Source) -> tuple[str, ...] | None:
    """Return the names of a CSV file's columns; None where they are numbered."""
    from farero_monitor.readers import table

    if source.format != "csv":
        return None
    if not source.header:
        return source.options.names or None
    with files.open_plain(path) as file:
        line = file.readline(files.LONGEST_LINE)
    names = table.header(line.rstrip(b"\r\n"))
    if not names:
        raise UnreadableDataError(f"{path.name} is empty: it has no header line.")
    if all(_is_number(name) for name in names):
        raise UnreadableDataError(
            f"{path.name} has no header: its first line is {', '.join(names[:3])}, … "
            "Read it without one (header: false)."
        )
    return tuple(names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parts(path: Path, source: Source) -> Iterator[Part]:
    """Cut a large file into parts that can be read by themselves."""
    if source.format == "parquet":
        yield from _row_groups(path)
        return
    names, size = _header(path, source), path.stat().st_size
    if size <= files.BLOCK or files.is_gzip(path) or (source.format == "csv" and _has_quotes(path)):
        yield Part(path, names=names)
        return
    count = -(-size // files.part_size(size))
    for index in range(count):
        start, end = size * index // count, size * (index + 1) // count
        yield Part(path, start, end if index < count - 1 else None, names=names)


def _row_groups(path: Path) -> Iterator[Part]:
    from farero_monitor.untyped import pq

    with pq.ParquetFile(path) as file:
        groups: int = file.num_row_groups
    if groups <= 1:
        yield Part(path)
        return
    size = path.stat().st_size
    many = max(1, groups * files.part_size(size) // max(1, size))
    for first in range(0, groups, many):
        yield Part(path, groups=tuple(range(first, min(groups, first + many))))


def _has_quotes(path: Path) -> bool:
    """A newline between quotes does not end a row, so such a file is read in one go (its header may have quotes)."""
    with path.open("rb") as file:
        file.readline()
        while read := file.read(files.BLOCK):
            if b'"' in read:
                return True
    return False


def _judge(whole: Profile, source: Source) -> None:
    bad: Unread = whole.unread
    if bad.count and bad.count > UNREAD_LIMIT * (whole.rows + bad.count):
        file, place, reason = bad.places[0]
        raise UnreadableDataError(
            f"{bad.count} of {whole.rows + bad.count} lines of {source.path} cannot be read; "
            f"the first is {file}, {place}: {reason}."
        )

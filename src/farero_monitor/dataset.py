"""From files to one profile: each file, or a part of a large one, is profiled by itself; the profiles are merged."""

from __future__ import annotations

import itertools
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
#: Bytes that are looked through at a time.
_GLANCE = 256 << 10
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


@dataclass(frozen=True, slots=True)
class Task:
    """Parts that follow each other and are profiled in one process."""

    source: Source
    #: Each with the rows of its sample.
    parts: list[tuple[Part, int]]
    #: Rows of the sample of them all, at the most.
    sample: int


def profile(
    source: Source, *, workers: int | Reading | None = None, keep: bool = False, sample: int = ROWS
) -> Profile:
    """Return the profile of a data set. Raises NoDataError, UnreadableDataError, ScriptError.

    workers: how many processes, by default one for each core; or the data set as it is being read already. keep: a
    profile beside each file, used again while it holds. It is the same, whoever took part in it.
    """
    if isinstance(workers, Reading):
        whole = folded(workers.made)
    elif keep or source.kept is not None:
        whole = Profile(sample=sample)
        for part in _kept(source, files.find(source.path), workers, sample):
            whole.merge(part)
    else:
        whole = folded(_profiles(source, _all_parts(source), workers, sample))
    if source.kept is not None:
        cache.trim(source.kept)
    _judge(whole, source)
    return whole


@dataclass(frozen=True, slots=True)
class Reading:
    """A data set that processes are reading."""

    #: Profiles of parts that follow each other, and of how many parts each is.
    made: Iterator[tuple[int, Profile]]


def begin(source: Source, pool: Workers, *, sample: int = ROWS) -> Reading:
    """Let processes read a data set while this one does something else; raises NoDataError, UnreadableDataError."""
    return Reading(_shared(source, _all_parts(source), pool, sample))


def _all_parts(source: Source) -> list[Part]:
    *before, last = files.find(source.path)
    return [part for path in before for part in _parts(path, source)] + [
        *_parts(last, source, last=True)
    ]


def folded(made: Iterator[tuple[int, Profile]]) -> Profile:
    """Merge profiles of parts that follow each other, always in pairs of pairs, whatever is merged already.

    Two neighbours are merged when they are of as many parts each: so parts are merged with the same ones, in the same
    order, whichever process merges them. Each profile is of 1, 2, 4, … parts, not more than the one before it.
    """
    held: list[tuple[int, Profile]] = []
    for number, profile in made:
        parts, right = number, profile
        while held and held[-1][0] == parts:
            left = held.pop()[1]
            left.merge(right)
            parts, right = 2 * parts, left
        held.append((parts, right))
    whole = held.pop()[1]
    while held:
        left = held.pop()[1]
        left.merge(whole)
        whole = left
    return whole


def _kept(
    source: Source, found: Sequence[Path], workers: int | None, sample: int
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
            profile = next(fresh)[1] if path in new else cache.read(held.get(path))
            if profile is None:  # damaged, or removed just now
                part = Part(path, names=_header(path, source))
                profile = profile_part(source, part, rows, rows)
                new.add(path)
            if path in new:
                cache.write([path], source, profile, whole=len(paths) == 1)
            made.merge(profile)
        if len(paths) > 1:
            cache.write(paths, source, made, whole=True)
        yield made


def _profiles(
    source: Source, parts: list[Part], workers: int | None, sample: int, *, alike: bool = False
) -> Iterator[tuple[int, Profile]]:
    """Yield profiles of parts, in their order, and of how many parts each is.

    alike: of each part by itself, with a sample that does not depend on the others.
    """
    sizes = _sizes(parts)
    workers = min(workers or len(os.sched_getaffinity(0)), len(parts))
    if workers < 2 or sum(sizes) < files.WORTH_PROCESSES:
        for part, rows in zip(parts, _rows(sizes, sample, alike=alike), strict=True):
            yield 1, profile_parts(Task(source, [(part, rows)], sample))
        return
    # processes, and the threads that feed them, are nothing that a run over kept profiles needs
    from farero_monitor.workers import Workers

    with Workers(workers) as pool:
        yield from _shared(source, parts, pool, sample, alike=alike)


def _shared(
    source: Source, parts: list[Part], pool: Workers, sample: int, *, alike: bool = False
) -> Iterator[tuple[int, Profile]]:
    """Do the same in several processes, which merge what follows each other, so that little is handed over."""
    rows = zip(parts, _rows(_sizes(parts), sample, alike=alike), strict=True)
    many = [1] * len(parts) if alike else shares(len(parts), pool.count)
    tasks = [Task(source, [*itertools.islice(rows, number)], sample) for number in many]
    made = pool.begin(tasks)
    return ((len(task.parts), profile) for task, profile in zip(tasks, made, strict=True))


def shares(parts: int, processes: int) -> list[int]:
    """Return how many parts a process takes at a time: 1, 2, 4, …; fewer and fewer, at last one, so that none waits."""
    made: list[int] = []
    while parts:
        made.append(1 << (max(1, parts // (4 * processes)).bit_length() - 1))
        parts -= made[-1]
    return made


def _sizes(parts: Sequence[Part]) -> list[int]:
    return [(part.end or part.path.stat().st_size) - part.start for part in parts]


def _rows(sizes: Sequence[int], sample: int, *, alike: bool) -> list[int]:
    """Return how many rows the sample of each part has: a third more than will be among those of the whole."""
    whole = max(1, sum(sizes))
    return [sample if alike else min(sample, FEW + 4 * sample * s // (3 * whole)) for s in sizes]


def profile_parts(task: Task) -> Profile:
    """Return the profile of parts that follow each other; raises ScriptError."""
    return folded((1, profile_part(task.source, *part, task.sample)) for part in task.parts)


def profile_part(source: Source, part: Part, rows: int, sample: int) -> Profile:
    """Return the profile of one part; raises ScriptError. rows: of its sample; sample: when it has been merged."""
    # the readers bring pyarrow along: imported in the process that reads
    from farero_monitor.readers.scripts import preprocessor

    if source.script is not None and source.options.script is None:
        source = replace(
            source, options=replace(source.options, script=preprocessor(source.script))
        )
    name = f"{part.path.name}:{part.start}:{part.groups}"
    made = Profile(zlib.crc32(name.encode()), rows)
    for table in _tables(source, part, made):
        if table.num_columns:
            made.update(table)
    if part.start and made.unread.places:
        made.unread.move(files.lines_before(part.path, part.start))
    made.sample.most = sample
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


def _parts(path: Path, source: Source, *, last: bool = False) -> Iterator[Part]:
    """Cut a large file into parts that can be read by themselves; last: the final ones into smaller ones."""
    if source.format == "parquet":
        yield from _row_groups(path)
        return
    names, size = _header(path, source), path.stat().st_size
    if size <= files.BLOCK or files.is_gzip(path) or (source.format == "csv" and _has_quotes(path)):
        yield Part(path, names=names)
        return
    count = -(-size // files.part_size(size))
    ends = [size * index // count for index in range(1, count + 1)]
    if last:
        # who is done first waits for who has the last one
        before = ends[-3] if count > 2 else 0
        rest = size - before
        ends[-2:] = [size - rest * left // 16 for left in (12, 8, 5, 3, 2, 1, 0)]
    for start, end in itertools.pairwise([0, *ends]):
        yield Part(path, start, end if end < size else None, names=names)


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
    place = bytearray(_GLANCE)  # stays in the cache, unlike a whole block
    with path.open("rb") as file:
        file.readline()
        while read := file.readinto(place):
            if place.find(b'"', 0, read) >= 0:
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

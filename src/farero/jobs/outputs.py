"""What a job leaves behind: folders become archives or plain objects below the job's output path.

An archive of the same files is the same bytes, whenever and wherever it is made. The folder was a stranger's: a
symbolic link is stored as the file that it points to if that lies inside, and left out otherwise; a folder that became
a link itself holds nothing; and nothing is written where the job could have laid a link before.
"""

from __future__ import annotations

import gzip
import os
import tarfile
from typing import TYPE_CHECKING

from farero.base.arns import parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from farero.objects.base import ObjectStore
    from farero.records.job import JobSpec

#: Speed counts more than the last percent of size: 6 takes three times as long on trees for 4 % less.
COMPRESS_LEVEL = 3


def artifacts_uri(spec: JobSpec, job_name: str) -> str:
    """Return the S3ModelArtifacts of a job."""
    name = "model/" if spec.output_compression == "NONE" else "model.tar.gz"
    return f"{spec.output_uri.rstrip('/')}/{job_name}/output/{name}"


def publish(objects: ObjectStore, spec: JobSpec, job_name: str, base: Path) -> None:
    """Upload model, output data and checkpoints, as far as the job wrote any; repeating it changes nothing."""
    root = f"{spec.output_uri.rstrip('/')}/{job_name}/output"
    for folder, name in ((base / "model", "model"), (base / "output" / "data", "output")):
        if not is_real(folder, base) or not has_files(folder):
            continue
        if spec.output_compression == "NONE":
            inner = "model" if name == "model" else "data"
            upload_tree(objects, folder, f"{root}/{inner}")
        else:
            _upload_archive(
                objects, folder, f"{root}/{name}.tar.gz", base.parent / f"{name}.tar.gz"
            )
    checkpoints = checkpoint_folder(spec, base)
    if spec.checkpoint_uri is not None and is_real(checkpoints, base) and has_files(checkpoints):
        upload_tree(objects, checkpoints, spec.checkpoint_uri)


def checkpoint_folder(spec: JobSpec, base: Path) -> Path:
    """Return where the container's checkpoint folder lies."""
    return base / spec.checkpoint_path.removeprefix("/opt/ml/").strip("/")


def is_real(folder: Path, base: Path) -> bool:
    """Say whether `folder` lies where its path says: no link leads from `base` to it."""
    return folder.is_dir() and folder.resolve() == base.resolve() / folder.relative_to(base)


def has_files(folder: Path) -> bool:
    """Say whether there is anything to upload."""
    return next(_files(folder), None) is not None


def upload_tree(objects: ObjectStore, folder: Path, uri: str) -> None:
    """Store every file of `folder` below `uri` by its relative path."""
    bucket, prefix = parse_s3_uri(uri)
    start = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
    for name, path in _files(folder):
        objects.put_file(bucket, start + name, path)


def pack(folder: Path, archive: Path) -> None:
    """Write a tar.gz of the folder's files: sorted, without owner and times."""
    part = archive.with_name(archive.name + ".part")
    part.unlink(missing_ok=True)
    with (
        part.open("xb") as raw,
        gzip.GzipFile(
            filename="", fileobj=raw, mode="wb", compresslevel=COMPRESS_LEVEL, mtime=0
        ) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in _files(folder):
            with path.open("rb") as body:
                info = tarfile.TarInfo(name)
                info.size = os.fstat(body.fileno()).st_size
                info.mode = 0o755 if os.fstat(body.fileno()).st_mode & 0o100 else 0o644
                tar.addfile(info, body)
    part.replace(archive)


def _upload_archive(objects: ObjectStore, folder: Path, uri: str, archive: Path) -> None:
    pack(folder, archive)
    bucket, key = parse_s3_uri(uri)
    objects.put_file(bucket, key, archive, content_type="application/x-tar")
    archive.unlink()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of every regular file, in order of names; links only where they stay inside."""
    inside = folder.resolve()
    found: list[tuple[str, Path]] = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = folder.__class__(parent, name)
            real = path.resolve()
            if real.is_file() and real.is_relative_to(inside):
                found.append((path.relative_to(folder).as_posix(), real))
    yield from sorted(found)

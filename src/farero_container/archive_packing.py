"""Make, mend and describe model archives. The same files give the same bytes, whenever and wherever packed."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from farero_container import archive_layout as layout
from farero_container.archive import resolve, unpack
from farero_container.tarstream import BadArchive, Limits, TarStream

_MEND = "farero pack --fix model.tar.gz"
#: How the name of a sample of the input may end.
SAMPLE_TYPES = (".json", ".csv", ".npy")
_SAMPLES = tuple(f"sample{kind}" for kind in SAMPLE_TYPES)
_NO_MODELS = (".py", ".ipynb", ".csv", ".md", ".zip", ".yaml", ".yml", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """What was packed."""

    #: `xgboost`, `sklearn`, `pytorch` or None.
    framework: str | None
    files: int
    #: Size of the archive.
    bytes: int
    #: Where files were moved: from → to.
    moves: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What an archive holds and what the rules say."""

    sha256: str
    bytes: int
    framework: str | None
    #: Name → size of each file; a link has size 0.
    files: dict[str, int]
    verdicts: list[layout.Verdict]

    @property
    def is_fit(self) -> bool:
        """Whether it can be served."""
        return all(verdict.level != "error" for verdict in self.verdicts)


def inspect(path: Path, *, allow_plain: bool = False) -> Inspection:
    """Read an archive without unpacking it. Raises BadArchive."""
    sizes: dict[str, int] = {}
    heads: dict[str, bytes] = {}
    links: dict[tuple[str, ...], tuple[str, ...]] = {}
    held: dict[tuple[str, ...], int] = {}
    stream = TarStream(path, Limits(), allow_plain=allow_plain)
    for entry in stream.entries():
        if entry.kind == "folder":
            continue
        if entry.kind == "link":
            links[entry.path] = entry.target
        else:
            held[entry.path] = entry.size_bytes
        sizes[entry.name] = entry.size_bytes
        heads[entry.name] = (
            next(stream.chunks(), b"")[: layout.HEAD_BYTES] if entry.kind == "file" else b""
        )
    for link in links:
        resolve(link, links, held)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Inspection(
        sha256=digest, bytes=path.stat().st_size, framework=layout.framework_of_all(heads.items()),
        files=sizes, verdicts=layout.judge(list(sizes), heads),
    )  # fmt: skip


def pack(
    source: Path,
    out: Path,
    *,
    code: Path | None = None,
    requirements: Path | None = None,
    sample: Path | None = None,
) -> PackReport:
    """Make an archive from a model file, a folder or an archive. Raises BadArchive or OSError.

    sample: some rows of the model's input, which lie beside it as sample.json, sample.csv or sample.npy.
    """
    added = _Added(code, requirements, sample)
    if source.is_file() and _is_tar(source):
        return _pack_archive(source, out, added)
    if source.is_dir():
        # A folder that is packed into itself has the archive of the time before in it.
        files = {name: path for name, path in _folder(source).items() if not _is_same(path, out)}
        moved = layout.moves(list(files))
        files = {moved.get(name, name): path for name, path in files.items()}
    else:
        _check_model(source)
        files, moved = {source.name: source}, {}
    return _write(added.to(files), out, moved)


def mend(path: Path, out: Path) -> PackReport:
    """Write a copy with every file where it belongs. Raises BadArchive if that cannot be done."""
    with tempfile.TemporaryDirectory(prefix="farero-mend-", dir=out.absolute().parent) as scratch:
        folder = Path(scratch) / "files"
        unpack(path, folder, allow_plain=True)
        files = _folder(folder)
        moved = layout.moves(list(files))
        return _write({moved.get(name, name): place for name, place in files.items()}, out, moved)


def _pack_archive(source: Path, out: Path, added: _Added) -> PackReport:
    found = inspect(source, allow_plain=True)
    wrong = [verdict for verdict in found.verdicts if verdict.level == "error"]
    if wrong and added.code is None:
        raise BadArchive("E-TAR-LAYOUT", f"{source.name}: {'; '.join(v.message for v in wrong)}",
                         fix=_MEND.replace("model.tar.gz", source.name))  # fmt: skip
    with source.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    if added == _Added(None, None, None) and is_gzip:
        part = _part(out)
        shutil.copyfile(source, part)
        part.replace(out)
        return PackReport(
            framework=found.framework, files=len(found.files), bytes=found.bytes, moves={}
        )
    with tempfile.TemporaryDirectory(prefix="farero-pack-", dir=out.absolute().parent) as scratch:
        folder = Path(scratch) / "files"
        unpack(source, folder, allow_plain=True)
        return _write(added.to(_folder(folder)), out, {})


@dataclass(frozen=True, slots=True)
class _Added:
    """What is packed beside the model."""

    code: Path | None
    requirements: Path | None
    sample: Path | None

    def to(self, files: dict[str, Path]) -> dict[str, Path]:
        """Put code in place of what the archive had, as the SDK's repacking does, and so a sample; add requirements."""
        code = self.code
        if code is not None:
            files = {name: path for name, path in files.items() if not name.startswith("code/")}
            if code.is_dir():
                held = _folder(code)
                files |= {
                    name if name.startswith("code/") else f"code/{name}": path
                    for name, path in held.items()
                }
            else:
                files["code/inference.py"] = code
        if self.requirements is not None:
            files["code/requirements.txt"] = self.requirements
        if self.sample is not None:
            kind = self.sample.suffix.lower()
            if kind not in SAMPLE_TYPES:
                what = f"{self.sample.name} is no sample: its name must end in one of {', '.join(SAMPLE_TYPES)}"
                raise BadArchive("E-SAMPLE", what, fix="Save rows of the input as such a file.")
            files = {name: path for name, path in files.items() if name not in _SAMPLES}
            files[f"sample{kind}"] = self.sample
        return files


def _write(files: dict[str, Path], out: Path, moved: dict[str, str]) -> PackReport:
    heads = {name: _head(path) for name, path in files.items()}
    wrong = [verdict for verdict in layout.judge(list(files), heads) if verdict.level == "error"]
    if wrong:
        raise BadArchive("E-TAR-LAYOUT", "; ".join(v.message for v in wrong), fix=wrong[0].fix)
    part = _part(out)
    try:
        with (
            part.open("wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in sorted(files):
                _add(tar, name, files[name])
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return PackReport(framework=layout.framework_of_all(heads.items()), files=len(files),
                      bytes=out.stat().st_size, moves=moved)  # fmt: skip


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    info = tarfile.TarInfo(name)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        info.size = status.st_size
        info.mode = 0o755 if status.st_mode & 0o100 else 0o644
        tar.addfile(info, file)


def _folder(root: Path) -> dict[str, Path]:
    """Return name → path of the files below a folder, without what nobody wants in an archive."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if any(
            part in layout.JUNK or part.startswith("._") or part.endswith(".pyc") for part in parts
        ):
            continue
        if path.is_dir():
            if path.is_symlink():
                raise BadArchive(
                    "E-TAR-UNSAFE",
                    f"{path} is a link to a folder",
                    fix="Put the folder itself there.",
                )
            continue
        if not path.is_file():
            raise BadArchive(
                "E-TAR-UNSAFE", f"{path} is no regular file", fix="Remove it or point it to a file."
            )
        found["/".join(parts)] = path
    return found


def _is_same(path: Path, other: Path) -> bool:
    return other.exists() and path.samefile(other)


def _check_model(path: Path) -> None:
    """Raise BadArchive if a single file is certainly no model."""
    head = _head(path)
    if path.suffix in _NO_MODELS:
        raise BadArchive("E-TAR-LAYOUT", f"{path.name} is no model file",
                         fix="Give the saved model, e.g. model.json, or the folder that holds it.")  # fmt: skip
    if (
        path.suffix == ".json"
        and b'"learner"' not in head
        and b'"learner"' not in path.read_bytes()
    ):
        raise BadArchive("E-TAR-LAYOUT", f"{path.name} is no XGBoost model: it has no 'learner'",
                         fix="Save it with booster.save_model('model.json').")  # fmt: skip
    if not head:
        raise BadArchive(
            "E-TAR-EMPTY", f"{path.name} is a file of 0 bytes", fix="Save the model again."
        )


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(layout.HEAD_BYTES)


def _is_tar(path: Path) -> bool:
    head = _head(path)[:512]
    is_named = path.name.endswith((".tar.gz", ".tgz", ".tar"))
    return is_named or head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"


def _part(out: Path) -> Path:
    return out.with_name(f".{out.name}.{os.getpid()}.part")

"""What a replica needs before it can start: model files on disk and a Python that can serve them.

Everything is kept and found again: an archive is unpacked once per content into `work/models/<fingerprint>`, a Python
is made once per framework version and set of requirements. So preparing again after a restart costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base import ids
from farero.base.arns import parse_s3_uri
from farero.base.errors import NotFound
from farero.compute import archives
from farero.compute.failures import EnvironmentFailed
from farero.endpoints import engines, failures
from farero.endpoints.definitions import pin_folder
from farero.endpoints.failures import Failure, StartFailed
from farero.records.endpoint import ModelData
from farero.records.images import find_image, is_same_version

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from farero.base.config import Settings
    from farero.compute.environments import Environment, Environments
    from farero.objects.base import ObjectStore
    from farero.records.endpoint import Variant
    from farero.records.images import Image

SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"
#: How long model files stay that nothing uses: whoever deploys the same model again soon need not wait for them.
UNUSED_S = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that was fetched and made for one variant."""

    python: Path
    #: Unpacked model files; None for a container without model data.
    model_dir: Path | None
    #: Unpacked `SAGEMAKER_SUBMIT_DIRECTORY`; None unless it is an S3 URI.
    source_dir: Path | None
    framework: str
    version_asked: str
    #: E.g. `xgboost 3.0.5`.
    runs: str
    #: Nothing but the framework is installed for it, so its replicas can be forked from a process that has imported it.
    is_plain: bool = False
    #: Lines for the endpoint's log.
    warnings: tuple[str, ...] = ()
    #: What replicas have in common and a process that forks them imports: the framework, or another engine's.
    imports: str

    @property
    def is_there(self) -> bool:
        """Whether the files still lie where they were laid."""
        return all(one is None or one.is_dir() for one in (self.model_dir, self.source_dir))


class Preparer:
    """Fetches models and picks Pythons."""

    def __init__(
        self, settings: Settings, objects: ObjectStore, environments: Environments
    ) -> None:
        self._models_dir = settings.work_dir / "models"
        self._objects = objects
        self._environments = environments
        self._lock = threading.Lock()

    @property
    def container_path(self) -> Path:
        """Folder for PYTHONPATH."""
        return self._environments.container_path()

    def prepare(self, variant: Variant, say: Callable[[str], None]) -> Prepared:
        """Bring together what replicas of `variant` need; may take minutes the first time.

        say: takes lines for the endpoint's log, as the work goes on.
        Raises StartFailed.
        """
        image = _image(variant)
        model_dir = self._fetch(variant.data) if variant.data is not None else None
        source_dir = self._fetch_source(variant)
        if model_dir is not None and source_dir is None:
            _check_layout(model_dir)
        found = self._environment(image, source_dir or model_dir, variant, say)
        runs = f"{image.framework} {found.framework_version}".strip()
        return Prepared(
            python=found.python,
            model_dir=model_dir,
            source_dir=source_dir,
            framework=image.framework,
            version_asked=image.version,
            runs=runs,
            is_plain=found.is_plain,
            imports=found.framework
            if found.framework in engines.ACCELERATED.values()
            else image.framework,
            warnings=_warnings(image, runs, found.framework_version),
        )

    def _environment(
        self, image: Image, folder: Path | None, variant: Variant, say: Callable[[str], None]
    ) -> Environment:
        try:
            found = self._base(image, variant, say)
            is_source = "SAGEMAKER_PROGRAM" in _variables(variant)
            path = _requirements(folder, is_source=is_source)
            return found if path is None else self._environments.requirements(found, path, say)
        except EnvironmentFailed as error:
            # The message begins with the place: `requirements.txt line 2 (…): …`.
            message = f"code/{error}" if error.file else str(error)
            raise StartFailed(Failure(cause=error.cause, message=message, fix=error.fix)) from error

    def _base(self, image: Image, variant: Variant, say: Callable[[str], None]) -> Environment:
        """Return the framework's Python; one with ONNX Runtime where that is asked for and can be had."""
        name = engines.environment_for(image.framework, _variables(variant))
        if name != image.framework:
            try:
                return self._environments.ensure(name, image.version, say)
            except EnvironmentFailed as error:
                say(
                    f"warning: no Python with ONNX Runtime can be made: {error} {error.fix}".rstrip()
                )
        return self._environments.ensure(image.framework, image.version, say)

    def _fetch_source(self, variant: Variant) -> Path | None:
        uri = _variables(variant).get(SUBMIT_DIRECTORY, "")
        if not uri.startswith("s3://"):
            return None
        bucket, key = parse_s3_uri(uri)
        try:
            info = self._objects.head(bucket, key)
        except NotFound as error:
            raise StartFailed(failures.no_model_data(uri)) from error
        return self._fetch(ModelData(uri=uri, etag=info.etag, size_bytes=info.size_bytes))

    def _fetch(self, data: ModelData) -> Path:
        """Return the folder of the model's files, fetched and unpacked on first need."""
        target = self._folder(data)
        with self._lock:
            if target.is_dir():
                # What lies here is what was pinned, whatever happened to the object since.
                os.utime(target)
                return target
        self._check_unchanged(data)
        scratch = self._models_dir / f".{ids.new_uuid()}"
        try:
            scratch.mkdir(parents=True)
            files = scratch / "files"
            if data.is_folder:
                self._download_folder(data, files)
            else:
                self._download_archive(data, scratch / "model.tar.gz", files)
            with self._lock:
                if not target.is_dir():
                    files.rename(target)
        except OSError as error:
            raise StartFailed(Failure(cause="E-DISK", message=str(error))) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target

    def sweep(
        self, variants: Iterable[Variant], in_use: AbstractSet[Path], now: dt.datetime
    ) -> int:
        """Remove files of models that neither a variant nor a replica has used for hours; return how many.

        in_use: folders that replicas look into.
        """
        keep = {*in_use, *(self._folder(one.data) for one in variants if one.data is not None)}
        before = now.timestamp() - UNUSED_S
        gone = 0
        for folder in self._models_dir.iterdir() if self._models_dir.is_dir() else ():
            with self._lock:
                # what was made of the files lies beside them, and goes with them
                if folder.with_suffix("") in keep or folder.stat().st_mtime > before:
                    continue
                doomed = folder.rename(self._models_dir / f".{ids.new_uuid()}")
            shutil.rmtree(doomed, ignore_errors=True)
            gone += 1
        return gone

    def _folder(self, data: ModelData) -> Path:
        name = hashlib.sha256(f"{data.uri}\0{data.etag}\0{data.size_bytes}".encode()).hexdigest()
        return self._models_dir / name[:32]

    def _check_unchanged(self, data: ModelData) -> None:
        bucket, key = parse_s3_uri(data.uri)
        try:
            pinned = pin_folder(self._objects, data.uri) if data.is_folder else None
            found = pinned.etag if pinned else self._objects.head(bucket, key).etag
        except NotFound as error:
            raise StartFailed(failures.no_model_data(data.uri)) from error
        if found != data.etag:
            raise StartFailed(failures.changed_model_data(data.uri, data.etag, found))

    def _download_archive(self, data: ModelData, archive: Path, files: Path) -> None:
        bucket, key = parse_s3_uri(data.uri)
        try:
            info = self._objects.download(bucket, key, archive)
        except NotFound as error:
            raise StartFailed(failures.no_model_data(data.uri)) from error
        if info.etag != data.etag or archive.stat().st_size != data.size_bytes:
            raise StartFailed(failures.changed_model_data(data.uri, data.etag, info.etag))
        report = archives.unpack(archive, files)
        if report.get("cause"):
            raise StartFailed(failures.from_report(report))

    def _download_folder(self, data: ModelData, files: Path) -> None:
        bucket, prefix = parse_s3_uri(data.uri)
        files.mkdir()
        for info in self._objects.list(bucket, prefix):
            relative = info.key.removeprefix(prefix).lstrip("/")
            parts = relative.split("/")
            if not relative or relative.endswith("/"):
                continue
            if any(part in ("", ".", "..") for part in parts):
                raise StartFailed(
                    Failure(cause="E-TAR-UNSAFE", message=f"the key '{info.key}' is no file name")
                )
            path = files.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._objects.download(bucket, info.key, path)


def _image(variant: Variant) -> Image:
    uri = variant.container.get("Image", "")
    image = find_image(uri)
    if image is None:
        raise StartFailed(
            Failure(cause="E-IMAGE", message=f"the image '{uri}' is not one that can run here")
        )
    return image


def _variables(variant: Variant) -> dict[str, str]:
    return variant.container.get("Environment", {})


def _requirements(folder: Path | None, *, is_source: bool) -> Path | None:
    """Return the requirements.txt that came with the model or its source, None if there is none."""
    if folder is None:
        return None
    places = [folder / "code" / "requirements.txt"]
    if is_source:
        places.append(folder / "requirements.txt")
    return next((path for path in places if path.is_file()), None)


def _check_layout(folder: Path) -> None:
    """Raise StartFailed if everything lies in one folder of the archive instead of at its root.

    A script at the root may well keep its model in a folder; without one nobody would look there.
    """
    found = list(folder.iterdir())
    if len(found) != 1 or found[0].name == "code" or not found[0].is_dir():
        return
    name = found[0].name
    message = f"everything lies in the folder '{name}/' of model.tar.gz; it must lie at the archive's root"
    fix = f"Pack it with: tar -czf model.tar.gz -C {name} ."
    raise StartFailed(Failure(cause="E-TAR-LAYOUT", message=message, fix=fix))


def _warnings(image: Image, runs: str, version: str) -> tuple[str, ...]:
    if not version or is_same_version(image.version, version):
        return ()
    asked = f"image {image.repository}:{image.tag} asks for {image.framework} {image.version}"
    return (f"[farero] warning: {asked}; what runs here is {runs}.",)

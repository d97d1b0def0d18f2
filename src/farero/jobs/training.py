"""A training job as a process: its folder (`/opt/ml`), its files, its environment, and what it leaves behind."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from farero.base.arns import parse_s3_uri
from farero.base.errors import Invalid, NotFound
from farero.jobs import failures, files, outputs, sources
from farero.jobs.inputs import InputError, download_channel, download_tree, input_data_config
from farero.jobs.metrics import scanner_of
from farero.jobs.runner import Runner
from farero.records.images import Image, find_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from farero.base.config import Settings
    from farero.compute.pythons import Pythons
    from farero.objects.base import ObjectStore
    from farero.records.job import FinalMetric, Job, JobSpec
    from farero.telemetry.logs import Logs

HOST = "algo-1"
#: Name of the script's archive.
SOURCE = "sourcedir.tar.gz"
#: Frameworks whose images train.
TRAINING = ("xgboost", "sklearn", "pytorch")
#: Lines of the log that may serve as a failure's last word.
LAST_LINES = 20


class Training(Runner):
    """Everything about one attempt of one training job except when it happens."""

    log_group = "/aws/sagemaker/TrainingJobs"
    result = "the model"
    place = "jobs"
    item_kind = "job.reconcile"

    def __init__(  # noqa: PLR0913 - by name
        self,
        settings: Settings,
        objects: ObjectStore,
        pythons: Pythons,
        *,
        logs: Logs,
        credentials: Callable[[str], Mapping[str, str]],
        memory_bytes: int | None = None,
    ) -> None:
        """memory_bytes: what one job may take; None means nine tenths of the machine's."""
        super().__init__(
            settings, objects, pythons, credentials=credentials, memory_bytes=memory_bytes
        )
        self._logs = logs

    def environment(self, job: Job, say: Callable[[str], None]) -> Path:
        """Return the Python for the job's image and its requirements, made on first need.

        Raises Invalid for an image that cannot run here, a DomainError if the environment cannot be made.
        """
        image = _image(job.spec)
        framework = "none" if image.framework == "custom" else image.framework
        python = self._pythons.ensure(framework, image.version, say)
        if _source_uri(job.spec) is None:
            return python
        with sources.unpacked_requirements(self._fetch_source(job)) as path:
            return python if path is None else self._pythons.requirements(python, path, say)

    def download(self, job: Job) -> None:
        """Lay the folder out anew: data, checkpoints, configuration. Raises InputError."""
        base = self.folder(job)
        self._clear(job)
        for name in ("input/data", "input/config", "model", "output/data", "tmp"):
            (base / name).mkdir(parents=True, exist_ok=True)
        self._write_config(job, base / "input" / "config")
        for channel in job.spec.channels:
            download_channel(self._objects, channel, base / "input" / "data" / channel.name)
        if job.spec.checkpoint_uri is not None:
            checkpoints = outputs.checkpoint_folder(job.spec, base)
            checkpoints.mkdir(parents=True, exist_ok=True)
            if not outputs.has_files(checkpoints):
                download_tree(self._objects, job.spec.checkpoint_uri, checkpoints)

    def publish(self, job: Job) -> None:
        """Upload what the job left. Raises NotFound if a bucket is gone."""
        outputs.publish(self._objects, job.spec, job.name, self.folder(job))

    def metrics(self, job: Job) -> tuple[FinalMetric, ...]:
        """Return the last value of each metric that the log shows."""
        scanner = scanner_of(job.spec)
        for event in self._logs.read_stream(self.log_group, job.log_stream):
            scanner.read(event.timestamp_ms, event.message)
        return scanner.final()

    def exit_message(self, job: Job) -> str | None:
        """Return nothing: only processing jobs have one."""
        _ = job

    def failure_reason(self, job: Job) -> str:
        """Say why a process that exited with an error did so."""
        output = self.folder(job) / "output"
        return failures.exit_reason(
            job.exit_code if job.exit_code is not None else 1,
            files.read_json(output / "failure.json"),
            files.read_text(output / "failure"),
            files.read_text(self.log_path(job)).splitlines()[-LAST_LINES:],
        )

    def _clear(self, job: Job) -> None:
        """Take everything out of the folder but the script's archive and the checkpoints of an attempt before.

        Whole and by renaming: an attempt before may have laid links anywhere.
        """
        base = self.folder(job)
        kept = base.parent / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        checkpoints = outputs.checkpoint_folder(job.spec, base)
        if outputs.is_real(checkpoints, base):
            checkpoints.rename(kept / "checkpoints")
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        if (kept / "checkpoints").exists():
            checkpoints.parent.mkdir(parents=True, exist_ok=True)
            (kept / "checkpoints").rename(checkpoints)
        if (base.parent / SOURCE).exists():
            (base / "input").mkdir()
            shutil.copyfile(base.parent / SOURCE, self._source_archive(job))

    def _fetch_source(self, job: Job) -> Path:
        uri = _source_uri(job.spec)
        assert uri is not None
        archive = self.folder(job).parent / SOURCE
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.unlink(missing_ok=True)
        try:
            bucket, key = parse_s3_uri(uri)
            self._objects.download(bucket, key, archive)
        except NotFound as error:
            raise InputError(
                f"NoSuchKey (404): The specified key does not exist., {uri} of hyperparameter "
                "sagemaker_submit_directory"
            ) from error
        return archive

    def _source_archive(self, job: Job) -> Path:
        return self.folder(job) / "input" / SOURCE

    def _write_config(self, job: Job, folder: Path) -> None:
        spec = job.spec
        group = {
            "instance_group_name": "homogeneousCluster",
            "instance_type": spec.instance_type,
            "hosts": [HOST],
        }
        resources = {
            "current_host": HOST,
            "hosts": [HOST],
            "network_interface_name": "lo",
            "current_instance_type": spec.instance_type,
            "current_group_name": "homogeneousCluster",
            "instance_groups": [group],
        }
        files.write_json(folder / "hyperparameters.json", spec.hyperparameters)
        files.write_json(folder / "inputdataconfig.json", input_data_config(spec.channels))
        files.write_json(folder / "resourceconfig.json", resources)
        if spec.checkpoint_uri is not None:
            local = {"S3Uri": spec.checkpoint_uri, "LocalPath": spec.checkpoint_path}
            files.write_json(folder / "checkpointconfig.json", local)

    def command(self, job: Job, python: Path) -> tuple[str, ...]:
        """Return what to run, as argv."""
        return _argv(job.spec, python, self.folder(job))

    def variables(self, job: Job, python: Path) -> dict[str, str]:
        """Return the environment of the process."""
        settings, image = self._settings, _image(job.spec)
        base = self.folder(job)
        container = str(self._pythons.container_path())
        users = dict(job.spec.environment)
        users_path = users.pop("PYTHONPATH", "")
        env = {
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(base),
            "TMPDIR": str(base / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": settings.url,
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "SAGEMAKER_REGION": settings.region,
            **self._credentials(job.spec.role_arn),
            **users,
            "PYTHONPATH": f"{container}:{users_path}" if users_path else container,
            "SAGEMAKER_BASE_DIR": str(base),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
            "FARERO_IMAGE": job.spec.image,
            "FARERO_FRAMEWORK": image.framework,
            "FARERO_FRAMEWORK_VERSION": image.version,
        }
        if _source_uri(job.spec) is not None:
            env["FARERO_SOURCE_ARCHIVE"] = str(self._source_archive(job))
            env["FARERO_REQUIREMENTS"] = "installed"
        return env


def _image(spec: JobSpec) -> Image:
    image = find_image(spec.image)
    if image is not None and image.framework in TRAINING:
        return image
    if spec.entrypoint:
        return Image(uri=spec.image, framework="custom", version="", repository="", tag="")
    raise Invalid(
        f"Image '{spec.image}' cannot run here. Known are SageMaker's images of xgboost, scikit-learn and "
        "pytorch, by repository name and tag, whatever the account; any other needs a ContainerEntrypoint."
    )


def _argv(spec: JobSpec, python: Path, base: Path) -> tuple[str, ...]:
    """Return the contract's `train`, or the caller's own entry point with its paths made real."""
    if not spec.entrypoint:
        return (str(python), "-u", "-m", "farero_container", "train", *spec.arguments)
    words = (*spec.entrypoint, *spec.arguments)
    return tuple(word.replace("/opt/ml/", f"{base}/") for word in words)


def _source_uri(spec: JobSpec) -> str | None:
    """Return the S3 URI of the script's archive; the SDK sends it as a JSON string."""
    text = spec.hyperparameters.get("sagemaker_submit_directory", "")
    uri = text.strip().strip('"')
    return uri if uri.startswith("s3://") else None

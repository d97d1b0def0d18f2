"""A processing job as a process: a script, or the monitor's analyzer, between folders that come from and go to S3."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.jobs import failures, files, monitor_metrics, outputs
from farero.jobs.inputs import download_channel
from farero.jobs.runner import Runner
from farero.records.images import find_image
from farero.records.job import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from farero.base.config import Settings
    from farero.compute.pythons import Pythons
    from farero.objects.base import ObjectStore
    from farero.records.job import FinalMetric, Job, JobSpec
    from farero.telemetry.metrics.ingest import Metrics

HOST = "algo-1"
#: Name of the environment that farero_monitor runs in.
ANALYZER = "model-monitor"
#: Frameworks of the images that are programs of farero_monitor, and their modules.
PROGRAMS = {
    ANALYZER: "farero_monitor.container",
    "model-monitor-merger": "farero_monitor.merge",
    "clarify": "farero_monitor.clarify",
}
#: Frameworks in whose images a script may run.
SCRIPTS = ("xgboost", "sklearn", "pytorch")
LAST_LINES = 20
#: Longest ExitMessage (DescribeProcessingJob API reference).
MESSAGE_LIMIT = 1024


class Processing(Runner):
    """Everything about one attempt of one processing job except when it happens."""

    log_group = "/aws/sagemaker/ProcessingJobs"
    result = "the outputs"
    place = "processing"
    item_kind = "processing.reconcile"

    def __init__(  # noqa: PLR0913 - by name
        self,
        settings: Settings,
        objects: ObjectStore,
        pythons: Pythons,
        *,
        credentials: Callable[[str], Mapping[str, str]],
        metrics: Metrics | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        """metrics: where a monitoring job's go; memory_bytes: what one job may take; None: nine tenths of all."""
        super().__init__(
            settings, objects, pythons, credentials=credentials, memory_bytes=memory_bytes
        )
        self._metrics = metrics

    def environment(self, job: Job, say: Callable[[str], None]) -> Path:
        """Return the Python for the job's image. Raises Invalid for an image that cannot run here."""
        framework, version = framework_of(job.spec)
        return self._pythons.ensure(ANALYZER if framework in PROGRAMS else framework, version, say)

    def download(self, job: Job) -> None:
        """Lay the folder out anew: inputs, empty outputs, configuration. Raises InputError."""
        base = self.folder(job)
        shutil.rmtree(base, ignore_errors=True)
        for name in ("config", "output", "tmp"):
            (base / name).mkdir(parents=True, exist_ok=True)
        for entry in job.spec.inputs:
            channel = Channel(
                name=entry.name,
                s3_uri=entry.s3_uri,
                data_type=entry.data_type,
                compression=entry.compression,
            )
            download_channel(self._objects, channel, inside(base, entry.local_path))
        for output in job.spec.outputs:
            inside(base, output.local_path).mkdir(parents=True, exist_ok=True)
        files.write_json(base / "config" / "processingjobconfig.json", job.given)
        resources = {"current_host": HOST, "hosts": [HOST], "network_interface_name": "lo"}
        files.write_json(base / "config" / "resourceconfig.json", resources)

    def publish(self, job: Job) -> None:
        """Upload every output folder; repeating it changes nothing. Raises NotFound if a bucket is gone."""
        base = self.folder(job)
        for output in job.spec.outputs:
            folder = inside(base, output.local_path)
            if outputs.is_real(folder, base):
                outputs.upload_tree(self._objects, folder, output.s3_uri)
        if (
            self._metrics is not None
            and "sagemaker_monitoring_schedule_name" in job.spec.environment
        ):
            path = base / "output" / monitor_metrics.FILE
            if outputs.is_real(path.parent, base):
                text = files.read_text(path, monitor_metrics.LIMIT_BYTES)
                namespaces = monitor_metrics.namespaces(job.spec.environment)
                self._metrics.put(monitor_metrics.data(text, job.modified_at, namespaces))

    def metrics(self, job: Job) -> tuple[FinalMetric, ...]:
        """Return none: processing jobs define no metrics."""
        _ = job
        return ()

    def exit_message(self, job: Job) -> str | None:
        """Return what the container wrote to /opt/ml/output/message."""
        return (
            files.read_text(self.folder(job) / "output" / "message").strip()[:MESSAGE_LIMIT] or None
        )

    def failure_reason(self, job: Job) -> str:
        """Say why a process that exited with an error did so."""
        return failures.exit_reason(
            job.exit_code if job.exit_code is not None else 1,
            None,
            self.exit_message(job) or "",
            files.read_text(self.log_path(job)).splitlines()[-LAST_LINES:],
        )

    def command(self, job: Job, python: Path) -> tuple[str, ...]:
        """Return what to run, as argv."""
        return _argv(job.spec, python, self.folder(job))

    def variables(self, job: Job, python: Path) -> dict[str, str]:
        """Return the environment of the process."""
        settings, base = self._settings, self.folder(job)
        given = {
            name: value.replace("/opt/ml/", f"{base}/")
            for name, value in job.spec.environment.items()
        }
        framework, _ = framework_of(job.spec)
        path = [str(self._pythons.monitor_path())] if framework in PROGRAMS else []
        path += [given.pop("PYTHONPATH")] if "PYTHONPATH" in given else []
        if "sagemaker_monitoring_schedule_name" in given:
            given["profile_cache"] = str(settings.data_dir / "cache" / "profiles")
        return {
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(base),
            "TMPDIR": str(base / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "AWS_ENDPOINT_URL": settings.url,
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            **self._credentials(job.spec.role_arn),
            **given,
            **({"PYTHONPATH": ":".join(path)} if path else {}),
            "SAGEMAKER_BASE_DIR": str(base),
            "PROCESSING_JOB_NAME": job.name,
            "PROCESSING_JOB_ARN": job.arn,
        }


def framework_of(spec: JobSpec) -> tuple[str, str]:
    """Return framework and version of a job's image. Raises Invalid if nothing here can run it."""
    image = find_image(spec.image)
    if image is not None and image.framework in PROGRAMS:
        return image.framework, ""
    if not spec.entrypoint:
        raise Invalid(
            f"Image '{spec.image}' cannot run here without AppSpecification.ContainerEntrypoint: no image is pulled. "
            "Known by themselves are sagemaker-model-monitor-analyzer, sagemaker-model-monitor-groundtruth-merger and "
            "sagemaker-clarify-processing."
        )
    if image is not None and image.framework in SCRIPTS:
        return image.framework, image.version
    return "none", ""


def inside(base: Path, local_path: str) -> Path:
    """Return where a container's path lies. Raises Invalid unless it is below /opt/ml."""
    name = local_path.rstrip("/")
    if not name.startswith("/opt/ml/") or ".." in name.split("/"):
        raise Invalid(f"LocalPath '{local_path}' must lie below /opt/ml/")
    return base / name.removeprefix("/opt/ml/")


def _argv(spec: JobSpec, python: Path, base: Path) -> tuple[str, ...]:
    """Return the caller's entry point with its paths made real, or the program that the image is."""
    if not spec.entrypoint:
        return (str(python), "-m", PROGRAMS[framework_of(spec)[0]])
    words = [word.replace("/opt/ml/", f"{base}/") for word in (*spec.entrypoint, *spec.arguments)]
    if words[0] in {"python", "python3"}:
        words[0] = str(python)
    return tuple(words)

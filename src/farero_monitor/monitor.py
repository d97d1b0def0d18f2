"""The two things the analyzer does: take a baseline, and judge a window against it. Files in, files out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from farero_monitor.aws import checks, constraints, statistics
from farero_monitor.dataset import Reading, Source, profile
from farero_monitor.drift import together, verdict
from farero_monitor.errors import AnalysisError
from farero_monitor.history import drifted
from farero_monitor.profile.sample import Sample, alike

if TYPE_CHECKING:
    from pathlib import Path

    from farero_monitor.estimate.estimator import Estimator
    from farero_monitor.estimate.labelled import Labelled
    from farero_monitor.history import History, Window
    from farero_monitor.profile.dataset import Profile
    from farero_monitor.profile.rows import Rows

STATISTICS, CONSTRAINTS = "statistics.json", constraints.NAME
VIOLATIONS, REPORT = "constraint_violations.json", "drift_report.json"
#: Rows of the baseline, beside its statistics, for what concerns several columns.
SAMPLE = "baseline.sample"
#: What was learned of a labelled baseline, so that the quality of a window without labels can be estimated.
ESTIMATE = "baseline.estimate"


class BaselineError(AnalysisError):
    """The baseline's files cannot be used; the text says which and why."""


@dataclass(slots=True)
class Baseline:
    """What a window is compared with."""

    constraints: constraints.Constraints
    references: dict[str, statistics.Reference] = field(
        default_factory=dict[str, statistics.Reference]
    )
    #: Rows of it; None of a baseline that was made elsewhere.
    sample: Sample | None = None
    #: None of a baseline without labels.
    estimator: Estimator | None = None

    @classmethod
    def read(
        cls, constraints_file: Path, statistics_file: Path | None, sample_file: Path | None = None,
        estimate_file: Path | None = None,
    ) -> Baseline:  # fmt: skip
        """Read a baseline, ours or SageMaker's; raises BaselineError."""
        try:
            found = cls(constraints.Constraints(_object(constraints_file)))
            if statistics_file is not None:
                found.references = statistics.references(_object(statistics_file))
            if sample_file is not None and sample_file.is_file():
                found.sample = Sample.from_bytes(sample_file.read_bytes())
                found.sample.rows()  # a damaged one is told now
            if estimate_file is not None and estimate_file.is_file():
                # few baselines have labels: the others do without its import
                from farero_monitor.estimate.estimator import Estimator

                found.estimator = Estimator.from_bytes(estimate_file.read_bytes())
        except (OSError, ValueError) as error:
            raise BaselineError(str(error)) from error
        return found

    @classmethod
    def of_folder(cls, folder: Path) -> Baseline:
        """Read the files that `take_baseline` wrote."""
        return cls.read(
            folder / CONSTRAINTS, folder / STATISTICS, folder / SAMPLE, folder / ESTIMATE
        )


@dataclass(slots=True)
class Result:
    """A judged window."""

    profile: Profile
    violations: list[checks.Violation]
    verdict: verdict.Verdict
    #: Start and end of the window that was asked for, or else the times of its first and last record; ISO 8601.
    start: str = ""
    end: str = ""
    #: What other analyses add to the report, each under a key of its own: estimated, quality, together.
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    #: The windows before it, the oldest first, as far as they are known.
    earlier: list[Window] = field(default_factory=list["Window"])

    def report(self) -> dict[str, Any]:
        """Return the content of `drift_report.json`: all that a page over many windows needs of this one."""
        return {
            **self.verdict.content(), "start": self.start, "end": self.end,
            "unread": self.profile.unread, **self.more,
        }  # fmt: skip

    @property
    def message(self) -> str:
        """The exit message, in SageMaker's words."""
        count = len(self.violations)
        if not count:
            return "Completed: Job completed successfully with no violations."
        return f"CompletedWithViolations: Job completed successfully with {count} violations."


def take_baseline(
    source: Source,
    output: Path,
    *,
    workers: int | Reading | None = None,
    labelled: Labelled | None = None,
) -> Profile:
    """Profile a data set and write its statistics, suggested constraints and sample; raises as `profile` does.

    labelled: the columns with the truth and the model's answer; what is learned of them is written, too, and raises
    LabelsError. Nothing is promised of the truth then, as it does not come with requests; the answer's columns come
    first, as in captures.
    """
    found = profile(source, workers=workers)
    learned = None
    if labelled is not None:
        from farero_monitor.estimate import estimator

        learned = estimator.learn(found.sample.table(), labelled)
        del found.columns[labelled.target]
        if source.header:
            rest = {name: c for name, c in found.columns.items() if name not in labelled.answers}
            found.columns = {name: found.columns[name] for name in labelled.answers} | rest
    output.mkdir(parents=True, exist_ok=True)
    (output / ESTIMATE).unlink(missing_ok=True)
    if learned is not None:
        (output / ESTIMATE).write_bytes(learned.to_bytes())
    _write(output / STATISTICS, statistics.statistics(found))
    _write(output / CONSTRAINTS, constraints.suggest(found))
    (output / SAMPLE).write_bytes(found.sample.to_bytes())
    return found


def judge(  # noqa: PLR0913 - all but the first two have defaults
    source: Source, baseline: Baseline, output: Path | None = None, *, workers: int | Reading | None = None,
    keep: bool = False, settings: verdict.Settings | None = None, history: History | None = None,
    at_once: bool = False,
) -> Result:  # fmt: skip
    """Profile a window, check it against a baseline, and write the four files if `output` says where to.

    history: earlier windows; with them a notice needs two of three, unless it is told at_once. Raises as
    `profile` does.
    """
    found = profile(source, workers=workers, keep=keep)
    start, end = source.options.start or found.first, source.options.end or found.last
    earlier = history.before(start, end) if history else []
    samples = None
    if baseline.sample is not None:
        samples = alike(found.sample, baseline.sample)
    judged = verdict.judge(
        found, baseline.constraints, baseline.references, samples,
        settings=settings, before=[] if at_once else drifted(earlier),
    )  # fmt: skip
    more = _together(judged, samples)
    more |= _estimated(found, judged, baseline.estimator)
    # the distances that SageMaker's own rule goes by, of every column that it compares
    measured = checks.measure(found, baseline.constraints, baseline.references)
    if measured:
        more["sagemaker"] = {name: asdict(one) for name, one in measured.items()}
    calibrated = baseline.constraints.method == "Calibrated"
    violations = checks.check(found, baseline.constraints, {} if calibrated else measured)
    if calibrated:
        violations = [*(v for v in violations if not _tolerated(v, judged)), *_drifted(judged)]
    made = Result(found, violations, judged, start, end, more, earlier)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        _write(output / STATISTICS, statistics.statistics(found))
        _write(output / CONSTRAINTS, baseline.constraints.content)
        _write(output / VIOLATIONS, checks.content(violations))
        _write(output / REPORT, made.report())
    return made


def _together(judged: verdict.Verdict, samples: tuple[Rows, Rows] | None) -> dict[str, Any]:
    """Let a classifier tell the window from the baseline; it is told of where nothing else was found to have moved."""
    if samples is None:
        return {}
    names = [column.name for column in judged.columns if column.state != "not enough data"]
    told = together.compare(*samples, names)
    if told is None:
        return {}
    if told.changed and not judged.drifted and not judged.pairs:
        pairs = "; ".join(f"{one}, {other}" for one, other in told.pairs)
        facts = {"pairs": pairs, "auc": told.auc}
        verdict.add(judged, [verdict.finding("notice", "together", "", "together", **facts)])
    return {"together": {**asdict(told), "changed": told.changed}}


def _estimated(
    found: Profile, judged: verdict.Verdict, learned: Estimator | None
) -> dict[str, Any]:
    """Estimate the quality of a window, where the baseline had labels; add what there is to tell to the verdict."""
    if learned is None or not found.rows:
        return {}
    made = learned.estimate(found.sample.table(), found.rows, found.answers)
    # labels that came along are nothing the data has too much
    judged.findings = [
        one for one in judged.findings if (one.kind, one.column) != ("extra column", learned.target)
    ]
    verdict.add(judged, made.findings())
    return {"estimated": made.content()}


def _drifted(judged: verdict.Verdict) -> list[checks.Violation]:
    """Return the calibrated verdict as SageMaker's violations."""
    told = {
        finding.column: finding
        for finding in judged.findings
        if finding.kind in {"drift", "prediction"}
    }
    return [
        checks.Violation(
            column.name, "baseline_drift_check",
            f"Baseline drift distance: {max(column.effects.values(), key=abs)} exceeds threshold: "
            f"calibrated. {told[column.name].text}",
        )
        for column in judged.columns
        if column.name in told
    ]  # fmt: skip


def _tolerated(violation: checks.Violation, judged: verdict.Verdict) -> bool:
    """Tell whether a missing value more than in the baseline is within what chance does."""
    return violation.constraint_check_type == "completeness_check" and not any(
        finding.kind == "completeness" and finding.column == violation.feature_name
        for finding in judged.findings
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path.name} is not a JSON object: {error}") from error
    return found


def _write(path: Path, content: object) -> None:
    """Write JSON as it stands, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))
    part.replace(path)

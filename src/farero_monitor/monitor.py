"""The two things the analyzer does: take a baseline, and judge a window against it. Files in, files out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from farero_monitor.aws import checks, constraints, statistics
from farero_monitor.dataset import Source, profile
from farero_monitor.drift import verdict
from farero_monitor.profile.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farero_monitor.profile.dataset import Profile

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
VIOLATIONS, REPORT = "constraint_violations.json", "drift_report.json"
#: Rows of the baseline, beside its statistics, for what concerns several columns.
SAMPLE = "baseline.sample"


class BaselineError(Exception):
    """The baseline's files cannot be used; the text says which and why."""


@dataclass(slots=True)
class Baseline:
    """What a window is compared with."""

    constraints: constraints.Constraints
    references: dict[str, statistics.Reference] = field(
        default_factory=dict[str, statistics.Reference]
    )
    #: Rows as a table of texts; None of a baseline that was made elsewhere.
    sample: Any = None

    @classmethod
    def read(
        cls, constraints_file: Path, statistics_file: Path | None, sample_file: Path | None = None
    ) -> Baseline:
        """Read a baseline, ours or SageMaker's; raises BaselineError."""
        try:
            found = cls(constraints.Constraints(_object(constraints_file)))
            if statistics_file is not None:
                found.references = statistics.references(_object(statistics_file))
            if sample_file is not None and sample_file.is_file():
                found.sample = Sample.from_bytes(sample_file.read_bytes()).table()
        except (OSError, ValueError) as error:
            raise BaselineError(str(error)) from error
        return found

    @classmethod
    def of_folder(cls, folder: Path) -> Baseline:
        """Read the files that `take_baseline` wrote."""
        return cls.read(folder / CONSTRAINTS, folder / STATISTICS, folder / SAMPLE)


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


def take_baseline(source: Source, output: Path, *, workers: int | None = None) -> Profile:
    """Profile a data set and write its statistics, suggested constraints and sample; raises as `profile` does."""
    found = profile(source, workers=workers)
    output.mkdir(parents=True, exist_ok=True)
    _write(output / STATISTICS, statistics.statistics(found))
    _write(output / CONSTRAINTS, constraints.suggest(found))
    (output / SAMPLE).write_bytes(found.sample.to_bytes())
    return found


def judge(  # noqa: PLR0913 - all but the first two have defaults
    source: Source, baseline: Baseline, output: Path | None = None, *, workers: int | None = None,
    keep: bool = False, settings: verdict.Settings | None = None,
    before: Sequence[Sequence[str]] = (),
) -> Result:  # fmt: skip
    """Profile a window, check it against a baseline, and write the four files if `output` says where to.

    before: columns that drifted in each of the last windows, the newest first. Raises as `profile` does.
    """
    found = profile(source, workers=workers, keep=keep)
    judged = verdict.judge(
        found, baseline.constraints, baseline.references, baseline.sample,
        settings=settings, before=before,
    )  # fmt: skip
    calibrated = baseline.constraints.method == "Calibrated"
    violations = checks.check(
        found, baseline.constraints, baseline.references, drift=not calibrated
    )
    if calibrated:
        violations = [*(v for v in violations if not _tolerated(v, judged)), *_drifted(judged)]
    made = Result(
        found, violations, judged,
        source.options.start or found.first, source.options.end or found.last,
    )  # fmt: skip
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        _write(output / STATISTICS, statistics.statistics(found))
        _write(output / CONSTRAINTS, baseline.constraints.content)
        _write(output / VIOLATIONS, checks.content(violations))
        _write(output / REPORT, made.report())
    return made


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

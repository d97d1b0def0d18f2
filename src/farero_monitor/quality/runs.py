"""Model quality, files in and files out: take a baseline of labelled predictions, and judge a window against it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from farero_monitor.aws.checks import Violation
from farero_monitor.aws.constraints import Constraints as DataConstraints
from farero_monitor.drift import verdict
from farero_monitor.drift.verdict import Finding, Severity, Verdict, finding
from farero_monitor.monitor import Baseline, BaselineError, Result
from farero_monitor.profile.dataset import Profile
from farero_monitor.quality import contents, tallies
from farero_monitor.quality.contents import Constraints
from farero_monitor.quality.gather import gather
from farero_monitor.quality.measure import LEAST_ROWS, least, measure
from farero_monitor.quality.metrics import TWINS
from farero_monitor.report.page import write as write_page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from farero_monitor.history import History
    from farero_monitor.quality.contents import Judged
    from farero_monitor.quality.gather import Gathering
    from farero_monitor.quality.measure import Measured, State
    from farero_monitor.quality.sources import Attributes, Source
    from farero_monitor.words import Language

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
VIOLATIONS, REPORT, PAGE = "constraint_violations.json", "drift_report.json", "report.html"


@dataclass(slots=True)
class Quality:
    """A measured data set, compared with a baseline where there is one."""

    attributes: Attributes
    gathered: Gathering
    found: dict[str, Measured]
    judged: dict[str, Judged]
    result: Result
    #: SageMaker's violations; none without a baseline.
    violations: list[dict[str, str]]

    @property
    def message(self) -> str:
        """The exit message, in SageMaker's words."""
        return self.result.message


def read_constraints(file: Path) -> Constraints:
    """Read a `constraints.json` of model quality; raises BaselineError."""
    try:
        return Constraints(msgspec.json.decode(file.read_bytes(), type=dict[str, Any]))
    except msgspec.MsgspecError as error:
        raise BaselineError(f"{file.name} is not a JSON object: {error}") from error
    except (OSError, ValueError) as error:
        raise BaselineError(str(error)) from error


def run(  # noqa: PLR0913 - by name
    source: Source, attributes: Attributes, output: Path | None = None, *,
    constraints: Constraints | None = None, history: History | None = None,
    language: Language = "en", now: dt.datetime | None = None,
) -> Quality:  # fmt: skip
    """Measure a labelled data set, compare it with a baseline's constraints, and write the files below `output`.

    Without constraints it is a baseline: its metrics are suggested as thresholds. Raises as `gather` does, and
    BaselineError if the constraints are of another problem.
    """
    if constraints is not None and constraints.problem != attributes.problem:
        raise BaselineError(
            f"The baseline is of {constraints.problem}, but the problem type is {attributes.problem}."
        )
    if constraints is not None and not attributes.positive:
        attributes = replace(attributes, positive=constraints.positive)
    gathered = gather(source, attributes)
    found = measure(gathered.tally)
    judged = contents.judge(constraints, found, gathered.tally.rows) if constraints else {}
    violations = contents.violations(constraints, judged) if constraints else []
    made = Quality(
        attributes,
        gathered,
        found,
        judged,
        _result(source, gathered, judged, violations),
        violations,
    )
    made.result.more = {"quality": report(made)}
    if history is not None:
        made.result.earlier = history.before(source.start, source.end)
    if output is not None:
        _write_all(made, output, constraints, language, now or dt.datetime.now(dt.UTC))
    return made


def _write_all(
    made: Quality,
    output: Path,
    constraints: Constraints | None,
    language: Language,
    now: dt.datetime,
) -> None:
    problem = made.attributes.problem
    output.mkdir(parents=True, exist_ok=True)
    moment = f"{now.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"
    _write(output / STATISTICS, contents.statistics(problem, made.gathered, made.found, moment))
    if constraints is None:
        _write(output / CONSTRAINTS, contents.suggest(problem, made.gathered, made.found))
        return
    _write(output / CONSTRAINTS, constraints.content)
    _write(output / VIOLATIONS, {"violations": made.violations})
    _write(output / REPORT, made.result.report())
    nothing = Baseline(DataConstraints({"features": []}))
    write_page(made.result, nothing, output / PAGE, language=language)


def _result(
    source: Source,
    gathered: Gathering,
    judged: Mapping[str, Judged],
    violations: Sequence[Mapping[str, str]],
) -> Result:
    """Return the window as the report knows one, without columns."""
    made = Verdict("none", "", gathered.tally.rows, source.start, source.end)
    verdict.add(made, _findings(judged, gathered.tally.rows))
    profile = Profile()
    profile.rows, profile.unread = gathered.rows, gathered.unread
    told = [
        Violation(one["metric_name"], one["constraint_check_type"], one["description"])
        for one in violations
    ]
    return Result(profile, told, made, source.start, source.end)


def _findings(judged: Mapping[str, Judged], rows: int) -> list[Finding]:
    if judged and rows < LEAST_ROWS:
        return [finding("none", "few labels", "", "few_labels", rows=rows)]
    made: list[Finding] = []
    kinds: list[tuple[State, Severity, str]] = [
        ("worse", "critical", "measured_worse"), ("better", "notice", "measured_better"),
    ]  # fmt: skip
    for state, severity, key in kinds:
        names = [name for name, one in judged.items() if one.state == state]
        names = [name for name in names if TWINS.get(name) not in names]
        if names:
            what = ", ".join(
                f"{name} {judged[name].constraint.threshold:.4g} → {judged[name].measured.value:.4g}"
                for name in names
            )
            made.append(finding(severity, "measured quality", "", key, what=what))
    return made


def report(made: Quality) -> dict[str, Any]:
    """Return what `drift_report.json` says of it under `quality`.

    `figures` by metric: value, low and high (95 %), reference (the threshold), least or most (beyond it the metric is
    worse), state, standard_deviation. What is not known is null.
    """
    tally = made.gathered.tally
    content: dict[str, Any] = {
        "method": "labels", "problem": made.attributes.problem, "rows": tally.rows,
        "window_rows": made.gathered.rows, "reason": "",
        "figures": {name: _figure(one, made.judged.get(name)) for name, one in made.found.items()},
        "missing": made.gathered.missing, "level": 0.95,
    }  # fmt: skip
    if isinstance(tally, tallies.Binary):
        content["confusion_matrix"] = contents.two_by_two(tally, made.gathered.names)
        content["positive"] = made.gathered.names[1]
    elif isinstance(tally, tallies.Multiclass) and len(tally.names) <= 100:
        content["confusion_matrix"] = contents.confusion(tally)
    return content


def _figure(one: Measured, judged: Judged | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "value": _known(one.value), "low": _known(one.shown.low), "high": _known(one.shown.high),
        "standard_deviation": _known(one.deviation),
        "reference": None, "least": None, "most": None, "state": "",
    }  # fmt: skip
    if judged is None:
        return made
    promised, gap = judged.constraint, judged.gap
    moved, room = one.value - promised.threshold, least(one.name, promised.threshold)
    rising = promised.operator == contents.OPERATORS[1]
    # how far chance alone takes it, in the direction that is worse; not known of too few rows
    chance = gap.high - moved if rising else moved - gap.low
    reach = max(room, chance) if math.isfinite(chance) else math.nan
    return made | {
        "reference": promised.threshold,
        "least": _known(promised.threshold - reach) if rising else None,
        "most": None if rising else _known(promised.threshold + reach),
        "state": judged.state,
        "difference": {name: _known(value) for name, value in asdict(gap).items()},
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _write(path: Path, content: object) -> None:
    """Write JSON, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))
    part.replace(path)

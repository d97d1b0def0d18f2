"""What one run of a monitoring schedule found: verdict, findings, every feature, and one of them drawn.

All of it comes from JSON in S3 and is shown as text and figures; the report's own page is only downloaded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console import compare
from farero.console.charts import Series, Threshold, chart, lines, told
from farero.console.data import UnavailableError
from farero.console.layout import card, heading, table, words
from farero.console.pages.monitor_alerts import distance, draw_violations
from farero.console.pages.monitor_clarify import draw_clarify
from farero.console.pages.monitor_quality import draw_quality
from farero.console.plots import sparkline
from farero.console.reports import STATISTICS, UnreadableError
from farero.console.time_range import Range
from farero.console.units import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.compare import Bar, Histogram
    from farero.console.reports import Column, Finding, Report, Side
    from farero.console.runs import Run, Runs

SEVERITIES = ("critical", "warning", "notice")
_MOST_ROWS = 200
_MOST_FINDINGS = 60
_EFFECTS = ("shift", "spread", "outside", "gap", "share", "new")
_UNKNOWN = 9


@dataclass(frozen=True, slots=True)
class Detail:
    """One feature of a run, ready to be drawn."""

    column: Column
    drawn: Histogram | list[Bar] | None
    #: Missing values of the baseline, in percent.
    missing: float | None
    trouble: str


async def detail(runs: Runs, run: Run, feature: str) -> Detail | None:
    """Return the feature that is named, else the one that changed most, with its distributions."""
    if run.report is None:
        return None
    ranked = by_change(run.report)
    column = run.report.column(feature) if feature else None
    if column is None:
        column = next(iter(ranked), None)
    if column is None:
        return None
    try:
        now = await runs.statistics(run, f"{run.place}/{STATISTICS}")
        then = await runs.statistics(run, run.baseline) if run.baseline else None
        one, other = now.feature(column.name), then.feature(column.name) if then else None
        if one is None or other is None:
            return Detail(column, None, other.side.missing if other else None, "")
        return Detail(column, _compared(other.side, one.side, column.kind), other.side.missing, "")
    except (UnavailableError, UnreadableError) as error:
        return Detail(column, None, None, str(error))


def by_change(report: Report) -> list[Column]:
    """Return columns, those that changed first, then by how much."""
    return sorted(
        report.columns,
        key=lambda one: (one.state != "changed", -(report.score(one) or 0.0), one.name),
    )


def draw(  # noqa: PLR0913, PLR0917 - a page is about as much
    t: dict[str, str], schedule: str, run: Run, done: Sequence[Run], detail: Detail | None,
    broken: Sequence[Finding] | None = None,
) -> None:  # fmt: skip
    """Draw what a run found; done: all runs, newest first; broken: what SageMaker's rules found."""
    _verdict(t, run, done)
    report = run.report
    if report is None:
        return
    _findings(t, report)
    past = [one for one in reversed(done) if one.report is not None and one.at <= run.at]
    told_by = [(one.at_ms, one.report) for one in past if one.report]
    draw_quality(t, told_by)
    draw_clarify(t, told_by)
    if detail is not None:
        _feature(t, detail, past)
    _features(t, schedule, run, past)
    draw_violations(t, report, broken)


def severity(t: dict[str, str], name: str) -> None:
    """Add a severity, in the colour that it has everywhere."""
    kind = {"critical": "bad", "warning": "busy", "notice": "note", "none": "ok"}.get(name, "idle")
    words(t.get(f"severity_{name}", name)).classes(f"f-pill f-{kind}")


def storage_file(text: str, uri: str) -> tuple[str, str] | str:
    """Return a link that downloads a file of S3; it is never shown."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        return ""
    return text, f"/download?bucket={quote(bucket, safe='')}&key={quote(key, safe='')}"


def moment(at: datetime) -> str:
    """Return a time as people here read it."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _local(text: str) -> str:
    try:
        return moment(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return text


def _verdict(t: dict[str, str], run: Run, done: Sequence[Run]) -> None:
    newest, report = done[0], run.report
    if newest.status == "Failed":
        with card().classes("f-ringing").props("role=alert"):
            heading(f"{t['failed_run']} {moment(newest.at)}")
            words(newest.reason).classes("f-reason")
    kind = report.severity if report and report.severity in SEVERITIES else "none"
    with card().classes(f"f-verdict f-verdict-{kind}"):
        with ui.element("div").classes("f-facts"):
            severity(t, report.severity if report else "")
            if all(run.window):
                start, end = map(_local, run.window)
                words(f"{t['from_to']} {start} … {end}").classes("f-dim f-small")
            if run.place and report is not None and report.severity:
                link = storage_file(t["page"], f"{run.place}/report.html")
                if isinstance(link, tuple):
                    ui.link(*link)
        sentence = report.sentence_in(t["locale"]) if report else ""
        if report is not None and not sentence:
            sentence = t["violations"].format(count=len(report.findings))
        words(sentence or run.trouble or t["no_report"]).classes("f-sentence")
        if report is not None and run.trouble:
            words(run.trouble).classes("f-dim f-small")


def _findings(t: dict[str, str], report: Report) -> None:
    if not report.findings:
        return

    def rank(name: str) -> int:
        return SEVERITIES.index(name) if name in SEVERITIES else _UNKNOWN

    found = sorted(report.findings_in(t["locale"]), key=lambda one: rank(one.severity))
    with card():
        heading(t["findings"])
        for one in found[:_MOST_FINDINGS]:
            with ui.element("div").classes("f-finding"):
                with ui.element("div").classes("f-facts"):
                    severity(t, one.severity)
                    if one.column:
                        words(one.column).classes("f-strong")
                    words(t.get(f"finding_{one.kind}", one.kind)).classes("f-dim")
                words(one.text).classes("f-small")
        if len(found) > _MOST_FINDINGS:
            words(t["only_first"].format(count=_MOST_FINDINGS)).classes("f-dim f-small")


def _feature(t: dict[str, str], found: Detail, past: Sequence[Run]) -> None:
    column = found.column
    with card().props("id=feature"):
        heading(f"{t['feature']}: {column.name}")
        with ui.element("div").classes("f-facts"):
            words(t.get(f"state_{column.state}", column.state)).classes(_state_class(column))
            for text in _facts(t, column):
                words(text).classes("f-dim")
        if found.trouble:
            words(found.trouble).classes("f-dim f-reason")
    with ui.element("div").classes("f-charts"):
        with card():
            heading(t["then_and_now"])
            _distribution(t, found)
        with card():
            heading(t["score_over_time"])
            words(t["score_what"]).classes("f-dim f-small")
            series = _scores(t, past, column.name)
            _drawn(t, series, [Threshold(1.0, t["matters_from"])], "")
        with card():
            heading(t["missing_over_time"])
            points = [(one.at_ms, _missing(one, column.name)) for one in past]
            levels = (
                []
                if found.missing is None
                else [Threshold(found.missing, t["baseline"], "var(--c7)")]
            )
            _drawn(t, [Series(t["missing"], points, colour="var(--c6)")], levels, "Percent")
        with card():
            heading(t["records_over_time"])
            rows = [(one.at_ms, float(one.report.rows)) for one in past if one.report]
            _drawn(t, [Series(t["records"], [*rows], colour="var(--c1)")], [], "")


def _facts(t: dict[str, str], column: Column) -> list[str]:
    parts = [
        f"{t.get(f'effect_{name}', name)} {number(value)}"
        for name, value in column.effects.items()
        if value is not None
    ][:8]
    if column.adjusted is not None and column.state != "not enough data":
        parts.append(f"p {number(column.adjusted)}")
    if column.detectable is not None:
        parts.append(t["detectable"].format(shift=number(column.detectable)))
    return parts


def _distribution(t: dict[str, str], found: Detail) -> None:
    drawn = found.drawn
    if not drawn:
        words(t["no_distribution"]).classes("f-dim f-nothing")
    elif isinstance(drawn, list):
        label = f"{found.column.name}. {compare.told_bars(drawn)}"
        chart(compare.draw_bars(t, drawn), label, f"{5 + 2.3 * len(drawn):.1f}rem")
    else:
        label = f"{found.column.name}. {compare.told_histogram(t, drawn)}"
        chart(compare.draw_histogram(t, drawn), label)


def _drawn(
    t: dict[str, str], series: Sequence[Series], levels: Sequence[Threshold], unit: str
) -> None:
    if not any(one.values for one in series):
        words(t["no_data"]).classes("f-dim f-nothing")
        return
    option = lines(series, unit=unit, thresholds=levels)
    for one in option["series"]:
        one["showSymbol"] = True  # a run is a moment; what lies between was not looked at
    highest = max([value for one in series for value in one.values] + [one.value for one in levels])
    top = _round_up(highest)
    option["yAxis"][0] |= {"min": 0, "max": top, "interval": top / 4}
    chart(option, f"{told(series, unit)}")


def _round_up(value: float) -> float:
    """Return the end of an axis, a round number not less than a value."""
    if not 0 < value < math.inf:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(
        step * size for step in (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10) if step * size >= value * 0.999
    )


def _scores(t: dict[str, str], past: Sequence[Run], name: str) -> list[Series]:
    """Return a series for each effect that a column ever had, by what matters."""
    points: dict[str, list[tuple[float, float | None]]] = {}
    for run in past:
        column = run.report.column(name) if run.report else None
        if run.report is None or column is None:
            continue
        for effect, value in run.report.scores(column).items():
            points.setdefault(effect, []).append((run.at_ms, value))
    known = sorted(points, key=lambda one: _EFFECTS.index(one) if one in _EFFECTS else _UNKNOWN)
    return [Series(t.get(f"effect_{one}", one), points[one]) for one in known[:8]]


def _missing(run: Run, name: str) -> float | None:
    column = run.report.column(name) if run.report else None
    return 100 * column.missing if column and column.missing is not None else None


def _features(t: dict[str, str], schedule: str, run: Run, past: Sequence[Run]) -> None:
    report = run.report
    if report is None or not report.columns:
        return
    heads = [t["feature"], t["verdict"], t["score"], t["changes"], t["missing"]]
    heads += [t["sagemaker_distance"]] if report.sagemaker else []
    rows = [_row(t, schedule, run, report, one, past) for one in by_change(report)[:_MOST_ROWS]]
    with card():
        heading(t["features"])
        words(t["score_what"]).classes("f-dim f-small")
        if report.sagemaker:
            words(t["sagemaker_distance_what"]).classes("f-dim f-small")
        table(heads, rows, t["empty"])
        if len(report.columns) > _MOST_ROWS:
            words(t["only_first"].format(count=_MOST_ROWS)).classes("f-dim f-small")


def _row(  # noqa: PLR0913, PLR0917 - a row is about as much
    t: dict[str, str], schedule: str, run: Run, report: Report, column: Column, past: Sequence[Run]
) -> list[Any]:
    link = f"/monitor/{quote(schedule, safe='')}?feature={quote(column.name, safe='')}&run={quote(run.job, safe='')}"
    points: list[tuple[float, float | None]] = []
    for one in past:
        then = one.report.column(column.name) if one.report else None
        points.append((one.at_ms, one.report.score(then) if one.report and then else None))
    score = report.score(column)

    def state() -> None:
        words(t.get(f"state_{column.state}", column.state)).classes(_state_class(column))

    def scored() -> None:
        with ui.element("div").classes("f-glance"):
            words(number(score))
            if sum(value is not None for _, value in points) > 1:
                shown = Range(past[0].at, past[-1].at, "")
                colour = "var(--c2)" if column.state == "changed" else "var(--c7)"
                sparkline(points, shown, f"{column.name}: {t['score_over_time']}", colour)

    reasons = ", ".join(
        f"{t.get(f'effect_{name}', name)} {number(column.effects.get(name))}"
        for name in column.reasons[:6]
    )
    missing = "" if column.missing is None else f"{number(100 * column.missing)} %"
    return [
        (column.name or "''", link),
        state,
        scored,
        lambda: words(reasons).classes("f-told" if reasons else ""),
        missing,
        *([distance(t, report.sagemaker.get(column.name))] if report.sagemaker else []),
    ]


def _state_class(column: Column) -> str:
    kind = {"changed": "busy", "same": "ok"}.get(column.state, "idle")
    return f"f-pill f-{kind}"


def _compared(then: Side, now: Side, kind: str) -> Histogram | list[Bar] | None:
    if kind == "texts":
        return compare.most_different(then.texts(), now.texts())
    return compare.histogram(then.numbers(), now.numbers())

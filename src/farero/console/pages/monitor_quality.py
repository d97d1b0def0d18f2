"""How good the model is, as reports tell it: measured with labels, estimated without; each with its band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nicegui import ui

from farero.console.charts import Series, Threshold, chart, lines, told
from farero.console.layout import card, heading, table, words
from farero.console.units import number
from farero.console.untrusted import as_list, as_number, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.reports import Report

_MOST = 12
_MOST_CHARTS = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one run; low and high: where the truth lies 95 times of 100."""

    value: float
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    state: str = ""
    #: What is usual: beyond it the model is worse.
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What one run says of the model; reason: why it says nothing."""

    figures: dict[str, Figure]
    rows: float | None = None
    method: str = ""
    reason: str = ""


def read(content: Any) -> Quality | None:
    """Read what stands under `quality` or `estimated` of a report; None if nothing does."""
    held = as_object(content)
    if not held:
        return None
    figures: dict[str, Figure] = {}
    for name, one in as_object(held.get("figures") or held.get("metrics")).items():
        made = _figure(one)
        if made is not None:
            figures[str(name)] = made
    return Quality(
        figures,
        rows=as_number(held.get("rows")),
        method=as_text(held.get("method")),
        reason=as_text(held.get("reason")),
    )


def draw_quality(t: dict[str, str], past: Sequence[tuple[float, Report]]) -> None:
    """Draw the newest report's figures beside the baseline's, and over time; past: (milliseconds, report)."""
    if not past:
        return
    for key, title in (("quality", "quality_measured"), ("estimated", "quality_estimated")):
        newest = read(getattr(past[-1][1], key))
        if newest is None:
            continue
        with card():
            heading(t[title])
            parts = [newest.method, f"{newest.rows:,.0f} {t['records_low']}" if newest.rows else ""]
            words(" · ".join(filter(None, [*parts, t[f"{title}_what"]]))).classes("f-dim f-small")
            if newest.reason:
                words(newest.reason).classes("f-reason")
            _table(t, newest)
        _over_time(t, [(at, read(getattr(one, key))) for at, one in past], newest)
    _together(t, past[-1][1].together)


def _together(t: dict[str, str], content: Any) -> None:
    """Draw whether all columns at once differ, though perhaps none does by itself."""
    held = as_object(content)
    auc = as_number(held.get("auc"))
    if auc is None:
        return
    with card():
        heading(t["together"])
        pairs = _pairs(held.get("pairs"))
        kind = "changed" if pairs else "same"
        words(t[f"state_{kind}"]).classes(f"f-pill f-{'busy' if kind == 'changed' else 'ok'}")
        words(t["together_what"].format(auc=number(auc))).classes("f-dim f-small")
        if pairs:
            words("; ".join(pairs)).classes("f-small")


def _table(t: dict[str, str], found: Quality) -> None:
    if not found.figures:
        return
    rows = [
        [
            name,
            number(one.value),
            f"{number(one.low)} … {number(one.high)}" if one.low is not None else "",
            number(one.reference) if one.reference is not None else "",
            lambda state=one.state: _state(t, state),
        ]
        for name, one in [*found.figures.items()][:_MOST]
    ]
    table([t["metric"], t["value"], t["band"], t["baseline"], ""], rows, t["empty"])


def _state(t: dict[str, str], state: str) -> None:
    if state:
        kind = {"worse": "bad", "better": "ok", "same": "ok"}.get(state, "idle")
        words(t.get(f"quality_{state}", state)).classes(f"f-pill f-{kind}")


def _over_time(
    t: dict[str, str], past: Sequence[tuple[float, Quality | None]], newest: Quality
) -> None:
    """Draw each metric over time between the ends of its band."""
    with ui.element("div").classes("f-charts"):
        _charts(t, past, newest)


def _charts(
    t: dict[str, str], past: Sequence[tuple[float, Quality | None]], newest: Quality
) -> None:
    for name in [*newest.figures][:_MOST_CHARTS]:
        known = [(at, one.figures[name]) for at, one in past if one and name in one.figures]
        if len(known) < 2:
            continue
        series = [
            Series(t["value"], [(at, one.value) for at, one in known], colour="var(--c1)"),
            Series(t["band_low"], [(at, one.low) for at, one in known], colour="var(--c7)"),
            Series(t["band_high"], [(at, one.high) for at, one in known], colour="var(--c7)"),
            Series(t["baseline"], [(at, one.reference) for at, one in known], colour="var(--c3)"),
        ]
        ends = (newest.figures[name].least, newest.figures[name].most)
        levels = [Threshold(one, t["worse_from"]) for one in ends if one is not None]
        option = lines([one for one in series if one.values], thresholds=levels)
        option["yAxis"][0]["scale"] = True
        with card():
            heading(f"{name}: {t['over_time_of']}")
            chart(option, f"{name}. {told(series)}")


def _figure(content: Any) -> Figure | None:
    held = as_object(content)
    value = as_number(held.get("value")) if held else as_number(content)
    if value is None:
        return None
    low, high = as_number(held.get("low")), as_number(held.get("high"))
    deviation = as_number(held.get("standard_deviation"))
    if low is None and deviation is not None:
        low, high = value - 1.96 * deviation, value + 1.96 * deviation
    return Figure(
        value, low, high, reference=as_number(held.get("reference")), state=as_text(held.get("state")),
        least=as_number(held.get("least")), most=as_number(held.get("most")),
    )  # fmt: skip


def _pairs(content: Any) -> list[str]:
    """Return the pairs of columns that give a run away."""
    return [
        ", ".join(map(str, cast("list[Any]", one)))[:200] for one in as_list(content)[:_MOST] if isinstance(one, list)
    ]  # fmt: skip

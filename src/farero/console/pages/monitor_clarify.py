"""Whether a model treats groups alike and what its answers come from, as reports of Clarify's runs tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console.charts import Series, Threshold, chart, lines, told
from farero.console.layout import card, heading, table, words
from farero.console.units import number
from farero.console.untrusted import as_list, as_number, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero.console.reports import Report

_MOST_GROUPS, _MOST_LABELS, _MOST_FEATURES, _MOST_CHARTS = 20, 10, 40, 4


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one group; low and high: where 99 of 100 samples of the window have it."""

    stage: str
    facet: str
    group: str
    name: str
    value: float | str | None
    low: float | None = None
    high: float | None = None
    baseline: float | str | None = None
    #: Farther from fair than in the baseline, and more than chance does.
    worse: bool = False
    beyond_chance: bool = False
    #: What it is called and why it has no value, in English and in Spanish.
    described: tuple[str, str] = ("", "")
    reason: tuple[str, str] = ("", "")

    @property
    def place(self) -> tuple[str, str, str]:
        """Of whom it is, and when it was looked at."""
        return self.stage, self.facet, self.group


@dataclass(frozen=True, slots=True)
class Attributions:
    """What one label's answers come from; limit: the NDCG from which on the baseline's order holds."""

    label: str
    ndcg: float | None
    limit: float | None
    changed: bool | None
    values: dict[str, float]
    baseline: dict[str, float]


def read_bias(content: Any) -> list[Metric]:
    """Read what stands under `bias` of a report; what cannot be read is left out."""
    found: list[Metric] = []
    for one in map(as_object, as_list(content)):
        if not one:
            continue
        spanish = as_object(one.get("spanish"))
        name = as_text(one.get("metric"))
        english = as_text(one.get("description")) or name
        reason = as_text(one.get("reason"))
        found.append(
            Metric(
                as_text(one.get("stage")), as_text(one.get("facet")), as_text(one.get("facet_value")), name,
                _value(one.get("value")), low=as_number(one.get("low")), high=as_number(one.get("high")),
                baseline=_value(one.get("baseline")), worse=one.get("worse") is True,
                beyond_chance=one.get("beyond_chance") is True,
                described=(english, as_text(spanish.get("description")) or english),
                reason=(reason, as_text(spanish.get("reason")) or reason),
            )
        )  # fmt: skip
    return found


def read_attributions(content: Any) -> list[Attributions]:
    """Read what stands under `attributions` of a report, a label each."""
    found: list[Attributions] = []
    for label, content_of in as_object(content).items():
        one = as_object(content_of)
        changed = one.get("changed")
        found.append(
            Attributions(
                str(label), as_number(one.get("ndcg")), as_number(one.get("limit")),
                changed if isinstance(changed, bool) else None,
                _numbers(one.get("values")), _numbers(one.get("baseline")),
            )
        )  # fmt: skip
    return found


def draw_clarify(t: dict[str, str], past: Sequence[tuple[float, Report]]) -> None:
    """Draw the newest report's metrics beside the baseline's, and over time; past: (milliseconds, report)."""
    if not past:
        return
    metrics = [(at, read_bias(one.bias)) for at, one in past]
    _bias(t, metrics[-1][1])
    with ui.element("div").classes("f-charts"):
        _bias_over_time(t, metrics)
    labels = [(at, read_attributions(one.attributions)) for at, one in past]
    for one in labels[-1][1][:_MOST_LABELS]:
        _attributions(t, one)
        _order_over_time(t, one, labels)


def _bias(t: dict[str, str], found: Sequence[Metric]) -> None:
    places = list(dict.fromkeys(one.place for one in found))
    for stage, facet, group in places[:_MOST_GROUPS]:
        with card():
            heading(f"{t['bias']}: {facet} {group}, {t.get(f'stage_{stage}', stage)}")
            words(t["bias_what"]).classes("f-dim f-small")
            held = [one for one in found if one.place == (stage, facet, group)]
            heads = [t["metric"], t["value"], t["samples_99"], t["baseline"], ""]
            table(heads, [_row(t, one) for one in held], t["empty"])
    if len(places) > _MOST_GROUPS:
        words(t["only_first"].format(count=_MOST_GROUPS)).classes("f-dim f-small")


def _row(t: dict[str, str], one: Metric) -> list[Any]:
    spanish = t["locale"] == "es"
    band = f"{number(one.low)} … {number(one.high)}" if one.low is not None else ""
    value = one.reason[spanish] if one.value is None and one.reason[spanish] else _shown(one.value)
    return [
        one.described[spanish],
        lambda: words(value).classes("f-told"),
        band,
        "" if one.baseline is None else _shown(one.baseline),
        lambda: _state(t, one),
    ]


def _state(t: dict[str, str], one: Metric) -> None:
    if one.beyond_chance:
        words(t["bias_beyond"]).classes("f-pill f-bad")
    elif one.worse:
        words(t["bias_farther"]).classes("f-pill f-note")


def _bias_over_time(t: dict[str, str], past: Sequence[tuple[float, Sequence[Metric]]]) -> None:
    """Draw the metrics that the newest run found worse, those beyond chance first."""
    newest = sorted(
        (one for one in past[-1][1] if one.worse), key=lambda one: not one.beyond_chance
    )
    for metric in newest[:_MOST_CHARTS]:
        known = [
            (at, one) for at, held in past for one in held if (one.place, one.name) == (metric.place, metric.name)
        ]  # fmt: skip
        series = [
            Series(t["value"], [(at, as_number(one.value)) for at, one in known], colour="var(--c1)"),
            Series(t["band_low"], [(at, one.low) for at, one in known], colour="var(--c7)"),
            Series(t["band_high"], [(at, one.high) for at, one in known], colour="var(--c7)"),
            Series(t["baseline"], [(at, as_number(one.baseline)) for at, one in known], colour="var(--c3)"),
        ]  # fmt: skip
        name = f"{metric.name} {metric.facet} {metric.group}"
        _drawn(f"{name}: {t['over_time_of']}", name, series, [])


def _attributions(t: dict[str, str], found: Attributions) -> None:
    with card():
        heading(f"{t['comes_from']} {found.label}")
        if found.ndcg is not None:
            if found.changed is not None:
                kind = "changed" if found.changed else "same"
                words(t[f"order_{kind}"]).classes(f"f-pill f-{'busy' if found.changed else 'ok'}")
            limit = (
                "" if found.limit is None else t["order_limit"].format(limit=number(found.limit))
            )
            words(f"NDCG {number(found.ndcg)}{limit}").classes("f-dim f-small")
        ranked = sorted(found.values.items(), key=lambda one: -abs(one[1]))
        rows = [
            [name, number(value), number(found.baseline[name]) if name in found.baseline else ""]
            for name, value in ranked[:_MOST_FEATURES]
        ]
        if rows:
            table([t["feature"], t["attribution"], t["baseline"]], rows, t["empty"])
        if len(ranked) > _MOST_FEATURES:
            words(t["only_first"].format(count=_MOST_FEATURES)).classes("f-dim f-small")


def _order_over_time(
    t: dict[str, str], newest: Attributions, past: Sequence[tuple[float, Sequence[Attributions]]]
) -> None:
    points = [(at, one.ndcg) for at, held in past for one in held if one.label == newest.label]
    levels = [] if newest.limit is None else [Threshold(newest.limit, t["order_holds_from"])]
    name = f"NDCG {newest.label}"
    _drawn(f"{name}: {t['over_time_of']}", name, [Series("NDCG", points, colour="var(--c1)")], levels)  # fmt: skip


def _drawn(title: str, name: str, series: Sequence[Series], levels: Sequence[Threshold]) -> None:
    """Draw what at least two runs tell."""
    known = [one for one in series if one.values]
    if not known or len(known[0].values) < 2:
        return
    option = lines(known, thresholds=levels)
    option["yAxis"][0]["scale"] = True
    with card():
        heading(title)
        chart(option, f"{name}. {told(known)}")


def _shown(value: float | str | None) -> str:
    return value if isinstance(value, str) else number(value)


def _value(content: Any) -> float | str | None:
    """Return a number, or an infinite one as the report writes it."""
    if isinstance(content, str) and content in {"inf", "-inf"}:
        return content.replace("inf", "∞")
    return as_number(content)


def _numbers(content: Any) -> dict[str, float]:
    known = {str(name): as_number(value) for name, value in as_object(content).items()}
    return {name: value for name, value in known.items() if value is not None}

"""One card a column: baseline against window, and how its score and its missing values went on over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero_monitor.report import drawings, lines, svg
from farero_monitor.report.view import name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.drift.verdict import ColumnVerdict
    from farero_monitor.report.view import View


def cards(view: View, columns: Sequence[ColumnVerdict], room: int) -> tuple[str, int]:
    """Return the cards of as many columns as fit into `room` bytes, and how many do not."""
    made: list[str] = []
    for place, column in enumerate(columns):
        one = card(view, column)
        room -= len(one.encode())
        if room < 0:
            return "".join(made), len(columns) - place
        made.append(one)
    return "".join(made), 0


def card(view: View, column: ColumnVerdict) -> str:
    """Return the card of one column."""
    now, then = view.result.profile.columns[column.name], view.baseline.references[column.name]
    if column.kind == "numbers" and then.steps is not None and now.quantiles.count:
        steps = now.quantiles.steps()
        drawn = drawings.histogram(steps, then.steps, view.say("histogram"))
        drawn += drawings.ecdf(steps, then.steps, view.say("apart", gap="{gap}", at="{at}"))
        facts = [view.say("mean", then=svg.short(then.mean), now=svg.short(now.moments.mean))]
        if column.moved:
            facts.append(view.say("moved", moved=svg.short(column.moved)))
    else:
        counts = now.categories.counts if now.categories else {}
        drawn = drawings.bars(
            counts, then.counts, now.present, then.present,
            label=view.say("shares"), new=view.say("new"), gone=view.say("gone"),
        )  # fmt: skip
        different = now.categories.distinct if now.categories else 0
        facts = [view.say("different", then=len(then.counts), now=different)]
    before = 1 - then.present / max(1, then.rows)
    if before or now.missing:
        facts.append(view.say("missing_change", then=before, now=1 - now.completeness))
    state = view.say("once" if column.name in view.only_once else column.state)
    if column.state != "not enough data":
        state += f" · {view.say('score')} {svg.short(round(column.score, 2))}"
    return (
        f'<section class="card {column.state.split()[0]}"><h3>{name(column.name)}</h3>'
        f'<p class="dim"><b>{state}</b> · {" · ".join(facts)}</p>{drawn}{_over_time(view, column)}</section>'
    )


def _over_time(view: View, column: ColumnVerdict) -> str:
    if len(view.windows) < 2:
        return ""
    points = [window.get(column.name) for window in view.points]
    enough = [point if point and point.state != "not enough data" else None for point in points]
    scores = lines.Series(values=[point.score if point else None for point in enough], limits=[1.0])
    made = _figure(view.say("score"), lines.draw(scores, view.say("score_label"), view.ends))
    missing = [point.missing if point else None for point in points]
    if any(missing):
        series = lines.Series(values=missing, form=".1%")
        drawn = lines.draw(series, view.say("missing_label"), view.ends)
        made += _figure(view.say("missing"), drawn)
    return made


def _figure(title: str, drawn: str) -> str:
    return f'<p class="of">{title}</p>{drawn}' if drawn else ""

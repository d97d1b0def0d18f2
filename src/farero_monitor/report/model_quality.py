"""How good the model is, measured with labels and estimated without: each metric with its band, now and over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero_monitor.aws.content import section as section_of
from farero_monitor.drift.together import MIN_EFFECT
from farero_monitor.report import confusion, lines
from farero_monitor.report.view import name, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.history import Figure, Quality
    from farero_monitor.report.view import View

#: Metrics that are drawn and listed, of each kind.
MOST = 40


def section(view: View) -> str:
    """Return what there is of it: measured, estimated, and whether all columns together differ; empty if nothing."""
    return (
        _quality(view, "quality", [window.quality for window in view.windows])
        + confusion.matrix(view, section_of(view.result.more, "quality").get("confusion_matrix"))
        + _quality(view, "estimated", [window.estimated for window in view.windows])
        + _together(view)
    )


def _quality(view: View, kind: str, windows: Sequence[Quality | None]) -> str:
    now = windows[-1]
    if now is None:
        return ""
    made = f"<h2>{view.say(kind)}</h2>"
    made += f'<p class="dim">{view.say(f"{kind}_why", method=now.method)}'
    if now.rows is not None and now.window_rows is not None:
        made += f" {view.say('rows_of', rows=now.rows, window=now.window_rows)}"
    made += "</p>"
    if now.reason:
        made += f"<p>{safe(now.reason)}</p>"
    names = [*now.figures][:MOST]
    if not names:
        return made
    heads = ("metric", "value", "band", "in_baseline", "usual", "state")
    numeric = {"value", "band", "in_baseline", "usual"}
    cells = "".join(
        f"<th scope=col{' class=n' if head in numeric else ''}>{view.say(head)}</th>"
        for head in heads
    )
    rows = "".join(_row(view, metric, now.figures[metric]) for metric in names)
    made += f'<div class="scroll"><table class="wide"><thead><tr>{cells}</tr></thead>'
    made += f"<tbody>{rows}</tbody></table></div>"
    if len(windows) < 2:
        return made
    return f'{made}<div class="cards">{"".join(_card(view, metric, windows) for metric in names)}</div>'


def _row(view: View, metric: str, figure: Figure) -> str:
    kind = {"worse": "critical", "better": ""}.get(figure.state, "")
    state = view.say(figure.state) if figure.state in {"same", "worse", "better"} else ""
    return (
        f'<tr class="{kind}"><td>{name(metric)}</td><td class=n>{_number(figure.value)}</td>'
        f"<td class=n>{_span(view, figure.low, figure.high)}</td><td class=n>{_number(figure.reference)}</td>"
        f"<td class=n>{_span(view, figure.least, figure.most)}</td><td>{state}</td></tr>"
    )


def _card(view: View, metric: str, windows: Sequence[Quality | None]) -> str:
    figures = [window.figures.get(metric) if window else None for window in windows]
    now = figures[-1]
    usual = (now.least, now.most) if now else ()
    bands = [
        (figure.low, figure.high)
        if figure and figure.low is not None and figure.high is not None
        else None
        for figure in figures
    ]
    series = lines.Series(
        values=[figure.value if figure else None for figure in figures],
        bands=bands, limits=[limit for limit in usual if limit is not None], from_zero=False,
    )  # fmt: skip
    drawn = lines.draw(series, f"{metric} {view.say('with_band')}", view.ends)
    return f'<section class="card"><h3>{name(metric)}</h3>{drawn}</section>' if drawn else ""


def _together(view: View) -> str:
    found = view.windows[-1].together
    if found is None or found.auc is None:
        return ""
    made = f'<h2>{view.say("together")}</h2><p class="dim">{view.say("together_why")}</p>'
    made += f"<p>{view.say('together_differ' if found.changed else 'together_same', auc=found.auc)}"
    if found.pairs:
        pairs = "; ".join(f"{name(one)}, {name(other)}" for one, other in found.pairs)
        made += f" {view.say('most_of_all')} {pairs}."
    made += "</p>"
    series = lines.Series(
        values=[window.together.auc if window.together else None for window in view.windows],
        limits=[MIN_EFFECT], from_zero=False,
    )  # fmt: skip
    if len(view.windows) > 1:
        drawn = lines.draw(series, view.say("together"), view.ends)
        made += f'<div class="cards"><section class="card"><h3>ROC AUC</h3>{drawn}</section></div>'
    return made


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _span(view: View, low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return view.say(
            "at_least" if high is None else "at_most", value=_number(low if high is None else high)
        )
    return view.say("from_to", low=_number(low), high=_number(high))

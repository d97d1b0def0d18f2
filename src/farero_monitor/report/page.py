"""The report of one window as one HTML page: no script, no outside request, readable on a phone.

The page has a budget of bytes, whatever the number of columns: those that changed most are drawn first, and what is
left out is said. Every text that comes from data is escaped.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from farero_monitor.drift.verdict import ORDER, sentence
from farero_monitor.history import of_content
from farero_monitor.report import lines, model_quality
from farero_monitor.report.cards import cards
from farero_monitor.report.style import STYLE
from farero_monitor.report.view import View, name, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from farero_monitor.drift.verdict import ColumnVerdict, Finding
    from farero_monitor.monitor import Baseline, Result
    from farero_monitor.words import Language

#: Bytes of a page: 300 KB at 20 columns, 2 MB at 1,000, and never more.
LEAST, A_COLUMN, LARGEST = 200_000, 4_500, 1_950_000
#: Rows of tables; what stands in them is at most a quarter of the page.
FINDINGS, VIOLATIONS, LISTED = 200, 200, 1_000
#: Smaller ones are not told apart.
SMALLEST = 1e-12
#: Share of changed columns from which they are a warning.
MANY = 0.3


def write(
    result: Result, baseline: Baseline, path: Path, title: str = "", *, language: Language = "en"
) -> None:
    """Write the page of a judged window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(result, baseline, title, language=language), encoding="utf-8")


def page(result: Result, baseline: Baseline, title: str = "", *, language: Language = "en") -> str:
    """Return the page of a judged window; the windows before it are drawn along with it."""
    judged = result.verdict
    view = View(result, baseline, [*result.earlier, of_content(result.report())], language)
    alone = "quality" in result.more and not judged.columns
    title = safe(title) if title else view.say("title_quality" if alone else "title")
    columns = sorted(judged.columns, key=lambda c: (c.state != "changed", -c.score, c.adjusted))
    answers = result.profile.answers
    told = [column for column in columns if column.name in answers]
    others = [column for column in columns if column.name not in answers]
    head = [
        f"<!doctype html><html lang={language}><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">",
        f"<title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>",
        f'<p class="dim">{_when(view)}{view.say("records", rows=judged.rows)}</p>',
        f'<p class="verdict {judged.severity}">{_sentence(view)}</p>',
        _findings(view, judged.findings),
        _unread(view),
    ]
    middle = [model_quality.section(view), _over_time(view)]
    tail = [
        _table(view, columns),
        _violations(view),
        _notes(view, columns),
        "</main></body></html>",
    ]
    room = min(LARGEST, LEAST + A_COLUMN * len(columns))
    room -= sum(len(part.encode()) + 1 for part in (*head, *middle, *tail))
    drawn_first, left = cards(view, told, room)
    drawn, left_others = cards(view, others, room - len(drawn_first.encode()))
    parts = [
        *head,
        _cards(view, "predictions", drawn_first, view.say("predictions_why")),
        *middle,
        _cards(view, "columns", drawn, ""),
        _dim(view.say("not_drawn", count=left + left_others)) if left + left_others else "",
        *tail,
    ]
    return "\n".join(part for part in parts if part)


def _when(view: View) -> str:
    start, end = (time[:16].replace("T", " ") for time in (view.result.start, view.result.end))
    return f"{view.say('span', start=start, end=end)} · " if start and end else ""


def _sentence(view: View) -> str:
    return safe(sentence(view.result.verdict, view.language))


def _dim(text: str) -> str:
    return f'<p class="dim">{text}</p>'


def _heading(text: str) -> str:
    return f"<h2>{text}</h2>"


def _rows(kind: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th scope=col>{head}</th>" for head in heads)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _findings(view: View, findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    counts = Counter(finding.severity for finding in findings)
    chips = "".join(
        f'<span class="{severity}">{view.say(severity)}: {counts[severity]}</span>'
        for severity in reversed(ORDER)
        if counts[severity]
    )
    rows = [
        f'<tr class="{f.severity}"><td>{view.say(f.severity)}</td><td>{name(f.column) if f.column else ""}</td>'
        f"<td>{safe(f.text_in(view.language))}</td></tr>"
        for f in findings[:FINDINGS]
    ]
    more = len(findings) - FINDINGS
    return (
        f'{_heading(view.say("what"))}<p class="counts">{chips}</p>'
        + _rows("stack", [view.say(key) for key in ("severity", "column", "finding")], rows)
        + (_dim(view.say("more_findings", count=more)) if more > 0 else "")
    )


def _unread(view: View) -> str:
    unread = view.result.profile.unread
    if not unread.count:
        return ""
    places = "".join(
        f"<li>{name(file)}, {name(place)}: {safe(reason)}</li>"
        for file, place, reason in unread.places
    )
    return f"{_heading(view.say('unread', count=unread.count))}<ul>{places}</ul>"


def _cards(view: View, key: str, drawn: str, why: str) -> str:
    if not drawn:
        return ""
    legend = (
        f'<p class="key dim"><i style="background:var(--base)"></i>{view.say("baseline")}'
        f'<i style="background:var(--now)"></i>{view.say("window")}</p>'
    )
    return f'{_heading(view.say(key))}{_dim(why) if why else ""}{legend}<div class="cards">{drawn}</div>'


def _over_time(view: View) -> str:
    windows = view.windows
    if len(windows) < 2:
        return ""
    figures = [
        ("rows", lines.Series(values=[float(window.rows) for window in windows], form=",.0f")),
        ("missing", lines.Series(values=[window.missing for window in windows], form=".1%")),
        (
            "share_changed",
            lines.Series(values=[w.share_changed for w in windows], form=".1%", limits=[MANY]),
        ),
    ]
    drawings = [(key, lines.draw(series, view.say(key), view.ends)) for key, series in figures]
    drawn = "".join(
        f'<section class="card"><h3>{view.say(key)}</h3>{drawing}</section>'
        for key, drawing in drawings
        if drawing
    )
    said = f"{view.say('windows', count=len(windows))} {view.say('limit')}"
    return f'{_heading(view.say("over_time"))}{_dim(said)}<div class="cards">{drawn}</div>'


def _table(view: View, columns: Sequence[ColumnVerdict]) -> str:
    if not columns:
        return ""
    heads = ("column", "verdict", "score", "p", "missing", "detectable", "effects")
    more = len(columns) - LISTED
    return (
        f"<details class=card{' open' if len(columns) <= 50 else ''}><summary><b>{view.say('every')}</b></summary>"
        + _rows("wide", [view.say(key) for key in heads], [_row(view, c) for c in columns[:LISTED]])
        + "</details>"
        + (_dim(view.say("not_listed", count=more)) if more > 0 else "")
    )


def _row(view: View, column: ColumnVerdict) -> str:
    write_effect: Callable[[str, float], str] = lambda key, value: (  # noqa: E731
        f"{view.say('new_values' if key == 'new' else key)} {value:+.3g}"
    )
    effects = ", ".join(write_effect(key, value) for key, value in column.effects.items())
    enough = column.state != "not enough data"
    p = _p(column.adjusted) if enough else ""
    score = f"{column.score:.2f}" if enough else ""
    found = f"{column.detectable:.2f}" if column.detectable is not None else ""
    return (
        f"<tr><td>{name(column.name)}</td><td>{view.say(column.state)}</td><td class=n>{score}</td><td class=n>{p}</td>"
        f"<td class=n>{column.missing:.2%}</td><td class=n>{found}</td><td>{effects}</td></tr>"
    )


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= SMALLEST else f"&lt; {SMALLEST:.0g}"


def _violations(view: View) -> str:
    violations = view.result.violations
    if not violations:
        return ""
    rows = [
        f"<tr><td>{v.constraint_check_type}</td><td>{name(v.feature_name)}</td><td>{safe(v.description)}</td></tr>"
        for v in violations[:VIOLATIONS]
    ]
    more = len(violations) - VIOLATIONS
    return (
        _heading(view.say("sagemaker"))
        + _rows("stack", [view.say(key) for key in ("check", "feature", "description")], rows)
        + (_dim(view.say("more_violations", count=more)) if more > 0 else "")
    )


def _notes(view: View, columns: Sequence[ColumnVerdict]) -> str:
    found = [column.detectable for column in columns if column.detectable is not None]
    sure = f"{view.say('sure', shift=max(found))} " if found else ""
    said = [sure + view.say("explain")] if columns else []
    if {"quality", "estimated"} & {*view.result.more}:
        said.append(view.say("explain_quality"))
    return _heading(view.say("how")) + "".join(_dim(text) for text in said) if said else ""

"""The report of one window as one HTML page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from farero_monitor.report import drawings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farero_monitor.drift.verdict import ColumnVerdict, Finding
    from farero_monitor.monitor import Baseline, Result

#: Columns that are drawn; the others stand in the table alone.
DRAWN = 400
_STYLE = """
:root{--ink:#1c2733;--dim:#5b6875;--paper:#fff;--card:#f5f7f9;--base:#b9c4cf;--now:#0b6bcb;--bad:#b3261e;--warn:#a15c00;--line:#dde3e9}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa7b4;--paper:#12181f;--card:#1b232c;--base:#4a5866;--now:#6cb2ff;--bad:#ff8a80;--warn:#ffbf5e;--line:#2b3640}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:74rem;margin:auto;padding:1.2rem}h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:0}
.verdict{padding:1rem;border-left:6px solid var(--now);background:var(--card);font-size:1.15rem}.verdict.critical{border-color:var(--bad)}.verdict.warning{border-color:var(--warn)}
.dim{color:var(--dim);font-size:.9rem}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}th,td{text-align:left;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line)}
td.n{text-align:right;font-variant-numeric:tabular-nums}.critical b{color:var(--bad)}.warning b{color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1rem}.card{background:var(--card);border-radius:.6rem;padding:.9rem}
svg{width:100%;height:auto;display:block;margin-top:.5rem}svg text{fill:var(--dim);font-size:10px}.b{fill:var(--base)}.bl{fill:none;stroke:var(--base);stroke-width:3}.c{fill:none;stroke:var(--now);stroke-width:2}.cf{fill:var(--now)}.g{stroke:var(--bad);stroke-width:2}
.key i{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 .8rem;vertical-align:-1px}
""".strip()


def write(result: Result, baseline: Baseline, path: Path, title: str = "Drift report") -> None:
    """Write the page of a judged window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(result, baseline, title), encoding="utf-8")


def page(result: Result, baseline: Baseline, title: str = "Drift report") -> str:
    """Return the page of a judged window."""
    judged = result.verdict
    when = f"{judged.first} to {judged.last} · " if judged.first else ""
    columns = sorted(
        judged.columns, key=lambda column: (column.state != "changed", column.adjusted)
    )
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="dim">{escape(when)}{judged.rows:,} records</p>',
        f'<p class="verdict {judged.severity}">{escape(judged.sentence)}</p>',
        _findings(judged.findings),
        _unread(result),
        _violations(result),
        _table(result, columns),
        (
            '<h2>Columns</h2><p class="key dim"><i class="b" style="background:var(--base)"></i>baseline'
            '<i style="background:var(--now)"></i>this window</p><div class="cards">'
        ),
        *(_card(result, baseline, column) for column in columns[:DRAWN]),
        "</div>",
        f'<p class="dim">The first {DRAWN} columns are drawn.</p>' if len(columns) > DRAWN else "",
        _notes(columns),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = "".join(
        f'<tr class="{f.severity}"><td><b>{f.severity}</b></td><td>{escape(f.column)}</td>'
        f"<td>{escape(f.text)}</td></tr>"
        for f in findings
    )
    return (
        "<h2>What to look at</h2><div class=scroll><table><thead><tr><th scope=col>severity</th>"
        f"<th scope=col>column</th><th scope=col>what</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _unread(result: Result) -> str:
    unread = result.profile.unread
    if not unread.count:
        return ""
    places = "".join(
        f"<li>{escape(file)}, {escape(place)}: {escape(reason)}</li>"
        for file, place, reason in unread.places
    )
    return f"<h2>{unread.count} lines could not be read</h2><ul>{places}</ul>"


def _violations(result: Result) -> str:
    if not result.violations:
        return ""
    rows = "".join(
        f"<tr><td>{escape(v.feature_name)}</td><td>{v.constraint_check_type}</td>"
        f"<td>{escape(v.description)}</td></tr>"
        for v in result.violations
    )
    return (
        "<h2>Violations as SageMaker words them</h2><div class=scroll><table><thead><tr>"
        "<th scope=col>feature</th><th scope=col>check</th><th scope=col>description</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _table(result: Result, columns: Sequence[ColumnVerdict]) -> str:
    rows = ""
    for column in columns:
        missing = 1.0 - result.profile.columns[column.name].completeness
        effects = ", ".join(f"{name} {value:+.3f}" for name, value in column.effects.items())
        p = "" if column.state == "not enough data" else f"{column.adjusted:.2g}"
        rows += (
            f"<tr><td>{escape(column.name)}</td><td>{column.state}</td><td class=n>{p}</td>"
            f"<td>{effects}</td><td class=n>{missing:.2%}</td></tr>"
        )
    return (
        "<h2>Every column</h2><div class=scroll><table><thead><tr><th scope=col>column</th>"
        "<th scope=col>verdict</th><th scope=col>adjusted p</th><th scope=col>effects</th>"
        f"<th scope=col>missing</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _card(result: Result, baseline: Baseline, column: ColumnVerdict) -> str:
    now, then = result.profile.columns[column.name], baseline.references[column.name]
    if column.kind == "numbers" and then.steps is not None and now.quantiles.count:
        steps = now.quantiles.steps()
        drawn = drawings.histogram(steps, then.steps) + drawings.ecdf(steps, then.steps)
        mean = f"mean {drawings.short(then.mean)} → {drawings.short(now.moments.mean)}"
    else:
        counts = now.categories.counts if now.categories else {}
        drawn = drawings.bars(counts, then.counts, now.present, then.present)
        mean = f"{len(then.counts)} → {now.categories.distinct if now.categories else 0} different values"
    gone = f"missing {1 - then.present / max(1, then.rows):.1%} → {1 - now.completeness:.1%}"
    return (
        f'<section class="card"><h3>{escape(column.name)}</h3>'
        f'<p class="dim">{column.state} · {mean} · {gone}</p>{drawn}</section>'
    )


def _notes(columns: Sequence[ColumnVerdict]) -> str:
    found = [column.detectable for column in columns if column.detectable is not None]
    sure = (
        f"A shift of the mean of {max(found):.2f} standard deviations or more would have been found in any column of"
        " numbers, 95 times of 100. " if found else ""
    )  # fmt: skip
    return (
        f'<h2>How to read this</h2><p class="dim">{sure}A column counts as changed when its tests together are'
        " significant, with at most 1 % false ones among all columns (Benjamini and Hochberg), and the change is large"
        " enough to matter. “Not enough data” is not “no drift”. Drift by itself is a notice: the model may still"
        " be right.</p>"
    )

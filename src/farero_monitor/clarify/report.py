"""The report of an analysis as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from farero_monitor.clarify import texts
from farero_monitor.clarify.violations import SECTIONS, attributions_of, metrics_of, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from farero_monitor.clarify.analysis import Analysis
    from farero_monitor.words import Language

#: Features that are drawn for a label, the largest first.
DRAWN = 40
_STYLE = """
:root{--ink:#1c2733;--dim:#5b6875;--paper:#fff;--card:#f5f7f9;--now:#0b6bcb;--bad:#b3261e;--line:#dde3e9}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9aa7b4;--paper:#12181f;--card:#1b232c;--now:#6cb2ff;--bad:#ff8a80;--line:#2b3640}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:64rem;margin:auto;padding:1.2rem}h1{font-size:1.5rem;margin:.2rem 0}
h2{font-size:1.15rem;margin:2rem 0 .6rem}
.verdict{padding:1rem;border-left:6px solid var(--now);background:var(--card);font-size:1.1rem}
.bad{border-color:var(--bad)}
.dim{color:var(--dim);font-size:.9rem}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums}
b.bad{color:var(--bad)}.bar{display:block;height:.8rem;background:var(--now);min-width:1px}td.w{width:45%}
""".strip()
_STAGES: dict[str, str] = dict(zip(SECTIONS, ("pre", "post"), strict=True))


def page(  # noqa: PLR0913 - by name
    found: Analysis, *, title: str, sentence: str, violations: Sequence[Mapping[str, Any]] = (),
    judged: Sequence[Mapping[str, Any]] = (), scores: Mapping[str, float] | None = None,
    language: Language = "en",
) -> str:  # fmt: skip
    """Return the page. judged, scores: of a monitoring run, beside its baseline."""
    parts = [
        f"<!doctype html><html lang={language}><head><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">",
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1><p class=dim>{texts.say('rows', language, rows=found.rows)}</p>",
        f'<p class="verdict{" bad" if violations else ""}">{escape(sentence)}</p>',
        _bias(found, judged, violations, language),
        _attributions(found, scores or {}, language),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def bias_told(found: Analysis, judged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what was judged of each metric, with its name, the span of 99 % of samples, and why it has no value.

    `low`, `high` and `reason` are null where there is none; `spanish` has the texts in Spanish.
    """
    errors = {
        (name.removesuffix("_bias_metrics"), facet, group, metric): str(held.get("error") or "")
        for (name, facet, group, metric), held in metrics_of(found.content)
    }
    made: list[dict[str, Any]] = []
    for one in judged:
        metric = one["metric"]
        error = errors.get((one["stage"], one["facet"], one["facet_value"], metric)) or ""
        low, high = found.intervals.get((one["facet"], one["facet_value"], metric), (None, None))
        made.append({
            **one, "low": low, "high": high, "description": texts.described(metric), "reason": error or None,
            "spanish": {
                "description": texts.described(metric, "es"), "reason": texts.reason(error, "es") or None,
            },
        })  # fmt: skip
    return made


def write(path: Path, text: str) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _bias(
    found: Analysis, judged: Sequence[Mapping[str, Any]], violations: Sequence[Mapping[str, Any]],
    language: Language,
) -> str:  # fmt: skip
    before = {(j["stage"], j["facet"], j["facet_value"], j["metric"]): j for j in judged}
    broken = {(v.get("facet"), v.get("facet_value"), v.get("metric_name")) for v in violations}
    made: list[str] = []
    last = ("", "", "")
    for (name, facet, group, metric), held in metrics_of(found.content):
        if (name, facet, group) != last:
            if made:
                made.append("</tbody></table></div>")
            made.append(
                _head(found.content[name], (name, facet, group), language, beside=bool(judged))
            )
            last = (name, facet, group)
        beside = before.get((name.removesuffix("_bias_metrics"), facet, group, metric), {})
        interval = found.intervals.get((facet, group, metric))
        value = value_of(held)
        why = texts.reason(str(held.get("error", "")), language)
        shown = escape(why) if value is None else f"{value:.4f}"
        bad = f" <b class=bad>{texts.say('worse', language)}</b>"
        sure = f" {texts.say('beyond', language)}" if beside.get("beyond_chance") else ""
        span = texts.say("span", language, low=interval[0], high=interval[1]) if interval else ""
        made.append(
            f"<tr><td>{escape(texts.described(metric, language))}"
            f"{bad if (facet, group, metric) in broken else ''}{sure}</td><td class=n>{shown}</td>"
            f"<td class=n>{span}</td>{_cell(beside.get('baseline')) if judged else ''}</tr>"
        )
    return "".join(made) + ("</tbody></table></div>" if made else "")


def _head(
    content: Mapping[str, Any], at: tuple[str, str, str], language: Language, *, beside: bool
) -> str:
    stage, facet, group = at
    title = texts.say(_STAGES[stage], language, facet=facet, group=group)
    label, value = content["label"], content["label_value_or_threshold"]
    heads = ["value", "samples", *(["baseline"] if beside else [])]
    return (
        f"<h2>{escape(title)}</h2>"
        f"<p class=dim>{escape(texts.say('positive', language, label=label, value=value))}</p>"
        f"<div class=scroll><table><thead><tr><th scope=col>{texts.say('metric', language)}</th>"
        + "".join(f"<th scope=col class=n>{texts.say(head, language)}</th>" for head in heads)
        + "</tr></thead><tbody>"
    )


def _cell(value: object) -> str:
    shown = f"{value:.4f}" if isinstance(value, float) else escape(str(value or ""))
    return f"<td class=n>{shown}</td>"


def _attributions(found: Analysis, scores: Mapping[str, float], language: Language) -> str:
    if found.explained is None:
        return ""
    made: list[str] = []
    for label, values in attributions_of(found.content).items():
        most = max((abs(value) for value in values.values()), default=0.0) or 1.0
        ranked = sorted(values.items(), key=lambda held: -abs(held[1]))
        how = texts.say(
            "explained", language, how=texts.how(found.explained.how, language), rows=found.rows,
            explained=len(found.explained.local),
        )  # fmt: skip
        if label in scores:
            how = texts.say("against", language, what=how, score=scores[label])
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td class=n>{value:.5g}</td>"
            f'<td class=w><i class=bar style="width:{100 * abs(value) / most:.1f}%"></i></td></tr>'
            for name, value in ranked[:DRAWN]
        )
        made.append(
            f"<h2>{escape(texts.say('comes_from', language, label=label))}</h2><p class=dim>{escape(how)}</p>"
            f"<div class=scroll><table><thead><tr><th scope=col>{texts.say('feature', language)}</th>"
            f"<th scope=col class=n>{texts.say('attribution', language)}</th>"
            f"<th scope=col></th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
        if len(ranked) > DRAWN:
            told = texts.say("first", language, count=DRAWN, all=len(ranked))
            made.append(f"<p class=dim>{told}</p>")
    return "".join(made)

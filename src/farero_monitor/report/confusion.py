"""The confusion matrix of measured quality: which labels the model takes for which, a row a true label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from farero_monitor.report.view import name

if TYPE_CHECKING:
    from farero_monitor.report.view import View

#: Labels that are shown, the most frequent first: a table that a phone can still scroll through.
MOST = 12


def matrix(view: View, content: Any) -> str:
    """Return the table of `label → prediction → rows`; empty if there is none.

    Each cell is shaded by its share of the row: the diagonal is recall, what is beside it is where the rest went.
    """
    counts = _counts(content)
    if not counts:
        return ""
    totals = {label: sum(row.values()) for label, row in counts.items()}
    labels = sorted(counts, key=lambda label: -totals[label])[:MOST]
    labels = [label for label in counts if label in labels]  # in the order of the report
    heads = "".join(f"<th scope=col class=n>{name(label)}</th>" for label in labels)
    rows = "".join(
        f"<tr><th scope=row>{name(label)}</th>"
        + "".join(
            _cell(counts[label].get(said, 0), totals[label], right=said == label) for said in labels
        )
        + f"<td class=n>{totals[label]:,}</td></tr>"
        for label in labels
    )
    rest = len(counts) - len(labels)
    return (
        f'<h3>{view.say("confusion")}</h3><p class="dim">{view.say("confusion_why")}</p>'
        f'<div class="scroll"><table class="wide matrix"><thead><tr><th scope=col>{view.say("true_and_told")}</th>'
        f"{heads}<th scope=col class=n>{view.say('all_rows')}</th></tr></thead><tbody>{rows}</tbody></table></div>"
        + (f'<p class="dim">{view.say("labels_left_out", count=rest)}</p>' if rest > 0 else "")
    )


def _counts(content: Any) -> dict[str, dict[str, int]]:
    if not isinstance(content, dict):
        return {}
    return cast("dict[str, dict[str, int]]", content)


def _cell(count: int, total: int, *, right: bool) -> str:
    share = count / total if total else 0.0
    colour = "--now" if right else "--bad"
    shade = f"background:color-mix(in srgb,var({colour}) {round(45 * share)}%,transparent)"
    text = f"<small>{share:.0%}</small>" if total else ""
    return f'<td class=n style="{shade}">{count:,} {text}</td>'

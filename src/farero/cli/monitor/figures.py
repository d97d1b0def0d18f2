"""A model's quality as a table: measured by labels, or estimated without them. Pure."""

from __future__ import annotations

from typing import Any

from farero.cli.output import lines

#: What a person reads first, of each kind of problem.
FIRST = (
    "roc_auc", "auc", "accuracy", "precision", "recall", "f1", "weighted_precision", "weighted_recall", "weighted_f1",
    "mae", "rmse", "mse", "r2",
)  # fmt: skip


def measured(content: dict[str, Any]) -> str:
    """Return what a report says under `quality`, as text that is escaped already."""
    rows, window = content.get("rows"), content.get("window_rows")
    of = f" of {window:,}" if window is not None and window != rows else ""
    return _titled(f"measured quality, by labels of {rows or 0:,}{of} requests", content)


def estimated(content: dict[str, Any]) -> str:
    """Return what a report says under `estimated`, likewise."""
    return _titled(f"estimated quality, without labels ({content.get('method', '')})", content)


def _titled(title: str, content: dict[str, Any]) -> str:
    if content.get("reason"):
        return lines([f"{title}: {content['reason']}"], [])
    found: dict[str, dict[str, Any]] = content.get("figures") or {}
    if not found:
        return ""
    names = sorted(found, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    shown = [name for name in names if name in FIRST] or names
    rows = [_row(name, found[name]) for name in shown]
    return lines([f"{title}:"], []) + "\n" + lines(
        ["METRIC", "VALUE", "BAND OF 95 %", "BASELINE", "STATE"], rows
    )  # fmt: skip


def _row(name: str, figure: dict[str, Any]) -> list[str]:
    low, high = figure.get("low"), figure.get("high")
    band = f"{low:.4g} to {high:.4g}" if low is not None and high is not None else ""
    value, reference = _number(figure.get("value")), _number(figure.get("reference"))
    return [name, value, band, reference, figure.get("state") or ""]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"

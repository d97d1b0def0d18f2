"""What all drawings have in common: their size, short numbers and texts. Inline SVG needs no script and no request."""

from __future__ import annotations

from html import escape

WIDTH, HEIGHT = 320, 110
#: Of a text that ends where it is put.
RIGHT = ' text-anchor="end"'


def whole(body: str, label: str, height: int = HEIGHT) -> str:
    """Return a drawing; label: what it shows, for those who cannot see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'
    )


def ends(left: str, right_text: str, height: int = HEIGHT, right: int = WIDTH) -> str:
    """Write what stands at the two ends of the axis."""
    return (
        f'<text x="0" y="{height - 2}">{escape(left)}</text>'
        f'<text x="{right}" y="{height - 2}"{RIGHT}>{escape(right_text)}</text>'
    )


def short(value: float) -> str:
    """Write a number in few characters."""
    return f"{value:.4g}"


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, on one line; what cannot be seen, or turns text, is written out."""
    start = text[: 4 * most]
    shown = " ".join(start.split()) or repr(start)
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
    if len(shown) <= most and start == text:
        return shown
    return f"{shown[: most - 1]}…"

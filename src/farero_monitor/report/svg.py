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
    """Return a text of at most so many characters, with no line breaks."""
    text = " ".join(text.split()) or repr(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"

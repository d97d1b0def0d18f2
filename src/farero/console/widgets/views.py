"""How widgets other than charts look: texts, figures, tables, states. Everything is put in as text."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console import charts
from farero.console.layout import pill, table, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.console.charts import Series
    from farero.console.time_range import Range
    from farero.console.widgets.markdown import Block, Span
    from farero.console.widgets.metrics import Json

CSS = """
.f-main:has(.f-dash){max-width:1760px}
.f-dash{display:grid;grid-template-columns:repeat(24,minmax(0,1fr));grid-auto-rows:2.5rem;gap:.65rem;width:100%}
.f-widget{display:flex;flex-direction:column;overflow:hidden;padding:.8rem 1rem}
.f-widget h2{margin:0 0 .4rem!important;overflow-wrap:anywhere}
.f-fill{flex:1;min-height:0;overflow:auto;display:flex;flex-direction:column}
.f-fill>.f-chart{flex:1;min-height:0}
.f-bare{background:none;border-color:transparent;padding:.2rem .3rem}
.f-numbers{display:flex;flex-wrap:wrap;gap:.6rem 2rem;align-content:center;flex:1}
.f-number{min-width:7rem;flex:1}.f-spark{width:100%;height:2.2rem;display:block}
.f-spark path{fill:none;stroke:var(--c1);stroke-width:1.4;vector-effect:non-scaling-stroke}
.f-md>*{margin:0 0 .5rem}.f-md h2{font-size:1.3rem;margin:0 0 .4rem!important}.f-md h3{font-size:1.1rem}
.f-md h3,.f-md h4{font-weight:620;line-height:1.3;margin:0 0 .35rem!important}.f-md h4{font-size:1rem}
.f-md div{display:inline}.f-md .f-block,.f-md .f-scroll{display:block}.f-md .f-code{
font-family:ui-monospace,Menlo,monospace;font-size:.9em;background:var(--line);border-radius:4px;padding:.05em .3em}
.f-md .f-item{display:list-item;list-style:disc;margin-left:1.3rem}
.f-md .f-number-item{display:block;margin-left:.4rem}
.f-md .f-quote{border-left:3px solid var(--line);padding-left:.8rem;color:var(--dim)}
.f-md a.f-button{color:var(--card)!important;display:inline-block;text-decoration:none}
.f-bar{display:flex;flex-wrap:wrap;gap:.5rem .6rem;align-items:center;width:100%}
.f-tall{max-height:24rem;overflow:auto}.f-form>*{min-width:9rem;flex:1}
.f-card>summary{font-weight:620;cursor:pointer}.f-card>summary>div{display:inline}
.f-card>summary::before{content:"▸ ";color:var(--dim)}.f-card[open]>summary::before{content:"▾ "}
.f-card *+h2{margin-top:1rem!important}.f-long{overflow-wrap:anywhere;min-width:14rem}
.f-short .f-long{display:-webkit-box;-webkit-box-orient:vertical;
-webkit-line-clamp:3;overflow:hidden}
.f-form{margin:.6rem 0 1rem}.f-clock{white-space:nowrap;font-variant-numeric:tabular-nums}
.f-upload{width:auto!important;max-height:none!important;border:1px solid var(--line);border-radius:8px}
.f-upload .q-uploader__header{background:none!important;color:var(--ink)!important}
.f-upload .q-uploader__header-content{padding:0 .2rem 0 .75rem}.f-upload .q-uploader__list{display:none}
.f-upload .q-uploader__title{font-size:.88rem;font-weight:400}.f-upload .q-uploader__subtitle{display:none}
.f-upload .q-btn{color:var(--accent)!important;background:none!important;border:0}
@media(max-width:760px){.f-stack thead{position:absolute;left:-99rem}.f-stack tr,.f-stack td{display:block}
.f-stack tr{border-bottom:1px solid var(--line);padding:.5rem 0}.f-stack td{border:0;padding:.1rem 0}
.f-long{min-width:0}}
@media(max-width:860px){.f-dash{display:flex;flex-direction:column}
.f-widget{min-height:min(calc(var(--h)*2.6rem),22rem)}.f-text{min-height:0}.f-bare{min-height:0}
.f-fill{max-height:26rem}.f-fill>.f-chart{min-height:14rem}}
"""
_MOST_COLUMNS = 30


def clock(at: object) -> Callable[[], None]:
    """Return a cell with a time, to the second, on one line; at: a datetime or ISO 8601."""

    def draw() -> None:
        words(local(at)).classes("f-clock")

    return draw


def local(at: object) -> str:
    """Return a time as this machine's clock shows it, to the second."""
    try:
        found = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
        return f"{found.astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(at)


def long(text: object) -> Callable[[], None]:
    """Return a cell with a text that may have long words."""

    def draw() -> None:
        words(text).classes("f-long")

    return draw


def numbers(found: Sequence[Series], sparks: Range | None) -> None:
    """Draw the newest value of each series, large; sparks: the time over which its way is drawn below."""
    with ui.element("div").classes("f-numbers"):
        for one in found[:100]:
            with ui.element("div").classes("f-number"):
                words(one.name).classes("f-dim")
                words(charts.number(one.last)).classes("f-figure")
                if sparks and len(one.values) > 1:
                    path = charts.spark(one.points, sparks.start_ms, sparks.end_ms)
                    svg = ui.element("svg").classes("f-spark")
                    svg.props["viewBox"] = "0 0 100 24"
                    svg.props["preserveAspectRatio"] = "none"
                    svg.props["aria-hidden"] = "true"
                    with svg:
                        ui.element("path").props["d"] = path


def statistics(t: dict[str, str], found: Sequence[Series]) -> None:
    """Draw a row of figures for each series."""
    heads = [t["name"], t["last_value"], t["least"], t["mean"], t["most"], t["sum"]]
    table(heads, [[one.name, *_summary(one)] for one in found], t["no_data"])


def _summary(one: Series) -> list[str]:
    values = one.values
    if not values:
        return [charts.number(None)] * 5
    figures = (one.last, min(values), sum(values) / len(values), max(values), sum(values))
    return [charts.number(figure) for figure in figures]


def alarms(t: dict[str, str], found: Sequence[Json]) -> None:
    """Draw alarms and their states; one without a state is not there."""
    rows: list[list[Any]] = [
        [
            (one["AlarmName"], f"/alarms/{quote(one['AlarmName'], safe='')}"),
            (lambda state=one["StateValue"]: pill(state)) if "StateValue" in one else t["alarm_gone"],
        ]
        for one in found
    ]  # fmt: skip
    table([t["name"], t["state"]], rows, t["empty"])


def rows(t: dict[str, str], found: Sequence[dict[str, str]]) -> None:
    """Draw the rows of a log query."""
    heads = list(dict.fromkeys(name for row in found for name in row))[:_MOST_COLUMNS]
    table(heads, [[row.get(head, "")[:2000] for head in heads] for row in found], t["empty"])


def text(blocks: Sequence[Block]) -> None:
    """Draw what markdown was read into, by elements and texts alone."""
    with ui.element("div").classes("f-md"):
        cells: list[Block] = []
        for block in blocks:
            if block.kind in ("head", "row"):
                cells.append(block)
                continue
            _table(cells)
            cells = []
            _block(block)
        _table(cells)


def _block(block: Block) -> None:
    match block.kind:
        case "rule":
            ui.element("hr")
        case "heading":
            # The page and the widget have the levels above.
            with ui.element(f"h{min(block.level + 1, 4)}"):
                _spans(block.cells[0])
        case "code":
            words(block.cells[0][0].text).classes("f-pre f-block")
        case "number":
            with ui.element("div").classes("f-number-item f-block"):
                words(f"{block.level}. ")
                _spans(block.cells[0])
        case "item":
            with ui.element("div").classes("f-item").props("role=listitem"):
                _spans(block.cells[0])
        case kind:
            with ui.element("p").classes(f"f-{kind} f-block"):
                _spans(block.cells[0])


def _table(blocks: Sequence[Block]) -> None:
    if not blocks:
        return

    def cell(spans: list[Span]) -> Callable[[], None]:
        return lambda: _spans(spans)

    heads = ["".join(span.text for span in spans) for spans in blocks[0].cells]
    table(heads, [[cell(spans) for spans in block.cells] for block in blocks[1:]], "")


def _spans(spans: Sequence[Span]) -> None:
    for span in spans:
        match span.style:
            case "link" | "button":
                link = ui.link(span.text, span.address, new_tab=True).props("rel=noopener")
                if span.style == "button":
                    link.classes("f-button")
            case "bold" | "slant":
                with ui.element("strong" if span.style == "bold" else "em"):
                    words(span.text)
            case "code":
                words(span.text).classes("f-code")
            case _:
                words(span.text)

"""The frame around every page: header, navigation, language, colours, keyboard."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nicegui import ui

from farero.console.look import CSS
from farero.console.texts import catalogue

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

#: Address, key of its text, and the key pressed after `g`.
NAV = [
    ("/", "home", "h"), ("/monitor", "monitor", "m"), ("/jobs", "jobs", "j"), ("/logs", "logs", "l"),
    ("/storage", "storage", "s"), ("/dashboards", "dashboards", "b"), ("/alarms", "alarms", "a"),
    ("/access", "access", "k"), ("/doctor", "doctor", "d"),
]  # fmt: skip
#: A busy machine may take this long to build a page, and its browser to answer.
_PAGE_WITHIN_S = 30.0
_COOKIE = ";path=/;SameSite=Strict;max-age=31536000"


def page_at(address: str) -> ui.page:
    """Make a page known by what builds it, as `ui.page`, which by itself gives a page up after 3 s."""
    return ui.page(address, response_timeout=_PAGE_WITHIN_S)


def say() -> dict[str, str]:
    """Return the texts of whoever looks at the page being built."""
    request = ui.context.client.request
    return catalogue(
        request.cookies.get("farero_lang", ""), request.headers.get("accept-language", "")
    )


@contextmanager
def frame(title: str, here: str) -> Generator[dict[str, str]]:
    """Build the frame; what is inside the `with` becomes the content. here: address in NAV."""
    t = say()
    title = t.get(title.lower(), title) if here == ui.context.client.request.url.path else title
    spanish = t["language"] == "English"
    theme = ui.context.client.request.cookies.get("farero_theme", "")
    mode = ui.dark_mode({"dark": True, "light": False}.get(theme))
    ui.page_title(f"{title} · Farero")
    ui.add_css(CSS)
    ui.run_javascript(
        f"document.documentElement.lang='{'es' if spanish else 'en'}';"
        "document.querySelector('.f-nav a[aria-current]')?.scrollIntoView({block:'nearest',inline:'center'})"
    )
    _is_no_landmark(ui.context.client.content)
    ui.link(t["skip"], "#content").classes("f-skip")
    with ui.element("header").classes("f-top"):
        ui.link("Farero", "/").classes("f-brand")
        ui.element("div").classes("f-space")
        button(t["language"], lambda: _prefer("lang", "en" if spanish else "es"), quiet=True)
        button("◐", lambda: _toggle(mode), quiet=True).props(f'aria-label="{t["theme"]}"')
        with (
            ui.element("form").props("method=post action=/logout"),
            ui.element("button").classes("f-quiet").props("type=submit"),
        ):
            words(t["logout"])
    with ui.element("div").classes("f-body"):
        with ui.element("nav").classes("f-nav").props(f'aria-label="{t["home"]}"'):
            for address, key, _ in NAV:
                link = ui.link(t[key], address)
                if address == here:
                    link.props("aria-current=page")
        with ui.element("main").classes("f-main").props("id=content tabindex=-1"):
            heading(title, 1)
            yield t
    _keyboard(t)


def _is_no_landmark(content: ui.element) -> None:
    """Keep NiceGUI's own `main`, which holds the header and the navigation too, from being told as one."""
    around = content.parent_slot
    if around is not None:
        around.parent.props("role=none")


def heading(text: str, level: int = 2) -> None:
    """Add a heading, as text."""
    with ui.element(f"h{level}"):
        words(text)


def words(text: object) -> ui.label:
    """Add text, which is never read as HTML."""
    return ui.label(str(text))


def card() -> ui.element:
    """Add a card to put things into."""
    return ui.element("section").classes("f-card")


def popup() -> ui.dialog:
    """Make a dialog that stays while the part of the page that asked for it is drawn anew."""
    with ui.context.client.content:
        return ui.dialog()


def button(text: str, act: Any, *, quiet: bool = False) -> ui.element:
    """Add a button."""
    made = ui.element("button").classes("f-quiet" if quiet else "f-button").props("type=button")
    made.on("click", lambda _: act())
    with made:
        words(text)
    return made


def pill(state: str, text: str = "") -> None:
    """Add a state, in the colour that it has everywhere; text: what it says, if not its own name."""
    kind = {
        "InService": "ok", "Completed": "ok", "OK": "ok", "Active": "ok", "Scheduled": "ok",
        "Failed": "bad", "ALARM": "bad", "OutOfService": "bad", "InAlert": "bad",
        "Stopped": "idle", "INSUFFICIENT_DATA": "idle",
    }.get(state, "busy")  # fmt: skip
    words(text or state).classes(f"f-pill f-{kind}")


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
    """Add a table; a cell is text, (text, address) for a link, or a callable that draws it."""
    if not rows:
        words(empty).classes("f-dim")
        return
    with ui.element("div").classes("f-scroll"), ui.element("table").classes("f-table"):
        with ui.element("thead"), ui.element("tr"):
            for head in heads:
                with ui.element("th").props("scope=col"):
                    words(head)
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for cell in row:
                        with ui.element("td"):
                            _cell(cell)


def _cell(cell: Any) -> None:
    match cell:
        case (text, address):
            ui.link(str(text), str(address))
        case _ if callable(cell):
            cell()
        case _:
            words(cell)


def _prefer(name: str, value: str) -> None:
    ui.run_javascript(f"document.cookie='farero_{name}={value}{_COOKIE}';location.reload()")


async def _toggle(mode: Any) -> None:
    asked = "document.body.classList.contains('body--dark')"
    dark: bool = await ui.run_javascript(asked, timeout=_PAGE_WITHIN_S)  # pyright: ignore[reportUnknownVariableType] - untyped there
    mode.value = not dark
    ui.run_javascript(f"document.cookie='farero_theme={'light' if dark else 'dark'}{_COOKIE}'")


def _keyboard(t: dict[str, str]) -> None:
    with ui.dialog() as dialog, card():
        heading(t["help"])
        table(["", ""], [(f"g {key}", t[name]) for _, name, key in NAV], "")
        button(t["close"], dialog.close, quiet=True)
    waiting = [False]

    def pressed(event: Any) -> None:
        if not event.action.keydown or event.action.repeat:
            return
        key = event.key.name
        if waiting[0]:
            for address, _, wanted in NAV:
                if key == wanted:
                    ui.navigate.to(address)
        elif key == "?":
            dialog.open()
        waiting[0] = key == "g"

    ui.keyboard(on_key=pressed, ignore=["input", "select", "textarea"])  # buttons take no letters

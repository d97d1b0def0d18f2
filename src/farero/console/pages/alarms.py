"""Alarms: all of them by state and text, a form for the simple case, and what was delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, frame, page_at, pill, table, words
from farero.console.pages import alarm as one_alarm
from farero.console.pages.live import live
from farero.console.widgets import alarms
from farero.console.widgets.deliveries import STATES, panel
from farero.console.widgets.views import CSS, clock, long

if TYPE_CHECKING:
    from farero.console.widgets.alarms import Json

_MOST_PAGES = 10
_PERIODS = {10: "10 s", 60: "1 min", 300: "5 min", 3600: "1 h"}


def register(cloud: Cloud) -> None:
    """Make the pages known."""
    one_alarm.register(cloud)

    @page_at("/alarms")
    async def every(state: str = "", text: str = "", deliveries: str = "") -> None:  # pyright: ignore[reportUnusedFunction]
        with frame("Alarms", "/alarms") as t:
            ui.add_css(CSS)
            await _list(cloud, t, state if state in alarms.STATES else "", text)
            await _form(cloud, t)

            chosen = deliveries if deliveries in STATES else ""

            async def told() -> Any:
                query = f"state={chosen}&last=100" if chosen else "last=100"
                return await cloud.page("deliveries", query)

            await live(told, lambda found: panel(t, found, None, chosen))


async def _list(cloud: Cloud, t: dict[str, str], state: str, text: str) -> None:
    def address(state: str, text: str) -> str:
        return f"/alarms?state={state}&text={quote(text, safe='')}"

    with ui.element("div").classes("f-bar"):
        field = ui.input(t["filter"], value=text).props("dense")
        field.on("keydown.enter", lambda _: ui.navigate.to(address(state, field.value or "")))
        with ui.element("div").classes("f-picker"):
            for name in ("", *alarms.STATES):
                link = ui.link(name or t["all_states"], address(name, text))
                if name == state:
                    link.props("aria-current=true")

    async def read() -> list[Json]:
        found = await _every(cloud)
        wanted = text.casefold()
        return [
            one
            for one in found
            if state in ("", one["StateValue"])
            and wanted
            in f"{one['AlarmName']} {one.get('StateReason', '')} {alarms.subject(one)}".casefold()
        ]

    def draw(found: list[Json]) -> None:
        with card():
            rows = [_row(t, one) for one in found]
            heads = [t["name"], t["state"], t["since"], t["metric"], t["reason"]]
            with ui.element("div").classes("f-stack f-short"):
                table(heads, rows, t["empty"])

    await live(read, draw)


def _row(t: dict[str, str], one: Json) -> list[Any]:
    changed = one.get("StateTransitionedTimestamp") or one.get("StateUpdatedTimestamp")
    off = "" if one.get("ActionsEnabled", True) else f"{t['actions_off']} "
    return [
        (one["AlarmName"], f"/alarms/{quote(one['AlarmName'], safe='')}"),
        lambda: pill(one["StateValue"]),
        clock(changed) if changed else "",
        t["composite"] if "AlarmRule" in one else alarms.subject(one),
        long(f"{off}{one.get('StateReason', '')}"[:500]),
    ]


async def _every(cloud: Cloud) -> list[Json]:
    """Return all alarms: those in ALARM first, then by name."""
    found: list[Json] = []
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        answer = await cloud.ask(
            "cloudwatch", "describe_alarms", AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100, **token
        )  # fmt: skip
        found += answer.get("MetricAlarms", []) + answer.get("CompositeAlarms", [])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    return sorted(found, key=lambda one: (one["StateValue"] != "ALARM", one["AlarmName"]))


async def _form(cloud: Cloud, t: dict[str, str]) -> None:
    endpoints, topics = await _choices(cloud)
    with ui.element("details").classes("f-card"):
        with ui.element("summary"):
            words(t["new_alarm"])
        with ui.element("div").classes("f-bar f-form"):
            name = ui.input(t["name"])
            endpoint = ui.select(
                endpoints, label=t["endpoint"], value=endpoints[0] if endpoints else None
            )
            variant = ui.input(t["variant"], value="AllTraffic")
            figures = {
                key: f"{key} ({one.unit})" if one.unit else key
                for key, one in alarms.FIGURES.items()
            }
            figure = ui.select(figures, label=t["figure"], value="p99")
            operator = ui.select(list(alarms.OPERATORS), label=t["operator"], value=">")
            value = ui.number(t["value"], value=alarms.FIGURES["p99"].example)
            least = ui.number("M", value=3, min=1, max=100, precision=0)
            of = ui.number("N", value=5, min=1, max=100, precision=0)
            period = ui.select(_PERIODS, label=t["period"], value=60)
            topic = ui.select(
                {"": t["nobody"], **topics}, label=t["notify"], value=next(iter(topics), "")
            )

        def example() -> None:
            value.value = alarms.FIGURES[str(figure.value)].example

        async def variants() -> None:
            try:
                found = await cloud.ask(
                    "sagemaker", "describe_endpoint", EndpointName=str(endpoint.value)
                )
            except UnavailableError:
                return
            names = [one["VariantName"] for one in found.get("ProductionVariants", [])]
            if names and variant.value not in names:
                variant.value = names[0]

        figure.on_value_change(example)
        endpoint.on_value_change(variants)
        if endpoints:
            await variants()
        told = words("").props("role=status aria-live=polite")

        async def create() -> None:
            try:
                wanted = alarms.wanted(
                    alarms.Form(
                        name=str(name.value or ""), endpoint=str(endpoint.value or ""),
                        variant=str(variant.value or ""), figure=str(figure.value), operator=str(operator.value),
                        value=float(value.value or 0), least=int(least.value or 0), of=int(of.value or 0),
                        period=int(str(period.value)), topic=str(topic.value or ""),
                    )
                )  # fmt: skip
                await cloud.do("cloudwatch", "put_metric_alarm", **wanted)
            except ValueError as error:
                told.set_text(t["wrong_field"].format(field=t.get(str(error), str(error))))
                return
            except UnavailableError as error:
                told.set_text(str(error))
                return
            ui.navigate.to(f"/alarms/{quote(wanted['AlarmName'], safe='')}")

        button(t["create"], create)
        words(t["other_alarm"]).classes("f-dim")


async def _choices(cloud: Cloud) -> tuple[list[str], dict[str, str]]:
    try:
        found = await cloud.ask("sagemaker", "list_endpoints", MaxResults=100)
        topics = await cloud.ask("sns", "list_topics")
    except UnavailableError:
        return [], {}
    arns = [one["TopicArn"] for one in topics["Topics"]]
    return [one["EndpointName"] for one in found["Endpoints"]], {
        arn: arn.rpartition(":")[2] for arn in arns
    }

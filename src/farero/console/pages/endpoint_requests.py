"""Asking an endpoint from its page: a form, code to do the same, and the requests that were captured."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import shlex
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import run, ui

from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, heading, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MOST_SHOWN = 100_000
_LAST = 100
#: Stands in code until a real request is known.
EXAMPLE = ("1,2,3,4", "text/csv")


@dataclass(frozen=True, slots=True)
class Captured:
    """One captured request as the page shows it; answer is None where the model gave none."""

    at: str
    body: str
    kind: str
    answer: str | None
    #: Which variant was asked.
    variant: str = ""


def read(line: Any, variant: str = "") -> Captured:
    """Read one record of a capture."""
    record = json.loads(line) if isinstance(line, str) else line
    data = record.get("captureData", {})
    sent, got = data.get("endpointInput", {}), data.get("endpointOutput")
    return Captured(
        at=_local(str(record.get("eventMetadata", {}).get("inferenceTime", ""))),
        body=_text(sent),
        kind=str(sent.get("observedContentType") or EXAMPLE[1]),
        answer=None if got is None else _text(got),
        variant=variant,
    )


def matching(found: Sequence[Captured], text: str, state: str) -> list[Captured]:
    """Return those that hold a text and are answered ("ok"), not answered ("bad") or either ("")."""
    wanted = text.casefold()
    return [
        one
        for one in found
        if wanted in f"{one.at} {one.body} {one.answer or ''}".casefold()
        and state in ("", "bad" if one.answer is None else "ok")
    ]


def code(url: str, region: str, name: str, body: str, kind: str) -> list[tuple[str, str]]:
    """Return (language, program) that asks an endpoint."""
    curl = (
        f'curl --aws-sigv4 aws:amz:{region}:sagemaker --user "$KEY:$SECRET" \\\n'
        f"  -H {shlex.quote(f'Content-Type: {kind}')} --data-binary {shlex.quote(body)} \\\n"
        f"  {url}/endpoints/{name}/invocations"
    )
    python = (
        'import boto3\n\nruntime = boto3.client("sagemaker-runtime")\nanswer = runtime.invoke_endpoint(\n'
        f"    EndpointName={json.dumps(name)},\n    ContentType={json.dumps(kind)},\n"
        f'    Body={json.dumps(body, ensure_ascii=False)},\n)\nprint(answer["Body"].read().decode())'
    )
    script = (
        "import { SageMakerRuntimeClient, InvokeEndpointCommand }\n"
        '  from "@aws-sdk/client-sagemaker-runtime";\n\n'
        f"const runtime = new SageMakerRuntimeClient({{ endpoint: {json.dumps(url)} }});\n"
        "const answer = await runtime.send(new InvokeEndpointCommand({\n"
        f"  EndpointName: {json.dumps(name)},\n  ContentType: {json.dumps(kind)},\n"
        f"  Body: {json.dumps(body, ensure_ascii=False)},\n}}));\n"
        "console.log(new TextDecoder().decode(answer.Body));"
    )
    return [("curl", curl), ("Python", python), ("JavaScript", script)]


class Trial:
    """The form to try an endpoint, and the code beside it; both begin with the newest captured request."""

    def __init__(
        self, cloud: Cloud, t: dict[str, str], name: str, found: Sequence[Captured]
    ) -> None:
        """found: what was captured; the form begins with the newest that was answered, and nothing fills it later."""
        self._cloud, self._t, self._name = cloud, t, name
        sample = next((one for one in found if one.answer is not None and one.body), None)
        with ui.element("div").classes("f-grid"):
            self._form(sample)
            self._code()

    async def again(self, one: Captured) -> None:
        """Send a captured request once more."""
        self._body.value, self._kind.value = one.body, one.kind
        self._note.set_text("")
        self._card.run_method("scrollIntoView", {"behavior": "smooth", "block": "center"})
        await self.send()

    async def send(self) -> None:
        """Send what is in the form and show the answer."""
        began = time.perf_counter()
        try:
            answer = await self._cloud.do(
                "sagemaker-runtime", "invoke_endpoint", EndpointName=self._name,
                ContentType=self._kind.value, Body=(self._body.value or "").encode(),
            )  # fmt: skip
            raw = await run.io_bound(answer["Body"].read) or b""
            text = raw[:_MOST_SHOWN].decode("utf-8", "replace")
            facts = [answer.get("InvokedProductionVariant", ""), answer.get("ContentType", "")]
            self._result.classes(remove="f-bad")
        except UnavailableError as error:
            text, facts = str(error), []
            self._result.classes(add="f-bad")
        took = f"{(time.perf_counter() - began) * 1000:,.1f} ms"
        self._facts.set_text(" · ".join(filter(None, [took, *facts])))
        self._result.set_text(text)
        self._show_code()

    def _form(self, sample: Captured | None) -> None:
        t = self._t
        with card() as self._card:
            heading(t["try"])
            kind = sample.kind if sample else EXAMPLE[1]
            self._kind = ui.input(t["content_type"], value=kind).style("width:100%")
            self._body = (
                ui.textarea(t["body"], value=sample.body if sample else "")
                .props("autogrow input-class=f-code")
                .style("width:100%")
            )
            note = t["sample_from"].format(at=sample.at) if sample else ""
            self._note = words(note).classes("f-dim f-small")
            button(t["send"], self.send)
            self._facts = words("").classes("f-dim f-small")
            self._result = words("").classes("f-pre")
            self._result.props("role=status")
            self._result.props["aria-label"] = t["result"]

    def _code(self) -> None:
        self._programs: list[ui.label] = []
        with card():
            heading(self._t["code"])
            for place, (title, text) in enumerate(self._written()):
                with ui.element("details").props("open" if place == 1 else "").classes("f-more"):
                    with ui.element("summary"):
                        words(title)
                    shown = words(text).classes("f-pre f-program")
                    self._programs.append(shown)
                    button(self._t["copy"], _copying(shown, self._t), quiet=True)

    def _written(self) -> list[tuple[str, str]]:
        settings = self._cloud.settings
        body, kind = (self._body.value, self._kind.value) if self._body.value else EXAMPLE
        return code(settings.url, settings.region, self._name, body, kind or EXAMPLE[1])

    def _show_code(self) -> None:
        for shown, (_, text) in zip(self._programs, self._written(), strict=True):
            shown.set_text(text)


def _copying(shown: ui.label, t: dict[str, str]) -> Callable[[], None]:
    def copy() -> None:
        ui.clipboard.write(shown.text)
        ui.notify(t["copied"])

    return copy


async def newest(cloud: Cloud, name: str, variant: str = "") -> list[Captured]:
    """Return what was captured last, of all variants or of one, newest first. Raises UnavailableError."""
    query = f"endpoint={quote(name)}&last={_LAST}&variant={quote(variant, safe='')}"
    answer = await cloud.page("capture", query)
    records, asked = answer.get("records", []), answer.get("variants", [])
    return [read(line, of) for line, of in zip(reversed(records), reversed(asked), strict=True)]


async def captured(
    cloud: Cloud, t: dict[str, str], name: str, trial: Trial, variants: Mapping[str, bool]
) -> None:
    """Draw what was captured, with a filter that the address keeps; each can be sent again.

    variants: name → whether it is a shadow.
    """
    given = ui.context.client.request.query_params
    with card():
        heading(t["captured"])
        with ui.element("div").classes("f-filters"):
            field = ui.input(t["filter"], value=given.get("holds", ""))
            field.props("dense clearable").style("min-width:14rem")
            states = {"": t["all_states"], "ok": t["answered"], "bad": t["unanswered"]}
            state = _choice(t["status"], states, given.get("answered", ""))
            shadows = {
                one: f"{one} ({t['shadow']})" if is_shadow else one
                for one, is_shadow in variants.items()
            }
            variant = _choice(
                t["variant"], {"": t["all_variants"], **shadows}, given.get("variant", "")
            )
            variant.set_visibility(len(variants) > 1)
        held = ui.element("div").classes("f-tall")

    shown: list[Captured] = []

    async def ask() -> list[Captured]:
        return await newest(cloud, name, variant.value or "")

    def fill(found: list[Captured]) -> None:
        shown[:] = found
        draw()

    def draw() -> None:
        held.clear()
        wanted = matching(shown, field.value or "", state.value or "")
        with held:
            rows = [
                [
                    one.at,
                    *([one.variant] if len(variants) > 1 else []),
                    _clip(one.body),
                    _answer(t, one.answer),
                    _again(t, one, trial),
                ]
                for one in wanted[:50]
            ]
            heads = [
                t["time"],
                *([t["variant"]] if len(variants) > 1 else []),
                t["request"],
                t["result"],
                "",
            ]
            table(heads, rows, t["empty"])

    def keep() -> None:
        chosen = {"holds": field.value, "answered": state.value, "variant": variant.value}
        bare = ui.context.client.request.url.remove_query_params([*chosen])
        new = bare.include_query_params(**{key: one for key, one in chosen.items() if one})
        ui.navigate.history.replace(new.path + (f"?{new.query}" if new.query else ""))

    async def again() -> None:
        keep()
        with contextlib.suppress(UnavailableError):
            fill(await ask())

    for one in (field, state):
        one.on_value_change(lambda: (keep(), draw()))
    variant.on_value_change(again)
    await live(ask, fill, 4.0)


def _choice(label: str, options: dict[str, str], value: str) -> ui.select:
    made = ui.select(options, value=value if value in options else "", label=label)
    made.props("dense options-dense").style("min-width:10rem")
    return made


def _clip(text: str) -> Any:
    return lambda: words(text[:200]).classes("f-clip")


def _answer(t: dict[str, str], text: str | None) -> Any:
    if text is None:
        return lambda: words(t["unanswered"]).classes("f-bad")
    return _clip(text)


def _again(t: dict[str, str], one: Captured, trial: Trial) -> Any:
    return lambda: button(t["replay"], lambda: trial.again(one), quiet=True)


def _local(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return text


def _text(half: dict[str, Any]) -> str:
    text = str(half.get("data", ""))
    if half.get("encoding") == "BASE64":
        try:
            return base64.b64decode(text).decode()
        except (binascii.Error, UnicodeDecodeError):
            return text
    return text

"""Who may call: users, their access keys and policies; roles."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.data import UnavailableError
from farero.console.layout import button, card, frame, heading, page_at, pill, popup, table, words
from farero.console.pages.asking import attempt, confirm
from farero.console.pages.live import live

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from farero.console.data import Cloud

Json = dict[str, Any]


def register(cloud: Cloud) -> None:
    """Make the pages known."""

    @page_at("/access")
    async def everybody() -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame("Access", "/access") as t:

            async def read() -> Any:
                users, roles = await asyncio.gather(
                    cloud.ask("iam", "list_users"), cloud.ask("iam", "list_roles")
                )
                return users["Users"], roles.get("Roles", [])

            await live(read, lambda found: _everybody(t, *found), 5.0)
            _new_user(cloud, t)

    @page_at("/access/users/{name}")
    async def one(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/access") as t:

            async def keys() -> Any:
                return await _keys(cloud, name)

            async def policies() -> Any:
                return await _policies(cloud, "user", name)

            await live(keys, lambda found: _draw_keys(cloud, t, name, found), 3.0)
            await live(policies, lambda found: _draw_policies(t, found), 5.0)
            with ui.element("div").classes("f-answers"):
                button(f"{t['delete']} {name}", lambda: _delete_user(cloud, t, name), quiet=True)

    @page_at("/access/roles/{name}")
    async def role(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/access") as t:

            async def policies() -> Any:
                return await _policies(cloud, "role", name)

            await live(policies, lambda found: _draw_policies(t, found), 5.0)


def _everybody(t: dict[str, str], users: list[Json], roles: list[Json]) -> None:
    with card():
        heading(t["users"])
        rows = [
            [
                (one["UserName"], f"/access/users/{quote(one['UserName'], safe='')}"),
                one["Arn"],
                f"{one['CreateDate'].astimezone():%Y-%m-%d %H:%M}",
            ]
            for one in users
        ]
        table([t["name"], "ARN", t["created"]], rows, t["empty"])
    if roles:
        with card():
            heading(t["roles"])
            rows = [
                [(one["RoleName"], f"/access/roles/{quote(one['RoleName'], safe='')}"), one["Arn"]]
                for one in roles
            ]
            table([t["name"], "ARN"], rows, t["empty"])


def _new_user(cloud: Cloud, t: dict[str, str]) -> None:
    with card():
        heading(t["new_user"])
        with ui.element("div").classes("f-filters"):
            field = ui.input(t["name"]).props("dense")

            async def create() -> None:
                name = str(field.value or "").strip()
                if name and await attempt(lambda: cloud.do("iam", "create_user", UserName=name)):
                    ui.navigate.to(f"/access/users/{quote(name, safe='')}")

            field.on("keydown.enter", create)
            button(t["create"], create)


async def _keys(cloud: Cloud, name: str) -> list[Json]:
    found = (await cloud.ask("iam", "list_access_keys", UserName=name))["AccessKeyMetadata"]
    used = await asyncio.gather(
        *(
            cloud.ask("iam", "get_access_key_last_used", AccessKeyId=one["AccessKeyId"])
            for one in found
        )
    )
    return [
        {**one, "Used": use.get("AccessKeyLastUsed", {}).get("LastUsedDate")}
        for one, use in zip(found, used, strict=True)
    ]


def _draw_keys(cloud: Cloud, t: dict[str, str], user: str, found: list[Json]) -> None:
    def acts(one: Json) -> Callable[[], None]:
        who = {"UserName": user, "AccessKeyId": one["AccessKeyId"]}
        is_active = one["Status"] == "Active"

        def turn() -> Awaitable[Any]:
            status = "Inactive" if is_active else "Active"
            return attempt(lambda: cloud.do("iam", "update_access_key", **who, Status=status))

        def delete() -> None:
            question = f"{t['delete']} {one['AccessKeyId']}?"
            confirm(t, question, t["delete"], lambda: cloud.do("iam", "delete_access_key", **who))

        def draw() -> None:
            with ui.element("div").classes("f-answers"):
                button(t["deactivate"] if is_active else t["activate"], turn, quiet=True)
                button(t["delete"], delete, quiet=True)

        return draw

    with card():
        heading(t["keys"])
        rows = [
            [
                one["AccessKeyId"],
                lambda state=one["Status"]: pill(state),
                f"{one['CreateDate'].astimezone():%Y-%m-%d %H:%M}",
                f"{one['Used'].astimezone():%Y-%m-%d %H:%M}" if one["Used"] else t["never"],
                acts(one),
            ]
            for one in found
        ]
        table([t["key"], t["state"], t["created"], t["used"], ""], rows, t["empty"])
        button(t["new_key"], lambda: _new_key(cloud, t, user))


async def _new_key(cloud: Cloud, t: dict[str, str], user: str) -> None:
    made = await attempt(lambda: cloud.do("iam", "create_access_key", UserName=user))
    if made is None:
        return
    key = made["AccessKey"]
    text = f"aws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}"
    with popup().props("persistent") as dialog, card():
        heading(t["new_key"])
        words(t["once"]).classes("f-dim")
        words(text).classes("f-pre f-program")
        with ui.element("div").classes("f-answers"):
            button(t["copy"], lambda: ui.clipboard.write(text))
            button(t["close"], dialog.close, quiet=True)
    dialog.on("hide", lambda _: dialog.delete())
    dialog.open()


async def _policies(cloud: Cloud, kind: str, name: str) -> list[tuple[str, str, str]]:
    """Return (name, where it comes from, document) of each policy of a user or role."""
    who = {"UserName" if kind == "user" else "RoleName": name}
    found = await _of(cloud, kind, who, "")
    if kind == "user":
        answer = await cloud.ask("iam", "list_groups_for_user", UserName=name)
        for group in answer.get("Groups", []):
            found += await _of(
                cloud, "group", {"GroupName": group["GroupName"]}, group["GroupName"]
            )
    return found


async def _of(
    cloud: Cloud, kind: str, who: dict[str, str], group: str
) -> list[tuple[str, str, str]]:
    attached, inline = await asyncio.gather(
        cloud.ask("iam", f"list_attached_{kind}_policies", **who),
        cloud.ask("iam", f"list_{kind}_policies", **who),
    )
    found = [
        (one["PolicyName"], group or one["PolicyArn"], await _document(cloud, one["PolicyArn"]))
        for one in attached.get("AttachedPolicies", [])
    ]
    for name in inline.get("PolicyNames", []):
        got = await cloud.ask("iam", f"get_{kind}_policy", **who, PolicyName=name)
        found.append((name, group or "inline", _indented(got.get("PolicyDocument", {}))))
    return found


async def _document(cloud: Cloud, arn: str) -> str:
    try:
        policy = (await cloud.ask("iam", "get_policy", PolicyArn=arn))["Policy"]
        version = await cloud.ask(
            "iam", "get_policy_version", PolicyArn=arn, VersionId=policy["DefaultVersionId"]
        )
    except UnavailableError as error:
        return str(error)
    return _indented(version["PolicyVersion"]["Document"])


def _indented(document: Any) -> str:
    return (
        document
        if isinstance(document, str)
        else json.dumps(document, indent=2, ensure_ascii=False)
    )


def _draw_policies(t: dict[str, str], found: list[tuple[str, str, str]]) -> None:
    with card():
        heading(t["policies"])
        if not found:
            words(t["no_policies"]).classes("f-dim")
        for name, source, document in found:
            with ui.element("details").classes("f-more"):
                with ui.element("summary"):
                    words(f"{name}  ({source})")
                words(document).classes("f-pre f-program")


def _delete_user(cloud: Cloud, t: dict[str, str], name: str) -> None:
    async def delete() -> None:
        await cloud.do("iam", "delete_user", UserName=name)
        ui.navigate.to("/access")

    confirm(t, f"{t['delete']} {name}?", t["delete"], delete)

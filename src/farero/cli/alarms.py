"""`farero alarm`: add one in a line, list, look at, remove. Everything goes through CloudWatch's and SNS's calls."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.errors import Invalid
from farero.cli import alarm_words as words
from farero.cli.alarm_notify import Notifier
from farero.cli.alarm_trial import try_out
from farero.cli.output import WRONG_USAGE, fail, lines, options, result, say
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

app = typer.Typer(no_args_is_help=True, help="Watch endpoints, and tell somebody when they fail.")
EXAMPLE = "farero alarm add price p99 '>' 200ms --for 3/5 --notify mailto:ana@example.com"
HISTORY = 5


@app.command()
def add(
    endpoint: Annotated[str, typer.Argument(help="The endpoint; - for a metric of none.")],
    metric: Annotated[str, typer.Argument(help=words.WORDS)],
    comparison: Annotated[str, typer.Argument(help="'>', '>=', '<', '<=' (quoted); gt ge lt le.")],
    value: Annotated[str, typer.Argument(help="200ms, 1.5s, 5, 1%, 10/s, 80%.")],
    *,
    periods: Annotated[str, typer.Option("--for", help="Bad periods of how many: 3/5.")] = "1",
    period: Annotated[str, typer.Option(help="Length of a period: 1m, 5m, 1h.")] = "1m",
    notify: Annotated[
        list[str] | None,
        typer.Option(
            help="slack:URL, mailto:ADDRESS, https://…, sns:TOPIC, sqs:QUEUE; repeatable."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the alarm; ENDPOINT-METRIC if left out.")] = "",
    variant: Annotated[str, typer.Option(help="Variant, where there are several.")] = "",
    statistic: Annotated[str, typer.Option("--stat", help="Average, Sum, Maximum, p99, …")] = "",
    dimension: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a Namespace/Metric; repeatable.")
    ] = None,
    missing: Annotated[
        str, typer.Option(help="No data: missing, notBreaching, breaching or ignore.")
    ] = "",
    update: Annotated[bool, typer.Option("--update", help="Change an alarm there is.")] = False,
) -> None:
    """Watch an endpoint: farero alarm add price p99 '>' 200ms --for 3/5 --notify mailto:ana@example.com."""
    try:
        symbol = words.comparison(comparison)
        period_s = words.seconds(period)
        found = words.watched(metric, value, comparison=symbol, period_s=period_s)
        least, of = words.m_of_n(periods)
        targets = [words.target(one) for one in notify or ()]
        dimensions = _given(dimension or ())
    except Invalid as error:
        fail("E-ALARM", str(error), where="farero alarm add", fix=EXAMPLE, status=WRONG_USAGE)
    name = name or f"{endpoint}-{metric.rpartition('/')[2].lower()}".removeprefix("--")
    if found.of_endpoint and not dimensions:
        dimensions = _dimensions(endpoint, variant)
    cloudwatch = client("cloudwatch")
    before = _find(cloudwatch, name)
    if before and not update:
        fail("E-EXISTS", f"there is an alarm '{name}': {words.described(before)}",
             where="CloudWatch", fix=f"repeat it with --update, or with --name {name}-2")  # fmt: skip
    asked = {
        "AlarmName": name, "Namespace": found.namespace, "MetricName": found.metric,
        "Dimensions": dimensions, "Period": period_s, "EvaluationPeriods": of,
        "DatapointsToAlarm": least, "Threshold": found.threshold,
        "ComparisonOperator": words.COMPARISONS[symbol],
        "TreatMissingData": missing or found.missing,
        **(words.statistic(statistic) if statistic else found.statistic),
    }  # fmt: skip
    told = Notifier(name).subscribe(targets)
    actions = told or (before or {}).get("AlarmActions", [])
    asked |= {"AlarmActions": actions, "OKActions": actions}
    guarded(lambda: cloudwatch.put_metric_alarm(**asked))
    line = f"alarm {name}: {words.described(asked)}"
    result({"alarm": asked, "notify": [vars_of(one) for one in targets]}, escape(line))
    for one in targets:
        say(escape(f"  tells {one.endpoint}{_then(one)}"))
    say(escape(f"next: farero alarm test {_quoted(name)}"))


@app.command()
def ls(
    endpoint: Annotated[str, typer.Argument(help="Only alarms of this endpoint.")] = "",
) -> None:
    """List alarms with their state."""
    cloudwatch = client("cloudwatch")
    alarms = [one for one in guarded(lambda: _all(cloudwatch)) if _is_of(one, endpoint)]
    if not alarms:
        say(f"No alarms yet. next: {EXAMPLE}")
    rows = [
        [
            one["AlarmName"], one["StateValue"],
            f"{_since(one).astimezone():%Y-%m-%d %H:%M:%S}", words.described(one),
            str(len(one.get("AlarmActions", []))) if one["ActionsEnabled"] else "off",
        ]
        for one in alarms
    ]  # fmt: skip
    titles = ["ALARM", "STATE", "SINCE", "WATCHES", "ACTIONS"]
    result({"alarms": alarms}, lines(titles, rows) if rows else "")


@app.command()
def show(name: str) -> None:
    """Show everything about one alarm: state and why, whom it tells, what happened lately."""
    cloudwatch = client("cloudwatch")
    alarm = _must_find(cloudwatch, name)
    who = Notifier(name).subscribers(alarm.get("AlarmActions", []))
    asked = {"AlarmName": name, "HistoryItemType": "StateUpdate", "MaxRecords": HISTORY}
    kinds = ["MetricAlarm", "CompositeAlarm"]
    history = guarded(lambda: cloudwatch.describe_alarm_history(**asked, AlarmTypes=kinds))
    history = history["AlarmHistoryItems"]
    result({"alarm": alarm, "subscribers": who, "history": history})
    say(f"[bold]{escape(name)}[/]  {alarm['StateValue']}")
    say(escape(words.described(alarm)))
    where = ", ".join(d["Value"] for d in alarm.get("Dimensions", []))
    if where:
        say(escape(f"of {where}"))
    say(escape(alarm.get("StateReason", "")))
    for one in who:
        say(escape(f"tells {one['protocol']} {one['endpoint']}  {one['state']}"))
    if not who:
        say("tells nobody")
    for one in history:
        say(escape(f"{one['Timestamp'].astimezone():%Y-%m-%d %H:%M:%S}  {one['HistorySummary']}"))


@app.command()
def rm(names: list[str]) -> None:
    """Remove alarms, each with the topic that `farero alarm add` made for it."""
    cloudwatch = client("cloudwatch")
    for name in names:
        _must_find(cloudwatch, name)
    if not options.yes and not options.as_json and sys.stdin.isatty():
        for name in names:
            say(f"  alarm {escape(name)}")
        if not typer.confirm("Delete these?"):
            raise typer.Exit(1)
    guarded(lambda: cloudwatch.delete_alarms(AlarmNames=names))
    topics = [topic for name in names for topic in Notifier(name).forget()]
    things = [f"alarm {name}" for name in names] + [f"topic {topic}" for topic in topics]
    result({"deleted": things}, "\n".join(escape(f"deleted {thing}") for thing in things))


app.command("test")(try_out)


def vars_of(target: words.Target) -> dict[str, str]:
    """Return a target as JSON."""
    return {"protocol": target.protocol, "endpoint": target.endpoint}


def _dimensions(endpoint: str, variant: str) -> list[dict[str, str]]:
    sagemaker = client("sagemaker")
    config = guarded(lambda: sagemaker.describe_endpoint(EndpointName=endpoint))[
        "EndpointConfigName"
    ]
    described = guarded(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config))
    names = [one["VariantName"] for one in described["ProductionVariants"]]
    if not variant and len(names) > 1:
        fail("E-VARIANT", f"endpoint '{endpoint}' has {len(names)} variants: {', '.join(names)}",
             where="metrics are of one variant", fix=f"--variant {names[0]}", status=WRONG_USAGE)  # fmt: skip
    if variant and variant not in names:
        fail("E-VARIANT", f"endpoint '{endpoint}' has no variant '{variant}'",
             where=f"it has {', '.join(names)}", fix=f"--variant {names[0]}", status=WRONG_USAGE)  # fmt: skip
    pairs = {"EndpointName": endpoint, "VariantName": variant or names[0]}
    return [{"Name": name, "Value": value} for name, value in pairs.items()]


def _given(pairs: Sequence[str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name or not value:
            raise Invalid(f"'{pair}' is no dimension; write --dimension Name=Value")
        found.append({"Name": name, "Value": value})
    return found


def _all(cloudwatch: Any) -> list[dict[str, Any]]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    return [one for page in pages for one in [*page["MetricAlarms"], *page["CompositeAlarms"]]]


def _find(cloudwatch: Any, name: str) -> dict[str, Any] | None:
    found = guarded(
        lambda: cloudwatch.describe_alarms(
            AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
    )
    return next(iter([*found["MetricAlarms"], *found["CompositeAlarms"]]), None)


def _must_find(cloudwatch: Any, name: str) -> dict[str, Any]:
    found = _find(cloudwatch, name)
    if found is None:
        fail("E-NO-ALARM", f"there is no alarm '{name}'", where="CloudWatch", fix="farero alarm ls")
    return found


def _since(alarm: dict[str, Any]) -> dt.datetime:
    return alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]


def _is_of(alarm: dict[str, Any], endpoint: str) -> bool:
    dimensions = alarm.get("Dimensions", [])
    return not endpoint or {"Name": "EndpointName", "Value": endpoint} in dimensions


def _then(target: words.Target) -> str:
    if target.protocol == "email":
        return ", once the link in the mail it gets has been opened"
    if target.protocol in ("http", "https") and "/services/" not in target.endpoint:
        return ", once it has visited the SubscribeURL it is sent"
    return ""


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name

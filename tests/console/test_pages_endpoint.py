"""Home and the page of an endpoint: what they show of a real platform, and what they do to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.console.conftest import Person, Stage


def weights(stage: Stage) -> dict[str, float]:
    found = stage.client("sagemaker").describe_endpoint(EndpointName="echo")
    return {one["VariantName"]: one["DesiredWeight"] for one in found["ProductionVariants"]}


def test_home_shows_endpoints_and_their_states(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/")
        await person.sees("echo")
        await person.sees("InService")
        links = [one.props.get("href") for one in person.elements]
        assert "/endpoints/echo" in links

    told_by(story)


def test_an_endpoint_that_asked_to_be_accelerated_shows_what_came_of_it(
    stage: Stage, told_by: Any
) -> None:
    sagemaker = stage.client("sagemaker")
    given = sagemaker.describe_model(ModelName="echo")
    container = given["PrimaryContainer"] | {"Environment": {"FARERO_ACCELERATE": "onnx"}}
    sagemaker.create_model(
        ModelName="hasty", ExecutionRoleArn=given["ExecutionRoleArn"], PrimaryContainer=container
    )
    stage.deploy("hasty", "hasty")
    assert stage.settled("hasty") == "InService"

    async def story(person: Person) -> None:
        await person.open("/endpoints/hasty")
        await person.sees(
            "AllTraffic: not accelerated: only XGBoost and TorchScript models without"
        )

    told_by(story)
    sagemaker.delete_endpoint(EndpointName="hasty")


def test_a_serverless_endpoint_shows_how_long_its_starts_took(stage: Stage, told_by: Any) -> None:
    sagemaker = stage.client("sagemaker")
    variant = {
        "VariantName": "AllTraffic", "ModelName": "echo",
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2},
    }  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="sleeper", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="sleeper", EndpointConfigName="sleeper")
    assert stage.settled("sleeper") == "InService"
    assert stage.invoke("sleeper", b"1") == b"1"

    async def story(person: Person) -> None:
        def charts() -> list[str]:
            return [
                str(one.props.get("aria-label"))
                for one in person.elements
                if one.props.get("role") == "img"
            ]

        await person.open("/endpoints/sleeper?range=15m")
        await person.until(lambda: any(one.startswith("Cold starts. ") for one in charts()))
        await person.open("/endpoints/echo?range=15m")
        await person.sees("The model's latency")
        assert not any(one.startswith("Cold starts") for one in charts())

    told_by(story)
    sagemaker.delete_endpoint(EndpointName="sleeper")


def test_try_it_answers_what_the_model_says(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/endpoints/echo")
        await person.sees("Try it")
        person.field("Body").value = "7,8,9"
        person.press("Send")
        await person.until(lambda: "7,8,9" in person.texts)

    told_by(story)


def test_try_it_tells_why_there_is_no_answer(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/endpoints/no-such")
        await person.sees("Could not find endpoint")

    told_by(story)


def test_captured_request_is_filled_in_again(stage: Stage, told_by: Any) -> None:
    stage.invoke("echo", b"captured,42")

    async def story(person: Person) -> None:
        await person.open("/endpoints/echo")
        await person.sees("captured,42")
        person.press("Replay")
        await person.until(lambda: person.field("Body").value)

    told_by(story)


def test_captured_requests_are_filtered_by_variant_and_the_address_says_so(
    stage: Stage, told_by: Any
) -> None:
    runtime = stage.client("sagemaker-runtime")
    for variant in ("blue", "green"):
        runtime.invoke_endpoint(
            EndpointName="echo", TargetVariant=variant, ContentType="text/csv", Body=f"asked,{variant}"
        )  # fmt: skip

    async def story(person: Person) -> None:
        await person.open("/endpoints/echo?range=3h&variant=green&holds=asked")
        await person.until(lambda: "asked,green" in person.texts)
        assert person.field("Variant").value == "green"
        assert "asked,blue" not in person.texts
        person.field("Variant").value = "blue"
        await person.until(lambda: "asked,green" not in person.texts)
        await person.until(lambda: "asked,blue" in person.texts)
        person.field("Variant").value = ""
        await person.until(lambda: "asked,green" in person.texts)
        await person.until(lambda: "asked,blue" in person.texts)
        person.field("Status").value = "bad"
        await person.until(lambda: "asked,blue" not in person.texts)

    told_by(story)


def test_weights_change_when_confirmed_and_not_before(stage: Stage, told_by: Any) -> None:
    before = weights(stage)

    async def story(person: Person) -> None:
        await person.open("/endpoints/echo")
        await person.sees("green")
        fields = [one for one in person.elements if one.props.get("aria-label") == "Weight"]
        for field, weight in zip(fields, (3.0, 1.0), strict=True):
            field.value = weight
        person.press("Apply weights")
        await person.sees("Change where traffic goes?")
        assert weights(stage) == before
        person.press("Cancel", -1)
        assert weights(stage) == before
        person.press("Apply weights")
        await person.sees("Change where traffic goes?")
        person.press("Apply weights", -1)
        await person.until(lambda: set(weights(stage).values()) == {3.0, 1.0})

    told_by(story)

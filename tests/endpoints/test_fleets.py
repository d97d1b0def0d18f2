"""What an endpoint config asks for, and what an update keeps."""

import datetime as dt

import pytest

from farero.base.errors import Invalid
from farero.endpoints import fleets
from farero.records.endpoint import EndpointConfig, Model

NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
MODEL = Model(
    name="m", arn="arn", created_at=NOW, given={"PrimaryContainer": {"Image": "xgboost:latest"}}
)


def variant(name="AllTraffic", **changes):
    facts = {
        "VariantName": name,
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
    }
    return facts | changes


def fleet(*variants, generation=1, **config):
    given = {"ProductionVariants": list(variants), **config}
    made = EndpointConfig(name=f"c{generation}", arn="arn", created_at=NOW, given=given)
    return fleets.make_fleet(made, {"m": MODEL}, generation=generation, now=NOW)


def counts_and_weights(made):
    return {v.name: (v.desired_count, v.desired_weight) for v in made.variants}


def test_weight_defaults_to_one_and_health_check_to_four_minutes():
    bare = {key: value for key, value in variant().items() if key != "InitialVariantWeight"}

    (made,) = fleet(bare).variants

    assert (made.desired_weight, made.startup_timeout_s) == (1.0, 240)


def test_retaining_keeps_counts_weights_and_capture_of_variants_that_stay():
    capture = {
        "DestinationS3Uri": "s3://old",
        "InitialSamplingPercentage": 10,
        "CaptureOptions": [],
    }
    old = fleets.reweigh(
        fleet(variant("a"), DataCaptureConfig=capture),
        [{"VariantName": "a", "DesiredWeight": 5, "DesiredInstanceCount": 3}],
    )
    new = fleet(variant("a"), variant("b", InitialVariantWeight=2.0), generation=2)

    kept = fleets.retain(new, old, ())

    assert counts_and_weights(kept) == {"a": (3, 5.0), "b": (1, 2.0)}
    assert kept.capture == capture


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [("DesiredInstanceCount", (1, 5.0)), ("DesiredWeight", (3, 1.0))],
)
def test_excluded_properties_come_from_the_new_config(excluded, expected):
    old = fleets.reweigh(
        fleet(variant("a")),
        [{"VariantName": "a", "DesiredWeight": 5, "DesiredInstanceCount": 3}],
    )

    kept = fleets.retain(fleet(variant("a"), generation=2), old, {excluded})

    assert counts_and_weights(kept) == {"a": expected}


def test_reweighing_an_unknown_variant_is_refused_by_name():
    with pytest.raises(Invalid, match='"b" is/are not present within endpoint configuration "c1"'):
        fleets.reweigh(fleet(variant("a")), [{"VariantName": "b", "DesiredWeight": 1}])


def test_not_every_weight_may_become_zero():
    with pytest.raises(Invalid, match="weight above 0"):
        fleets.reweigh(fleet(variant("a")), [{"VariantName": "a", "DesiredWeight": 0}])


def test_settling_makes_what_is_desired_current_and_giving_way_does_the_opposite():
    settled = fleets.settle(fleet(variant("a", InitialInstanceCount=2)))
    wished = fleets.reweigh(settled, [{"VariantName": "a", "DesiredInstanceCount": 9}])

    (current,) = settled.variants
    assert (current.current_count, current.current_weight) == (2, 1.0)
    assert fleets.give_way(wished) == settled


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"AsyncInferenceConfig": {}}, "Asynchronous"),
        ({"ShadowProductionVariants": []}, "Shadow"),
    ],
)
def test_what_is_not_there_yet_is_said(config, words):
    with pytest.raises(Invalid, match=words):
        fleet(variant(), **config)

"""The Grafana dashboard asks for nothing that `/metrics` does not tell."""

import itertools
import json
import re

import pytest
from tests.conftest import ROOT
from tests.gateway.test_metrics_page import measure, samples, scrape
from tests.services.test_sagemaker_runtime import Bench

from farero.endpoints.invocations import THROTTLED
from farero.telemetry.exposition import FAMILIES

DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "farero.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture
def told(cloud, tmp_path):
    """Names of samples, and their labels, after a request, a refusal and some waiting work."""
    bench = Bench(cloud, tmp_path)
    bench.endpoint()
    bench.invoke()
    route = cloud.gateway.router._table["iris"]
    cloud.gateway.invocations.note("iris", route.variants[0], THROTTLED, None, 0.0)
    cloud.gateway.invocations.flush()
    for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        measure(cloud, name, "AllTraffic", 50.0)
    cloud.worker.put("endpoint.reconcile", "iris")
    token = (cloud.settings.keys_dir / "metrics-token").read_text(encoding="utf-8").strip()
    found = {}
    for name, *labels in samples(scrape(cloud, token).text):
        found.setdefault(name, set()).update(key for key, _ in labels)
    bench.close()
    return found


def test_every_metric_and_label_of_the_dashboard_is_told(told):
    for expression in [*EXPRESSIONS, DASHBOARD["templating"]["list"][1]["definition"]]:
        names = re.findall(r"farero_\w+", expression)
        assert names
        assert set(names) <= told.keys(), expression
        matched = set(re.findall(r"(\w+)=~?\"", expression))
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
        for name in names:
            assert matched | grouped <= told[name], expression


def test_every_family_is_told_and_most_are_drawn(told):
    assert {name for name in told if not name.endswith(("_bucket", "_sum", "_count"))} | {
        "farero_model_latency_seconds",
        "farero_overhead_latency_seconds",
        "farero_metrics_lost_total",
    } == {family.name for family in FAMILIES}
    drawn = re.findall(r"farero_\w+", " ".join(EXPRESSIONS))
    missing = {f.name for f in FAMILIES} - {name.removesuffix("_bucket") for name in drawn}
    assert missing == {"farero_metrics_lost_total", "farero_build_info"}


def test_counters_are_drawn_as_rates_and_levels_as_they_are():
    for expression in EXPRESSIONS:
        for family in FAMILIES:
            if family.name in expression:
                is_rate = f"rate({family.name}" in expression
                assert is_rate == (family.kind != "gauge"), expression


def test_the_dashboard_can_be_imported_with_any_data_source():
    source = DASHBOARD["templating"]["list"][0]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}
    for expression in EXPRESSIONS:
        for opening, closing in ("()", "{}", "[]"):
            assert expression.count(opening) == expression.count(closing)


def test_panels_stand_beside_one_another():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    for a, b in itertools.combinations(places, 2):
        apart_x = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart_y = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart_x or apart_y
        assert a["x"] + a["w"] <= 24

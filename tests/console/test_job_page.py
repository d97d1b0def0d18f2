"""How a job's log becomes charts, without a browser."""

from __future__ import annotations

from farero.console.pages.jobs import progress


def test_xgboosts_rounds_are_a_chart_a_metric() -> None:
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
    lines = [f"[{n}]#011train-rmse:{3 - n}#011validation-rmse:{4 - n}" for n in range(3)]
    found = progress(
        [{"message": line} for line in ["hello", *lines]],
        {"AlgorithmSpecification": {"TrainingImage": image}},
    )
    assert [(name, [one.name for one in series]) for name, series in found] == [
        ("rmse", ["train:rmse", "validation:rmse"])
    ]
    assert found[0][1][1].points == [(0, 4), (1, 3), (2, 2)]


def test_the_jobs_own_metrics_are_found_by_its_patterns() -> None:
    job = {
        "AlgorithmSpecification": {
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
        }
    }
    events = [{"message": "epoch 1 loss=0.5"}, {"message": "loss=nan"}, {"message": "loss=0.25"}]
    assert [(name, series[0].points) for name, series in progress(events, job)] == [
        ("loss", [(0, 0.5), (1, 0.25)])
    ]


def test_a_log_without_metrics_has_no_charts() -> None:
    assert progress([{"message": "nothing"}, {}], {}) == []

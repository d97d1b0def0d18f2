"""An analysis from rows to `analysis.json`: bias and attributions; the model is asked if need be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from farero_monitor.clarify import (
    answers,
    bias,
    measures,
    models,
    others,
    payload,
    reference,
    trees,
)
from farero_monitor.clarify.attributions import by_kernel
from farero_monitor.clarify.config import ConfigError, Methods, Predictor, Shap

if TYPE_CHECKING:
    from pathlib import Path

    from farero_monitor.clarify.attributions import Explained
    from farero_monitor.clarify.aws import Aws
    from farero_monitor.clarify.config import Config
    from farero_monitor.clarify.infinite import Array
    from farero_monitor.clarify.measures import Subject
    from farero_monitor.clarify.models import Model
    from farero_monitor.clarify.rows import Rows

VERSION = "1.0"


@dataclass(slots=True)
class Analysis:
    """What has been found."""

    content: dict[str, Any] = field(default_factory=lambda: {"version": VERSION})
    intervals: dict[tuple[str, str, str], tuple[float, float]] = field(
        default_factory=dict[tuple[str, str, str], tuple[float, float]]
    )
    deviations: dict[tuple[str, str, str], float] = field(
        default_factory=dict[tuple[str, str, str], float]
    )
    explained: Explained | None = None
    rows: int = 0

    def add_bias(self, about: Subject, stage: str, names: list[str]) -> None:
        """Measure a stage."""
        made = measures.measure(about, stage, names)
        self.content[f"{stage}_bias_metrics"] = made.section
        self.intervals |= made.intervals
        self.deviations |= made.deviations

    def add_attributions(self, explained: Explained, shap: Shap) -> None:
        """Take attributions over."""
        self.content["explanations"] = {"kernel_shap": explained.section(shap)}
        self.explained = explained


def of_job(rows: Rows, config: Config, aws: Aws, *, shap_method: str = "auto") -> Analysis:
    """Do a job's analyses. Raises ConfigError, ModelError, AnswerError."""
    methods = config.methods
    if methods is None:
        raise ConfigError("`methods` is missing: which analyses are asked for?")
    found = Analysis(rows=len(rows))
    rows, config, added = others.with_others(rows, config, aws)
    asked_with = others.features(rows, config, added)
    before, after, shap = methods.pre_training_bias, methods.post_training_bias, methods.shap
    about = None
    if before is not None or after is not None:
        about = measures.subject(rows, config)
    if about is not None and before is not None:
        found.add_bias(about, bias.PRE, before.names(bias.PRE))
    by_trees = (
        _trees(asked_with, shap, config, aws, method=shap_method) if shap is not None else None
    )
    predicted = _column(about, config) if about is not None and after is not None else None
    if (after is not None and predicted is None) or (shap is not None and by_trees is None):
        predictor = config.predictor
        if predictor is None or not (predictor.model_name or predictor.endpoint_name):
            raise ConfigError(
                "The model must be asked, and `predictor` names neither model_name nor endpoint_name."
            )
        baseline = (
            _baseline(asked_with, shap, config, aws)
            if shap is not None and by_trees is None
            else None
        )
        kind = payload.kind(predictor, config.dataset_type)
        with models.serving(aws, predictor, kind) as model:
            if about is not None and after is not None and predicted is None:
                given = model.ask(others.features(about.rows, config, added))
                predicted = positive(given, about, config, predictor)
            if shap is not None and baseline is not None:
                by_trees = explain(asked_with, model, baseline, shap)
    if about is not None and after is not None:
        aside = tuple(set(about.rows.names) - set(others.features(about.rows, config, added).names))
        with_answers = dataclasses.replace(about, predicted=predicted, aside=aside)
        found.add_bias(with_answers, bias.POST, after.names(bias.POST))
    if shap is not None and by_trees is not None:
        found.add_attributions(by_trees, shap)
    return found


def of_window(
    rows: Rows, given: list[Any], config: Config, predictor: Predictor, known: Baseline
) -> Analysis:
    """Measure the bias of what an endpoint answered. given: its answers; without `methods`, everything is measured."""
    methods = config.methods or Methods(pre_training_bias=None, post_training_bias=None)
    before, after = methods.pre_training_bias, methods.post_training_bias
    every = before is None and after is None
    found = Analysis(rows=len(rows))
    label = rows.name(config.label if config.label is not None else "label", "label")
    # rows without a label have no answer to be compared with either
    present = rows.present(label)
    about = measures.subject(rows, config, known=known.facets, known_label=known.label)
    if every or before is not None:
        found.add_bias(about, bias.PRE, before.names(bias.PRE) if before else bias.names(bias.PRE))
    if every or after is not None:
        if not given:
            raise ConfigError("The records hold no answers; capture Output, too.")
        kept = [answer for answer, there in zip(given, present.tolist(), strict=True) if there]
        told = positive(kept, about, config, predictor)
        about = dataclasses.replace(about, predicted=told)
        found.add_bias(about, bias.POST, after.names(bias.POST) if after else bias.names(bias.POST))
    return found


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a baseline called its groups and its positive label; empty without a baseline."""

    facets: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    label: str | None = None


def positive(given: list[Any], about: Subject, config: Config, predictor: Predictor) -> Array:
    """Return which answers are the positive outcome: Bool[rows]. Raises AnswerError."""
    return answers.positive(
        given, config.label_values_or_threshold or [about.positive.called],
        label=predictor.label, probability=predictor.probability,
        threshold=config.probability_threshold, headers=predictor.label_headers,
        known=about.rows.codes(about.label).values, above=about.positive.above,
    )  # fmt: skip


def _column(about: Subject, config: Config) -> Array | None:
    """Return which predictions of the data set are the positive outcome; None if it has none."""
    if config.predicted_label is None:
        return None
    name = about.rows.name(config.predicted_label, "predicted_label")
    if not about.rows.present(name).all():
        raise ConfigError(f"Values of predicted_label '{name}' are missing.")
    given = [[value] for value in about.rows.texts(name).to_pylist()]
    told = config.predictor.label_headers if config.predictor is not None else None
    return positive(given, about, config, Predictor(label_headers=told))


def _trees(  # noqa: PLR0913 - two by name
    rows: Rows, shap: Shap, config: Config, aws: Aws, *, method: str, endpoint: str = ""
) -> Explained | None:
    """Explain by the model's own trees, where nothing is asked for that they cannot say."""
    predictor = config.predictor or Predictor()
    if method == "kernel" or (method == "auto" and (shap.baseline or shap.num_clusters)):
        return None
    name = models.model_of(aws, predictor, endpoint)
    booster = trees.booster_of(aws, name) if name else None
    found = (
        trees.by_trees(booster, rows, shap, predictor.label_headers)
        if booster is not None
        else None
    )
    if found is None and method == "tree":
        raise ConfigError(
            f"shap_method is 'tree', but model '{name}' cannot be explained by its trees: that takes XGBoost's own "
            "container and file, XGBoost beside the job, and regression, or a binary model with use_logit."
        )
    return found


def _baseline(rows: Rows, shap: Shap | None, config: Config, aws: Aws) -> Rows:
    assert shap is not None
    given = shap.baseline
    if given is None:
        return reference.of_data(rows, shap.num_clusters, np.random.default_rng(shap.seed or 0))
    if isinstance(given, str):
        told = others.fetch(aws, given, _of_baseline(config, rows), "methods.shap.baseline")
        return reference.of_rows([list(row.values()) for row in told.table.to_pylist()], rows.names)
    return reference.of_rows(given if isinstance(given, list) else [given], rows.names)


def _of_baseline(config: Config, rows: Rows) -> Config:
    """Return how a baseline's file is read: as the data set, without labels."""
    with_names = config.dataset_type.lower() == "application/x-parquet"
    return msgspec.structs.replace(
        config, headers=None if with_names else rows.names, label=None, predicted_label=None
    )


def explain(rows: Rows, model: Model, baseline: Rows, shap: Shap) -> Explained:
    """Explain a model that serves. Raises ModelError, AnswerError."""
    return by_kernel(rows, model.scores, baseline, shap, model.predictor.label_headers)


def of_endpoint(
    rows: Rows, config: Config, aws: Aws, *, endpoint: str, shap_method: str = "auto"
) -> Analysis:
    """Explain what a monitored endpoint was asked. Raises ConfigError, ModelError, AnswerError."""
    shap = (config.methods.shap if config.methods else None) or Shap()
    predictor = config.predictor or Predictor()
    found = Analysis(rows=len(rows))
    asked_with = others.features(rows, config)
    explained = _trees(asked_with, shap, config, aws, method=shap_method, endpoint=endpoint)
    if explained is None:
        baseline = _baseline(asked_with, shap, config, aws)
        kind = payload.kind(predictor, config.dataset_type)
        with models.serving(aws, predictor, kind, endpoint=endpoint) as model:
            explained = explain(asked_with, model, baseline, shap)
    found.add_attributions(explained, shap)
    return found


def write(found: Analysis, config: Config, folder: Path) -> None:
    """Write `explanations_shap`, if there are attributions."""
    shap = (config.methods.shap if config.methods else None) or Shap()
    if found.explained is not None:
        found.explained.write(folder / "explanations_shap", shap)

"""`analysis_config.json`: what is asked for, checked before anything is read or any model is started.

Schema: "Analysis Configuration Files" in the SageMaker Developer Guide; the SageMaker SDK's `clarify.py` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from farero_monitor.clarify import bias

if TYPE_CHECKING:
    from pathlib import Path

NAME = "analysis_config.json"
Value = str | bool | int | float
Column = str | int
#: What is meant for other data than tables.
_NOT_HERE = ("text_config", "image_config")


class ConfigError(Exception):
    """The configuration is missing, wrong, or does not fit the data; the text says what and where."""


class Facet(msgspec.Struct, frozen=True, kw_only=True):
    """A group that is looked at."""

    name_or_index: Column
    value_or_threshold: list[Value] | None = None


class Bias(msgspec.Struct, frozen=True, kw_only=True):
    """Which bias metrics: `all`, or a list of their short names."""

    methods: str | list[str] = "all"

    def names(self, stage: str) -> list[str]:
        """Return the metrics in order. Raises ConfigError for one that does not exist."""
        known = bias.names(stage)
        if self.methods == "all":
            return known
        asked = [self.methods] if isinstance(self.methods, str) else self.methods
        for name in asked:
            if name not in known:
                raise ConfigError(
                    f"methods.{stage}_bias names the metric '{name}'. There are: {', '.join(known)}."
                )
        return [name for name in known if name in asked]


class Shap(msgspec.Struct, frozen=True, kw_only=True):
    """How attributions are computed."""

    #: Rows, an object of S3, or None: a baseline is made of the data.
    baseline: str | list[Any] | dict[str, Any] | None = None
    num_clusters: int | None = None
    num_samples: int | None = None
    agg_method: Literal["mean_abs", "median", "mean_sq"] = "mean_abs"
    use_logit: bool = False
    save_local_shap_values: bool = True
    seed: int | None = None
    features_to_explain: list[Column] | None = None
    text_config: dict[str, Any] | None = None
    image_config: dict[str, Any] | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How the report is called."""

    name: str = "report"
    title: str = "Analysis Report"


class Methods(msgspec.Struct, frozen=True, kw_only=True):
    """Which analyses."""

    pre_training_bias: Bias | None = None
    post_training_bias: Bias | None = None
    shap: Shap | None = None
    report: Report | None = None
    pdp: dict[str, Any] | None = None
    asymmetric_shapley_value: dict[str, Any] | None = None


class Predictor(msgspec.Struct, frozen=True, kw_only=True):
    """The model and how it is asked."""

    model_name: str = ""
    endpoint_name: str = ""
    endpoint_name_prefix: str = ""
    instance_type: str = "ml.m5.xlarge"
    initial_instance_count: int = 1
    content_type: str = ""
    accept_type: str = ""
    content_template: str = ""
    record_template: str = ""
    custom_attributes: str = ""
    target_model: str = ""
    label: Column | None = None
    probability: Column | None = None
    label_headers: list[Value] | None = None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: str = "1.0"
    dataset_type: str = "text/csv"
    dataset_uri: str | None = None
    headers: list[str] | None = None
    label: Column | None = None
    predicted_label: Column | None = None
    features: str | None = None
    label_values_or_threshold: list[Value] | None = None
    probability_threshold: float | None = None
    facet: list[Facet] = []
    facet_dataset_uri: str | None = None
    facet_headers: list[str] | None = None
    predicted_label_dataset_uri: str | None = None
    predicted_label_headers: list[str] | None = None
    excluded_columns: list[Column] = []
    joinsource_name_or_index: Column | None = None
    group_variable: Column | None = None
    methods: Methods | None = None
    predictor: Predictor | None = None


def read(path: Path) -> Config:
    """Read the file, or the one of its name in a folder. Raises ConfigError."""
    file = path if path.is_file() or path.suffix == ".json" else path / NAME
    if path.is_dir() and not file.is_file():
        found = sorted(entry for entry in path.glob("*.json") if entry.is_file())
        file = found[0] if len(found) == 1 else file
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"There is no analysis configuration at {file}. It comes by the processing input named 'analysis_config'."
        ) from error
    return parse(content, str(file))


def parse(content: bytes, name: str = NAME) -> Config:
    """Return the checked configuration. Raises ConfigError with the place of what is wrong."""
    try:
        found = msgspec.json.decode(content, type=Config)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: {error}") from error
    try:
        check(found)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    return found


def check(config: Config) -> None:
    """Raise ConfigError for what cannot be done whatever the data is."""
    if config.version not in {"1.0", "1"}:
        raise ConfigError(f"version '{config.version}' is not known; there is 1.0.")
    if config.dataset_type.lower() == "application/x-image":
        raise ConfigError("images are not analysed here, tables are.")
    methods = config.methods
    if methods is None:
        return
    if methods.asymmetric_shapley_value is not None:
        raise ConfigError("methods.asymmetric_shapley_value: time series are not analysed here.")
    if methods.pdp is not None:
        raise ConfigError("methods.pdp: partial dependence is not computed here; take it out.")
    before, after, shap = methods.pre_training_bias, methods.post_training_bias, methods.shap
    if shap is not None:
        _check_shap(shap)
    if before is not None:
        before.names(bias.PRE)
    if after is not None:
        after.names(bias.POST)
    if before is not None or after is not None:
        check_bias(config)
    elif shap is None:
        raise ConfigError(
            "methods names no analysis; there are pre_training_bias, post_training_bias and shap."
        )


def _check_shap(shap: Shap) -> None:
    for name in _NOT_HERE:
        if getattr(shap, name) is not None:
            raise ConfigError(f"methods.shap.{name}: tables are explained here, nothing else.")
    if shap.baseline is not None and shap.num_clusters is not None:
        raise ConfigError("methods.shap has both baseline and num_clusters; give one of them.")
    for name in ("num_samples", "num_clusters"):
        if (number := getattr(shap, name)) is not None and number < 1:
            raise ConfigError(f"methods.shap.{name} is {number}; it is at least 1.")


def check_bias(config: Config) -> None:
    """Raise ConfigError where what bias metrics need is missing."""
    if not config.facet:
        raise ConfigError("bias is measured of a facet, and `facet` is missing.")
    if config.label is None:
        raise ConfigError("bias is measured of a label, and `label` is missing.")
    if not config.label_values_or_threshold:
        raise ConfigError(
            "`label_values_or_threshold` is missing: which label is the positive outcome?"
        )

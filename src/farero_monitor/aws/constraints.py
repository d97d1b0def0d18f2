"""`constraints.json`: what a baseline promises, as SageMaker's analyzer suggests it, and overrides read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero_monitor.aws.content import features, section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.profile.column import Column
    from farero_monitor.profile.dataset import Profile

NAME = "constraints.json"
#: A text column with more different values gets no list of allowed ones (Deequ's limit).
MOST_DOMAINS = 120
METHODS = ("Robust", "Simple", "Calibrated")


def suggest(profile: Profile) -> dict[str, Any]:
    """Return the content of `constraints.json` for a baseline, with the thresholds that AWS really generates."""
    return {
        "version": 0.0,
        "features": [_feature(column) for column in profile.columns.values()],
        "monitoring_config": {
            "evaluate_constraints": "Enabled",
            "emit_metrics": "Enabled",
            "datatype_check_threshold": 1.0,
            "domain_content_threshold": 1.0,
            "distribution_constraints": {
                "perform_comparison": "Enabled",
                "comparison_threshold": 0.1,
                "comparison_method": "Robust",
                "categorical_comparison_threshold": 0.1,
                "categorical_drift_method": "LInfinity",
            },
        },
    }


def _feature(column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": column.name,
        "inferred_type": column.inferred_type,
        "completeness": column.completeness,
    }
    if column.inferred_type in {"Integral", "Fractional"}:
        made["num_constraints"] = {"is_non_negative": column.negative == 0}
    elif column.inferred_type == "String":
        assert column.categories is not None
        if column.categories.exact and column.categories.distinct <= MOST_DOMAINS:
            made["string_constraints"] = {"domains": sorted(column.categories.counts)}
    return made


class Constraints:
    """A `constraints.json`, ours or SageMaker's; what it does not say has SageMaker's default."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.features = features(content, "constraints.json")
        self._config = section(content, "monitoring_config")
        method = self.distribution({}, "comparison_method", "Robust")
        if method not in METHODS:
            raise ValueError(f"comparison_method {method!r} is none of {', '.join(METHODS)}.")

    @property
    def names(self) -> list[str]:
        """The columns in their order."""
        return [feature["name"] for feature in self.features]

    @property
    def method(self) -> str:
        """Robust, Simple or Calibrated."""
        return str(self.distribution({}, "comparison_method", "Robust"))

    def enabled(self, key: str, feature: Mapping[str, Any] | None = None) -> bool:
        """Tell whether `evaluate_constraints` or `emit_metrics` is on, for all or for one feature."""
        return self.setting(feature or {}, key, "Enabled") == "Enabled"

    def setting(self, feature: Mapping[str, Any], key: str, default: object) -> Any:
        """Return a setting of `monitoring_config`, where a feature has its own, that one."""
        return overrides(feature).get(key, self._config.get(key, default))

    def distribution(self, feature: Mapping[str, Any], key: str, default: object) -> Any:
        """Return a setting of `distribution_constraints` likewise."""
        own = section(overrides(feature), "distribution_constraints")
        return own.get(key, section(self._config, "distribution_constraints").get(key, default))


def overrides(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a feature's own settings; AWS writes the key in two ways, and also inside the kind of constraint."""
    found: dict[str, Any] = {}
    for place in (
        feature, section(feature, "num_constraints"), section(feature, "string_constraints"),
    ):  # fmt: skip
        for key in ("monitoringConfigOverrides", "monitoring_config_overrides"):
            found.update(section(place, key))
    return found

"""Metrics from log lines: the last value of each name counts. Pure.

A pattern of the caller's may run away on a line (`(a|aa)+$`): Python's own `re` would then hold up the worker, and with
it all alarms and schedules. `regex` reads the same patterns and keeps to a time.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import re
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.records.images import find_image
from farero.records.job import FinalMetric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regex import Pattern

    from farero.records.job import JobSpec, MetricDefinition

log = logging.getLogger(__name__)

#: No metric stands further right; keeps a careless pattern from running away on a huge line.
LINE_LIMIT = 4096
#: Time for one pattern on one line; a sane one takes microseconds. One that takes longer is given up.
LINE_WITHIN_S = 0.25

#: What SageMaker's XGBoost image declares of itself, `.*\[[0-9]+\].*#011validation-rmse:(\S+)` for each metric, in one
#: pattern; `#011` is how a tab arrives in CloudWatch.
_XGBOOST_ROUND = re.compile(r"\[[0-9]+\].*#011(?:train|validation)-")
_XGBOOST_VALUE = re.compile(r"#011(train|validation)-([^:\s#]+):([^\s#]+)")


def check(definitions: Sequence[MetricDefinition]) -> None:
    """Raise Invalid if a pattern cannot be read."""
    import regex  # a large one, which most processes never need

    for item in definitions:
        try:
            regex.compile(item.regex)
        except (regex.error, RecursionError) as error:
            raise Invalid(
                f"MetricDefinitions: the regex of '{item.name}' cannot be read: {error} in {item.regex!r}"
            ) from error


def scanner_of(spec: JobSpec) -> MetricScanner:
    """Return a scanner for a job's log: its own definitions, and those that its image brings along."""
    image = find_image(spec.image)
    is_script = "sagemaker_program" in spec.hyperparameters
    reads_xgboost = not is_script and image is not None and image.framework == "xgboost"
    return MetricScanner(spec.metrics, reads_xgboost=reads_xgboost)


class MetricScanner:
    """Reads log lines in order and remembers each metric's last value."""

    def __init__(self, definitions: Sequence[MetricDefinition], *, reads_xgboost: bool) -> None:
        self._patterns = [(item.name, _compiled(item.regex)) for item in definitions]
        self._reads_xgboost = reads_xgboost
        self._last: dict[str, FinalMetric] = {}

    def read(self, timestamp_ms: int, message: str) -> None:
        """Look for every metric in one line."""
        line = message[:LINE_LIMIT]
        time = dt.datetime.fromtimestamp(timestamp_ms / 1000, dt.UTC)
        for name, value in self.values(line):
            self._last[name] = FinalMetric(name=name, value=value, timestamp=time)

    def final(self) -> tuple[FinalMetric, ...]:
        """Return the last values, in the order in which the metrics first appeared."""
        return tuple(self._last.values())

    def values(self, message: str) -> Iterator[tuple[str, float]]:
        """Return the metrics of one line."""
        for name, text in self._texts(message[:LINE_LIMIT]):
            value = _number(text)
            if value is not None:
                yield name, value

    def _texts(self, line: str) -> Iterator[tuple[str, str]]:
        if self._reads_xgboost and _XGBOOST_ROUND.search(line):
            for channel, metric, text in _XGBOOST_VALUE.findall(line):
                yield f"{channel}:{metric}", text
        for name, pattern in (*self._patterns,):
            try:
                found = pattern.search(line, timeout=LINE_WITHIN_S)
            except TimeoutError:
                self._patterns.remove((name, pattern))
                log.warning(
                    "MetricDefinitions: the regex of %r takes over %s s on one line and is not looked for any more: %r",
                    name, LINE_WITHIN_S, pattern.pattern,
                )  # fmt: skip
                continue
            if found:
                yield name, (found.group(1) if pattern.groups else found.group(0)) or ""


def _compiled(pattern: str) -> Pattern[str]:
    import regex

    return regex.compile(pattern)


def _number(text: str) -> float | None:
    """Return the number; infinities are no values, since JSON on the wire has none."""
    try:
        value = float(text.rstrip(",;"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None

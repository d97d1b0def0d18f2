"""The files of drift reports as pages need them. They lie in S3, where anybody may have written: nothing is trusted.

Read are `drift_report.json` and `statistics.json`, both as docs/monitoring.md describes them; of the second's sketches
only when one feature is drawn. What is not as it should be raises UnreadableError, which says what; text stays text.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import field

T = TypeVar("T")
REPORT, STATISTICS, PAGE = "drift_report.json", "statistics.json", "report.html"
VIOLATIONS = "constraint_violations.json"
#: Beyond this a file is not read.
MOST_BYTES = 64_000_000


class UnreadableError(Exception):
    """A file is not what it should be; the text says what."""


class Finding(msgspec.Struct, frozen=True):
    """Something a report tells."""

    severity: str = ""
    kind: str = ""
    column: str = ""
    text: str = ""


class Column(msgspec.Struct, frozen=True):
    """What a report says of one column."""

    name: str
    kind: str = ""
    state: str = ""
    adjusted: float | None = None
    effects: dict[str, float | None] = {}
    reasons: list[str] = []
    detectable: float | None = None
    #: The largest effect by what matters, which is 1; and the share of missing values.
    score: float | None = None
    missing: float | None = None


class Far(msgspec.Struct, frozen=True):
    """How far SageMaker's own rule finds a column from its baseline; of ChiSquared a p value, which is far if small."""

    value: float
    threshold: float
    exceeds: bool = False
    is_p: bool = False


class Texts(msgspec.Struct, frozen=True):
    """A report's texts in another language, in their order."""

    sentence: str = ""
    findings: list[str] = []


class Report(msgspec.Struct, frozen=True):
    """A verdict."""

    severity: str = ""
    sentence: str = ""
    rows: int = 0
    first: str = ""
    last: str = ""
    findings: list[Finding] = []
    columns: list[Column] = []
    #: From when on each effect matters; empty in older reports.
    limits: dict[str, float] = {}
    #: What the analyzer says of the model, with labels and without.
    quality: Any = None
    estimated: Any = None
    #: Whether all columns at once differ.
    together: Any = None
    #: Of runs of Clarify: metrics of bias, and what each label's answers come from.
    bias: Any = None
    attributions: Any = None
    #: Columns by name; empty in older reports, and where nothing is compared.
    sagemaker: dict[str, Far] = {}
    spanish: Texts = field(default_factory=Texts)

    def sentence_in(self, language: str) -> str:
        """Return the verdict in a language, as far as the report has it."""
        return (
            self.spanish.sentence if language == "es" and self.spanish.sentence else self.sentence
        )

    def findings_in(self, language: str) -> list[Finding]:
        """Return the findings in a language, as far as the report has it."""
        texts = self.spanish.findings
        if language != "es" or len(texts) != len(self.findings):
            return self.findings
        return [
            msgspec.structs.replace(one, text=text)
            for one, text in zip(self.findings, texts, strict=True)
        ]

    def column(self, name: str) -> Column | None:
        """Return what is said of a column."""
        return next((one for one in self.columns if one.name == name), None)

    def scores(self, column: Column) -> dict[str, float]:
        """Return how large each effect of a column is by what matters, which is 1."""
        return {
            name: abs(value) / self.limits[name]
            for name, value in column.effects.items()
            if value is not None and self.limits.get(name, 0.0) > 0
        }

    def score(self, column: Column) -> float | None:
        """Return the largest of them."""
        if column.score is not None:
            return column.score
        return max(self.scores(column).values(), default=None)


class Common(msgspec.Struct, frozen=True):
    """How many values there are."""

    num_present: float = 0
    num_missing: float = 0


class Sketch(msgspec.Struct, frozen=True):
    """KLL: a value of level i stands for 2 to the power of i of them."""

    data: list[list[float]] = []


class Kll(msgspec.Struct, frozen=True):
    """A distribution of numbers."""

    sketch: Sketch = field(default_factory=Sketch)


class Bucket(msgspec.Struct, frozen=True):
    """A text and how often it was there."""

    value: str
    count: float


class Categorical(msgspec.Struct, frozen=True):
    """A distribution of texts."""

    buckets: list[Bucket] = []


class Distribution(msgspec.Struct, frozen=True):
    """One of both."""

    kll: Kll | None = None
    categorical: Categorical | None = None


class Side(msgspec.Struct, frozen=True):
    """What statistics say of a column, its distribution not yet read."""

    common: Common = field(default_factory=Common)
    mean: float | None = None
    distribution: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def rows(self) -> float:
        """How many rows there were."""
        return self.common.num_present + self.common.num_missing

    @property
    def missing(self) -> float | None:
        """The share of missing values in percent; None without rows."""
        return 100 * self.common.num_missing / self.rows if self.rows > 0 else None

    def numbers(self) -> list[tuple[float, float]]:
        """Return (value, weight) in order. Raises UnreadableError."""
        kll = _decoded(self.distribution, Distribution, STATISTICS).kll or Kll()
        levels = enumerate(kll.sketch.data[:48])
        return sorted((value, float(2**level)) for level, held in levels for value in held)

    def texts(self) -> dict[str, float]:
        """Return how often each text was there. Raises UnreadableError."""
        found = _decoded(self.distribution, Distribution, STATISTICS).categorical or Categorical()
        return {one.value: one.count for one in found.buckets}


class Feature(msgspec.Struct, frozen=True):
    """A column in statistics.json."""

    name: str
    numerical_statistics: Side | None = None
    string_statistics: Side | None = None

    @property
    def side(self) -> Side:
        """What there is, of numbers or of texts."""
        return self.numerical_statistics or self.string_statistics or Side()


class Dataset(msgspec.Struct, frozen=True):
    """How large a data set is."""

    item_count: float = 0


class Statistics(msgspec.Struct, frozen=True):
    """A profile."""

    dataset: Dataset = field(default_factory=Dataset)
    features: list[Feature] = []

    def feature(self, name: str) -> Feature | None:
        """Return a column."""
        return next((one for one in self.features if one.name == name), None)


class Violation(msgspec.Struct, frozen=True):
    """One line of constraint_violations.json."""

    feature_name: str = ""
    constraint_check_type: str = ""
    description: str = ""
    #: Of model quality, of bias, and of attributions.
    metric_name: str = ""
    facet: str = ""
    facet_value: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        """What it is about: a column, a metric, or a metric of a group."""
        group = f"{self.facet} {self.facet_value}".strip() or self.label
        return self.feature_name or " ".join(filter(None, [self.metric_name, group]))


class Violations(msgspec.Struct, frozen=True):
    """What SageMaker's own checks found."""

    violations: list[Violation] = []


def report(body: bytes) -> Report:
    """Read `drift_report.json`. Raises UnreadableError."""
    return _decoded(body, Report, REPORT)


def violations(body: bytes) -> list[Finding]:
    """Read `constraint_violations.json`. Raises UnreadableError."""
    return [
        Finding("warning", one.constraint_check_type, one.name, one.description)
        for one in _decoded(body, Violations, VIOLATIONS).violations
    ]


def statistics(body: bytes) -> Statistics:
    """Read `statistics.json`. Raises UnreadableError."""
    return _decoded(body, Statistics, STATISTICS)


def _decoded(body: bytes | msgspec.Raw, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"{name}: {error}") from error

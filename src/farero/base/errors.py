"""The five ways in which a wish of the domain can fail; none knows an HTTP status or an AWS code."""

from __future__ import annotations


class DomainError(Exception):
    """The platform refused or failed to do what was asked."""


class NotFound(DomainError):  # noqa: N818 - the domain's own words
    """Something that was named does not exist."""

    def __init__(self, kind: str, name: str, detail: str = "") -> None:
        self.kind = kind
        self.name = name
        self.detail = detail
        super().__init__(detail or f"{kind} '{name}' does not exist")


class Conflict(DomainError):  # noqa: N818
    """The name is taken, or the thing is in a state that forbids the wish."""

    def __init__(self, kind: str, name: str, detail: str = "") -> None:
        self.kind = kind
        self.name = name
        self.detail = detail
        super().__init__(detail or f"{kind} '{name}' already exists")


class Invalid(DomainError):  # noqa: N818
    """A value cannot be accepted; `detail` says which and what to do."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


class NotReady(DomainError):  # noqa: N818
    """The thing exists but cannot serve yet, or cannot serve at the moment."""

    def __init__(self, kind: str, name: str, detail: str = "") -> None:
        self.kind = kind
        self.name = name
        self.detail = detail
        super().__init__(detail or f"{kind} '{name}' is not ready")


class LimitExceeded(DomainError):  # noqa: N818
    """A limit on size, number or rate would be passed."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

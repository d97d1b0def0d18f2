"""The room `cloudwatch`: each family of resources is one class, joined here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class CloudWatch:
    """All operations of the service, each a method of one of the families."""

    service = "cloudwatch"
    errors: Mapping[type[DomainError], tuple[str, int]] = {
        NotFound: ("ResourceNotFound", 404),
        Conflict: ("InvalidParameterCombination", 400),
        Invalid: ("InvalidParameterValue", 400),
        LimitExceeded: ("LimitExceeded", 400),
    }

    def __init__(self, families: Sequence[object]) -> None:
        self.families = tuple(families)

    def find_operation(self, python_name: str) -> Callable[..., Any] | None:
        """Return the method for an operation by its botocore name, e.g. `put_metric_alarm`; None if there is none."""
        if python_name.startswith("_"):
            return None
        for family in self.families:
            found = getattr(family, python_name, None)
            if callable(found):
                return found
        return None

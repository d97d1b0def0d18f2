"""The room `sagemaker`: too large for one class, so each family of resources is one, joined here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound, NotReady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class SageMaker:
    """All operations of the service, each a method of one of the families."""

    service = "sagemaker"
    #: SageMaker says ValidationException for nearly everything, taken names included.
    errors: Mapping[type[DomainError], tuple[str, int]] = {
        NotFound: ("ValidationException", 400),
        Conflict: ("ValidationException", 400),
        Invalid: ("ValidationException", 400),
        NotReady: ("ValidationException", 400),
        LimitExceeded: ("ResourceLimitExceeded", 400),
    }

    def __init__(self, families: Sequence[object]) -> None:
        self.families = tuple(families)

    def find_operation(self, python_name: str) -> Callable[..., Any] | None:
        """Return the method for an operation by its botocore name, e.g. `create_endpoint`; None if there is none."""
        if python_name.startswith("_"):
            return None
        for family in self.families:
            found = getattr(family, python_name, None)
            if callable(found):
                return found
        return None

"""Parts of a JSON file that somebody else wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


def section(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the object under a key; an empty one if there is none."""
    held = content.get(key)
    return cast("dict[str, Any]", held) if isinstance(held, dict) else {}


def features(content: Mapping[str, Any], file: str) -> list[dict[str, Any]]:
    """Return the list of features; raises ValueError if it is none, or one of them has no name."""
    held = content.get("features")
    if not isinstance(held, list):
        raise ValueError(f"{file} has no list `features`.")  # noqa: TRY004 - a mistake in a file
    for index, feature in enumerate(cast("list[Any]", held)):
        if not isinstance(feature, dict) or not isinstance(
            cast("dict[str, Any]", feature).get("name"), str
        ):
            raise ValueError(f"feature {index} of {file} has no name.")  # noqa: TRY004
    return cast("list[dict[str, Any]]", held)

"""Input against its shape, with AWS's own words for what is wrong.

Texts: "1 validation error detected: Value 'a_b' at 'endpointName' failed to satisfy constraint: …", as SageMaker,
Logs, IAM and STS answer. S3 has rules of its own in its room; only what must be there is checked here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, cast

from farero.aws.wire.messages import AwsError
from farero.aws.wire.models import wire_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ListShape, MapShape, Shape, StructureShape

    from farero.aws.wire.identify import Target
    from farero.aws.wire.messages import Value

_CODES = {
    "sagemaker-runtime": "ValidationError",
    "iam": "ValidationError",
    "sts": "ValidationError",
    "sns": "ValidationError",
    "ses": "ValidationError",
    "cloudwatch": "ValidationError",
    "logs": "InvalidParameterException",
}
#: Patterns which the service checks and prints in other words than its model.
_OBSERVED = {"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}": "^[a-zA-Z0-9](-*[a-zA-Z0-9])*"}
#: Longest text that a pattern is tried on; longer ones are judged by their length.
_MAX_MATCHED = 8192


def validate(target: Target, params: dict[str, Value]) -> None:
    """Raise AwsError unless `params` satisfy required, length, range, pattern and enum of the model."""
    if target.operation is None or target.operation.input_shape is None:
        return
    shape = target.operation.input_shape
    if target.protocol == "rest-xml":
        _validate_s3(shape, params)
        return
    found = list(_structure(shape, params, ""))
    if found:
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
        raise AwsError(_CODES.get(target.service, "ValidationException"), count + "; ".join(found))


def _validate_s3(shape: StructureShape, params: dict[str, Value]) -> None:
    for name in shape.required_members:
        if name not in params:
            key = wire_name(shape.members[name], name)
            raise AwsError("InvalidRequest", f"Missing required parameter: {key}")
    for name, member in shape.members.items():
        if member.type_name == "structure" and not _is_complete(member, params.get(name)):
            raise AwsError(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema",
            )


def _is_complete(shape: Shape, value: Value) -> bool:
    if value is None:
        return True
    if shape.type_name == "structure":
        members = cast("StructureShape", shape).members
        required = cast("StructureShape", shape).required_members
        if not all(name in value for name in required):
            return False
        return all(_is_complete(member, value.get(name)) for name, member in members.items())
    if shape.type_name == "list":
        return all(_is_complete(cast("ListShape", shape).member, item) for item in value)
    return True


def _structure(shape: StructureShape, value: dict[str, Value], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        where = f"{path}.{_camel(name)}" if path else _camel(name)
        item = value.get(name)
        if item is None:
            if name in shape.required_members:
                yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
        elif not (member.type_name == "blob" and name == shape.serialization.get("payload")):
            # How large a payload may be, and how to say so, is its room's affair.
            yield from _member(member, item, where)


def _member(shape: Shape, value: Value, path: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield _text(_shown(shape, value), path, constraint)
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return
    if kind == "structure":
        yield from _structure(cast("StructureShape", shape), value, path)
    elif kind == "list":
        item = cast("ListShape", shape).member
        yield from _items(shape, item, value, path)
    elif kind == "map":
        yield from _pairs(cast("MapShape", shape), value, path)


def _items(shape: Shape, item: Shape, values: list[Value], path: str) -> Iterator[str]:
    if item.type_name in ("structure", "list", "map"):
        for number, value in enumerate(values, 1):
            where = f"{path}.{number}.member"
            if value is None:
                yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
            else:
                yield from _member(item, value, where)
    elif any(value is None or any(_broken(item, value)) for value in values):
        constraint = f"Member must satisfy constraint: [{', '.join(_constraints(item))}]"
        yield _text(_shown(shape, values), path, constraint)


def _pairs(shape: MapShape, pairs: dict[str, Value], path: str) -> Iterator[str]:
    if any(any(_broken(shape.key, key)) for key in pairs):
        constraint = f"Map keys must satisfy constraint: [{', '.join(_constraints(shape.key))}]"
        yield _text(_shown(shape, pairs), path, constraint)
    item = shape.value
    if item.type_name in ("structure", "list", "map"):
        for key, value in pairs.items():
            if value is not None:
                yield from _member(item, value, f"{path}.{key}.member")
    elif any(value is None or any(_broken(item, value)) for value in pairs.values()):
        constraint = f"Map value must satisfy constraint: [{', '.join(_constraints(item))}]"
        yield _text(_shown(shape, pairs), path, constraint)


def _broken(shape: Shape, value: Value) -> Iterator[str]:
    """Yield the constraints of one shape that one value breaks: pattern, length or range, enum."""
    rules = shape.metadata
    kind = shape.type_name
    minimum, maximum = rules.get("min"), rules.get("max")
    is_number = kind in ("integer", "long", "float", "double")
    size = value if is_number else len(value) if hasattr(value, "__len__") else None
    if kind == "string" and "pattern" in rules and len(value) <= _MAX_MATCHED:
        text = _OBSERVED.get(rules["pattern"], cast("str", rules["pattern"]))
        pattern = compile_pattern(text)
        if pattern is not None and not pattern.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {text}"
    noun = "value" if is_number else "length"
    if size is not None and maximum is not None and size > maximum:
        yield f"Member must have {noun} less than or equal to {maximum}"
    if size is not None and minimum is not None and size < minimum:
        yield f"Member must have {noun} greater than or equal to {minimum}"
    if rules.get("enum") and value not in rules["enum"]:
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"


def _constraints(shape: Shape) -> Iterator[str]:
    """Yield every constraint of a shape, as AWS lists them for the members of lists and maps."""
    rules = shape.metadata
    is_number = shape.type_name in ("integer", "long", "float", "double")
    noun = "value" if is_number else "length"
    if rules.get("max") is not None:
        yield f"Member must have {noun} less than or equal to {rules['max']}"
    if rules.get("min") is not None:
        yield f"Member must have {noun} greater than or equal to {rules['min']}"
    if "pattern" in rules:
        yield f"Member must satisfy regular expression pattern: {rules['pattern']}"
    if rules.get("enum"):
        yield f"Member must satisfy enum value set: [{', '.join(rules['enum'])}]"
    yield "Member must not be null"


def _text(shown: str, path: str, constraint: str) -> str:
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _shown(shape: Shape, value: Value) -> str:
    """Print a value as Java does: `[a, b]` and `{k=v}`; secrets as ***."""
    if shape.metadata.get("sensitive"):
        return "***"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_shown(shape, v) for v in cast('list[Value]', value))}]"
    if isinstance(value, dict):
        pairs = cast("dict[str, Value]", value).items()
        return "{" + ", ".join(f"{k}={_shown(shape, v)}" for k, v in pairs) + "}"
    return "java.nio.HeapByteBuffer" if isinstance(value, (bytes, bytearray)) else str(value)


def _camel(name: str) -> str:
    """Lower the first letter, as AWS prints members: `vpcConfig`, `kMSKeyId`."""
    return name[:1].lower() + name[1:]


@cache
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    r"""Turn a Java regular expression into Python's; None when it cannot be done safely.

    Unicode's classes become looser ones beyond ASCII, so a valid value is never refused.
    """
    if pattern in _EXPLOSIVE:
        return None
    pieces = _translate(pattern)
    if pieces is None:
        return None
    try:
        return re.compile("".join(pieces), re.ASCII)  # Java's \\w, \\d and \\s are ASCII
    except re.error:
        return None


def _translate(pattern: str) -> list[str] | None:
    pieces: list[str] = []
    opened = ""
    for piece in _TOKEN.findall(pattern):
        text = piece
        if piece in _CLASSES and opened != "[^":
            text = _CLASSES[piece] if opened else f"[{_CLASSES[piece]}]"
        elif (
            piece in _NOT_PYTHON
            or piece.startswith((r"\p", r"\P"))
            or (opened and piece in ("[", "[^", "&&"))
        ):
            return None
        elif piece in ("[", "[^", "]"):
            opened = piece.strip("]")
        pieces.append(text)
    return pieces


#: Patterns that take exponential time on some texts; a test looks for more.
_EXPLOSIVE = frozenset(
    {
        "[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?",
        r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$",
        r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$",
        r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$",
    }
)
_TOKEN = re.compile(r"\\[pP]\{\w+\}|\\.|\[\^?|&&|.", re.DOTALL)
_NOT_PYTHON = frozenset({r"\h", r"\z", r"\Z", r"\G", r"\Q", r"\E", r"\R", r"\p", r"\P"})
#: Unicode's classes are exact within ASCII; beyond it any of them takes every character.
_BEYOND_ASCII = "\u0080-\U0010ffff"
_CLASSES = {
    r"\p{ASCII}": r"\x00-\x7f",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{Alpha}": "a-zA-Z",
    r"\p{Digit}": "0-9",
    r"\p{Print}": r"\x20-\x7e",
    r"\p{Graph}": r"\x21-\x7e",
    r"\p{L}": _BEYOND_ASCII + "A-Za-z",
    r"\p{N}": _BEYOND_ASCII + "0-9",
    r"\p{M}": _BEYOND_ASCII,
    r"\p{Z}": _BEYOND_ASCII + " ",
    r"\p{Zs}": _BEYOND_ASCII + " ",
    r"\p{P}": _BEYOND_ASCII + r"!-#%-*,-/:;?@\[-\]_{}",
    r"\p{S}": _BEYOND_ASCII + r"$+<->\^`|~",
}

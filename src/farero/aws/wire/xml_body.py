"""XML bodies ↔ plain values, for rest-xml and for the answers of query services.

The reader is expat alone: a document type is refused, so no entity can be declared, and nesting is bounded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast
from xml.parsers import expat

from farero.aws.wire import scalars
from farero.aws.wire.json_body import report_unknown
from farero.aws.wire.models import wire_name
from farero.aws.wire.scalars import MAX_DEPTH, Malformed

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

    from farero.aws.wire.messages import Value

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
#: Where members of an input and of an output travel when not in the body.
INPUT_LOCATIONS = frozenset({"uri", "querystring", "header", "headers"})
OUTPUT_LOCATIONS = frozenset({"header", "headers", "statusCode"})
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Node:
    """One element: its local name, attributes, text and children."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Node] = []
        self.text = ""


def parse(body: bytes) -> Node:
    """Return the root element of a document; raise Malformed for anything that is not plain XML."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Node("", {})
    stack = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise Malformed("The document is nested too deeply")
        node = Node(name.rpartition(":")[2], attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def text(data: str) -> None:
        stack[-1].text += data

    def refuse(*_: object) -> None:
        raise Malformed("A document type declaration is not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop() and None
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed("The document is not well-formed XML") from error
    return top.children[0]


def read(shape: Shape, body: bytes) -> Value:
    """Parse `body` and read its root as `shape`; an empty body is an empty structure."""
    return {} if not body.strip() else from_node(shape, parse(body))


def from_node(shape: Shape, node: Node) -> Value:
    """Read one element as `shape`."""
    kind = shape.type_name
    if kind == "structure":
        return _structure(cast("StructureShape", shape), node)
    if kind == "list":
        return [from_node(cast("ListShape", shape).member, child) for child in node.children]
    if kind == "map":
        return _map(cast("MapShape", shape), node.children)
    return scalars.from_text(shape, node.text)


def write(
    shape: Shape, value: Value, root: str, *, namespace: str = "", declare: bool = True
) -> bytes:
    """Write `value` as a document whose root element is `root`."""
    inner, attributes = _content(shape, value)
    default = shape.serialization.get("xmlNamespace")
    if namespace and not default:
        attributes = f' xmlns="{namespace}"{attributes}'
    text = f"<{root}{attributes}>{inner}</{root}>"
    return ((DECLARATION if declare else "") + text).encode()


def part(name: str, shape: Shape, value: Value) -> str:
    """Return the element of a member called `name`."""
    return _wrap(shape, value, member_name(shape, name))


def element(name: str, text: str) -> str:
    """Return one element that holds text."""
    return f"<{name}>{escape(text)}</{name}>"


def escape(text: str) -> str:
    """Escape text for content and attributes; what XML 1.0 cannot hold becomes U+FFFD."""
    if _NOT_XML.search(text):
        text = _NOT_XML.sub("\ufffd", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("\r", "&#13;")


def member_name(shape: Shape, name: str) -> str:
    """Return the element name of a member; a flattened list's items carry the item's name if it has one."""
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return wire_name(cast("ListShape", shape).member, wire_name(shape, name))
    return wire_name(shape, name)


def _structure(shape: StructureShape, node: Node) -> dict[str, Value]:
    children: dict[str, list[Node]] = {}
    for child in node.children:
        children.setdefault(child.name, []).append(child)
    result: dict[str, Value] = {}
    for name, member in shape.members.items():
        if member.serialization.get("location") in INPUT_LOCATIONS:
            continue
        if member.serialization.get("xmlAttribute"):
            attribute = wire_name(member, name)
            if attribute in node.attributes:
                result[name] = scalars.from_text(member, node.attributes[attribute])
            continue
        # botocore writes a flattened list under the list's own name and reads it under its item's.
        found = children.get(wire_name(member, name)) or children.get(member_name(member, name))
        if not found:
            continue
        if not member.serialization.get("flattened"):
            result[name] = from_node(member, found[-1])
        elif member.type_name == "map":
            result[name] = _map(cast("MapShape", member), found)
        else:
            result[name] = [from_node(cast("ListShape", member).member, item) for item in found]
    return result


def _map(shape: MapShape, entries: list[Node]) -> dict[str, Value]:
    key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
    result: dict[str, Value] = {}
    for entry in entries:
        parts = {child.name: child for child in entry.children}
        if key_name not in parts or value_name not in parts:
            raise Malformed(f"An entry has no {key_name} or no {value_name}")
        result[parts[key_name].text] = from_node(shape.value, parts[value_name])
    return result


def _content(shape: Shape, value: Value) -> tuple[str, str]:
    """Return the inner text and the attributes of the element that holds `value`."""
    attributes = _namespace(shape)
    kind = shape.type_name
    if kind == "structure":
        inner, more = _members(cast("StructureShape", shape), value)
        return inner, attributes + more
    if kind == "list":
        item = cast("ListShape", shape).member
        name = wire_name(item, "member")
        return "".join(_wrap(item, v, name) for v in value if v is not None), attributes
    if kind == "map":
        return _entries(cast("MapShape", shape), value, "entry"), attributes
    return escape(scalars.to_text(shape, value, "iso8601")), attributes


def _members(shape: StructureShape, value: Value) -> tuple[str, str]:
    inner: list[str] = []
    attributes: list[str] = []
    report_unknown(shape, value)
    for name, member in shape.members.items():
        item = value.get(name)
        if item is None or member.serialization.get("location") in OUTPUT_LOCATIONS:
            continue
        tag = member_name(member, name)
        if member.serialization.get("xmlAttribute"):
            text = escape(scalars.to_text(member, item, "iso8601"))
            attributes.append(f' {tag}="{text}"')
        elif not member.serialization.get("flattened"):
            inner.append(_wrap(member, item, tag))
        elif member.type_name == "map":
            inner.append(_entries(cast("MapShape", member), item, tag))
        else:
            each = cast("ListShape", member).member
            inner.extend(_wrap(each, v, tag) for v in item if v is not None)
    return "".join(inner), "".join(attributes)


def _entries(shape: MapShape, value: Value, tag: str) -> str:
    key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
    return "".join(
        f"<{tag}>{element(key_name, str(k))}{_wrap(shape.value, v, value_name)}</{tag}>"
        for k, v in value.items()
        if v is not None
    )


def _wrap(shape: Shape, value: Value, tag: str) -> str:
    inner, attributes = _content(shape, value)
    return f"<{tag}{attributes}>{inner}</{tag}>"


def _namespace(shape: Shape) -> str:
    spec = shape.serialization.get("xmlNamespace")
    if not spec:
        return ""
    if isinstance(spec, str):
        return f' xmlns="{spec}"'
    prefix = f":{spec['prefix']}" if spec.get("prefix") else ""
    return f' xmlns{prefix}="{spec["uri"]}"'

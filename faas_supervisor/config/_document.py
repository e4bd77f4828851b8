"""YAML as a tree in which every key and every value knows its line and column.

Values stay as they are written: `0123`, `yes` and `1e3` are text until a key asks for something else.
The tree is built from the parser's events, without recursion and under limits, since neither
libyaml nor PyYAML bounds nesting, and both spend time that grows with its square.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import yaml

from faas_supervisor.config._findings import Invalid, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faas_supervisor.config._findings import Findings

__all__ = ["LARGEST", "Node", "decoded", "parse"]

LARGEST: Final = 1024 * 1024
"""Bytes; no larger ConfigMap exists either."""

_DEEPEST: Final = 64
_MOST_NODES: Final = 100_000

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_MERGE: Final = "<<"
_TAGS: Final = frozenset(
    ("!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")))
)
_NULL_TAG: Final = "tag:yaml.org,2002:null"

_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Value: TypeAlias = "str | tuple[Node, ...] | Mapping[str, Node] | None"


# Named tuples in this package stand where dataclasses would cost 0.4 ms each of every start.
class Node(NamedTuple):
    """One value: text, a list, a mapping, or None for null.

    Attributes:
        value: What it holds.
        place: Where it begins.
        keys: Of a mapping: where each key stands.
        size: How many values it holds, itself included and aliases counted each time.
    """

    value: _Value
    place: Place
    keys: Mapping[str, Place] = MappingProxyType({})
    size: int = 1

    def __repr__(self) -> str:
        return f"<{self.kind} at {self.place}>"

    @property
    def is_set(self) -> bool:
        """Whether there is a value at all; OSCAR writes an empty text for what its user left out."""
        return self.value is not None and self.value != ""

    @property
    def kind(self) -> str:
        """What it is, for messages that must not show it."""
        if self.value is None:
            return "null"
        return "text" if isinstance(self.value, str) else "a list" if isinstance(self.value, tuple) else "a mapping"


def decoded(data: bytes, file: str, findings: Findings) -> str:
    """Return `data` as text; what is too large or not UTF-8 becomes a fault and an empty text."""
    if len(data) > LARGEST:
        findings.fault(Place(file), "", "is larger than 1 MiB")
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        findings.fault(_place(file, before), "", "is not UTF-8")
        return ""


def parse(text: str, file: str, findings: Findings) -> Node:
    """Return the one document in `text`; null where there is none, or where it is broken, with the fault noted."""
    builder = _Builder(file, findings)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.add(event)
    except Invalid as invalid:
        findings.fault(builder.place, "", invalid.problem, invalid.hint)
    except yaml.YAMLError as error:
        findings.fault(*_explained(error, text, file))
    except (ValueError, OverflowError):  # PyYAML itself, for escapes beyond Unicode
        findings.fault(builder.place, "", "not valid YAML: a character that does not exist")
    else:
        return builder.root
    return Node(None, Place(file))


def _explained(error: yaml.YAMLError, text: str, file: str) -> tuple[Place, str, str, str]:
    """Return place and problem of a syntax error, without a piece of the text: it may be a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, column = error.problem_mark.line, error.problem_mark.column
        lines = text.split("\n", line + 1)
        # libyaml sees the end of the text in the line after it.
        place = Place(file, line + 1, column + 1) if line < len(lines) else _place(file, text)
        rest = lines[line][column:] if line < len(lines) else ""
        problem = (error.problem or "").partition(" '")[0].partition(' "')[0]
        wrong = " ".join(part for part in (problem, error.context) if part)
        hint = "Indent with blanks, not with tabs" if rest.startswith("\t") else ""
        return place, "", f"not valid YAML: {wrong}", hint
    offset = getattr(error, "position", 0)
    # libyaml counts bytes, PyYAML's own reader characters.
    before = text[:offset] if _Loader is yaml.SafeLoader else text.encode()[:offset].decode(errors="ignore")
    return _place(file, before), "", f"not valid YAML: {getattr(error, 'reason', 'broken')}", ""


def _place(file: str, before: str) -> Place:
    """Return the place that follows the text `before`."""
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _Open:
    """A list or a mapping whose end has not come yet."""

    def __init__(self, place: Place, anchor: str | None, *, mapping: bool) -> None:
        self.place: Final = place
        self.anchor: Final = anchor
        self.mapping: Final = mapping
        self.items: Final[list[Node]] = []
        self.entries: Final[dict[str, Node]] = {}
        self.keys: Final[dict[str, Place]] = {}
        self.merged: Final[list[Node]] = []
        self.key: str | None = None
        self.merging = False
        self.size = 1

    def path(self) -> str:
        return f".{self.key or ''}" if self.mapping else f"[{len(self.items)}]"


class _Builder:
    """Puts the parser's events together."""

    def __init__(self, file: str, findings: Findings) -> None:
        self._file: Final = file
        self._findings: Final = findings
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._documents = 0
        self.place = Place(file)
        self.root = Node(None, Place(file))

    def add(self, event: Any) -> None:  # noqa: ANN401  # PyYAML's events have no usable types
        """Take the next event, in the order of the text."""
        mark = event.start_mark
        self.place = Place(self._file, mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Invalid("a second document begins here", "Keep one function in a file")

    def _scalar(self, event: Any) -> None:  # noqa: ANN401
        self._check_tag(event.tag)
        plain = event.implicit[0]
        if not event.value.isascii() and any("\ud800" <= char <= "\udfff" for char in event.value):
            raise Invalid("not valid YAML: a character that does not exist")
        if self._awaits_key():
            if event.anchor:
                self._anchors[event.anchor] = Node(event.value, self.place)
            self._key(event.value, plain=plain)
            return
        null = event.tag == _NULL_TAG or (plain and event.value in _NULLS)
        self._put(Node(None if null else event.value, self.place), event.anchor)

    def _open(self, event: Any) -> None:  # noqa: ANN401
        self._check_tag(event.tag)
        if self._awaits_key():
            raise Invalid("a list or a mapping can't be a key")
        if len(self._stack) >= _DEEPEST:
            raise Invalid(f"nested deeper than {_DEEPEST} levels")
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(self.place, event.anchor, mapping=isinstance(event, yaml.MappingStartEvent)))

    def _close(self) -> None:
        ended = self._stack.pop()
        value: _Value = tuple(ended.items)
        if ended.mapping:
            value = _with_merged(ended)
        self._put(Node(value, ended.place, ended.keys, ended.size), ended.anchor)

    def _alias(self, anchor: str | None) -> None:
        # Messages name no anchor: an unquoted secret that begins with `*` looks like one.
        if anchor is None or anchor not in self._anchors:
            raise Invalid("an alias without an anchor", "Quote a text that begins with *")
        node = self._anchors[anchor]
        if node is None:
            raise Invalid("an alias stands within what it refers to")
        if self._awaits_key():
            if not isinstance(node.value, str):
                raise Invalid("a list or a mapping can't be a key")
            self._key(node.value, plain=False)
        else:
            self._put(node, None)

    def _put(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        top.size += node.size
        if top.size > _MOST_NODES:
            raise Invalid(f"more than {_MOST_NODES} values")
        if not top.mapping:
            top.items.append(node)
        elif top.merging:
            top.merged.extend(node.value if isinstance(node.value, tuple) else (node,))
        elif top.key is not None:
            top.entries[top.key] = node
        top.key = None

    def _key(self, name: str, *, plain: bool) -> None:
        top = self._stack[-1]
        top.key = name
        top.merging = plain and name == _MERGE
        if name in top.keys:
            first = top.keys[name]
            path = "".join(level.path() for level in self._stack).lstrip(".")
            self._findings.fault(self.place, path, f"set twice, first in line {first.line}")
        if not top.merging:
            top.keys[name] = self.place

    def _awaits_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].mapping and self._stack[-1].key is None

    def _check_tag(self, tag: str | None) -> None:
        # Not shown: an unquoted secret that begins with `!` looks like one.
        if tag is not None and tag not in _TAGS:
            raise Invalid("a YAML tag that has no meaning here", "Quote a text that begins with !")


def _with_merged(ended: _Open) -> Mapping[str, Node]:
    """Add what `<<` brings in; what the mapping says itself goes first, then the earlier of several."""
    for source in ended.merged:
        if not isinstance(source.value, dict):
            raise Invalid("<< needs a mapping, or a list of them", "See the anchors of YAML")
        for name, node in source.value.items():
            ended.entries.setdefault(name, node)
            ended.keys.setdefault(name, source.keys[name])
    return ended.entries

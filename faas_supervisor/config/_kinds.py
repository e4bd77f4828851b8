"""Kinds of values: how each is written, and how it is read from a node of the document."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

from faas_supervisor.config._findings import Invalid, shown
from faas_supervisor.errors import PluginError
from faas_supervisor.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from faas_supervisor.config._document import Node
    from faas_supervisor.config._findings import Findings

__all__ = [
    "AMOUNT",
    "BOOLEAN",
    "DURATION",
    "LOG_LEVEL",
    "QUANTITY",
    "TEXT",
    "TEXTS",
    "UPPER",
    "Kind",
    "amount",
    "choice",
    "count",
    "kind_of",
    "scalar",
    "upto",
]

_Read: TypeAlias = "Callable[[Node, str, Findings], Any]"


class Kind(NamedTuple):
    """One kind of value.

    Attributes:
        label: What the reference calls it.
        read: Returns the value of a node at a path; None, with the fault noted, where it is none of this kind.
        structured: It is a list or a mapping, so a variable that sets it holds YAML.
    """

    label: str
    read: _Read
    structured: bool = False


def scalar(label: str, convert: Callable[[str], Any]) -> Kind:
    """Make a kind that is written as one text; `convert` raises `Invalid` for a text that won't do."""

    def read(node: Node, path: str, findings: Findings) -> Any:  # noqa: ANN401
        if not isinstance(node.value, str):
            findings.fault(node.place, path, f"must be {label}, not {node.kind}")
            return None
        try:
            return convert(node.value)
        except Invalid as invalid:
            findings.fault(node.place, path, invalid.problem, invalid.hint)
            return None

    return Kind(label, read)


# The words of YAML 1.1 and those that upstream takes from its environment.
_TRUE: Final = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE: Final = frozenset(("false", "no", "off", "n", "f", "0"))


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise Invalid(f"must be true or false, not {shown(text)}")
    return word in _TRUE


def _integer(text: str) -> int:
    # Bounded, since int() takes underscores and other scripts' digits, and refuses very long ones in its own way.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise Invalid(f"must be a whole number, not {shown(text)}")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,2})?", text):
        raise Invalid(f"must be a number, not {shown(text)}")
    return float(text)


# Kubernetes' quantities, without those that make no bytes (`500m` is half a byte there, and 500 MB to a reader).
_QUANTITY: Final = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(?:([kMGTPE]i?|Ki)?B?|[eE]([0-9]{1,2}))"
_FACTORS: Final = {prefix: 1000**power for power, prefix in enumerate(("", "k", "M", "G", "T", "P", "E"))} | {
    f"{prefix}i": 1024**power for power, prefix in enumerate(("", "K", "M", "G", "T", "P", "E")) if prefix
}

# What the kernel counts bytes in.
_MOST_BYTES: Final = 2**63 - 1


def amount(text: str) -> int:
    """Return the bytes that `text` means.

    Raises:
        Invalid: It means none.
    """
    found = re.fullmatch(_QUANTITY, text)
    factor = _FACTORS.get(found[2] or "") if found else None
    if found is None or factor is None:
        raise Invalid(f"must be an amount of bytes, not {shown(text)}", "Write it like 512Mi, 2G or 1048576")
    size = int(float(found[1]) * factor * 10 ** int(found[3] or 0))
    if size > _MOST_BYTES:
        raise Invalid(f"{shown(text)} is more than there can be")
    return size


def _quantity(text: str) -> int:
    size = amount(text)
    if not size:
        raise Invalid("must be more than 0")
    return size


def upto(most: int) -> Kind:
    """Return the kind of amounts of bytes from 0 to `most`."""

    def convert(text: str) -> int:
        size = amount(text)
        if size > most:
            raise Invalid(f"must be at most {most} bytes, not {shown(text)}")
        return size

    return scalar(f"an amount of bytes, at most {most // 2**20}Mi", convert)


_DURATION_PART: Final = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h)"
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _duration(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", text):
        seconds = float(text)
    elif re.fullmatch(f"(?:{_DURATION_PART})+", text):
        seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in re.findall(_DURATION_PART, text))
    else:
        raise Invalid(f"must be a duration, not {shown(text)}", "Write it like 90, 10m or 1h30m")
    if not seconds:
        raise Invalid("must be more than 0")
    return seconds


_LEVELS: Final = ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET")


def _level(text: str) -> str:
    if text.upper() not in _LEVELS:
        raise Invalid(f"{shown(text)} is no log level", "Use CRITICAL, ERROR, WARNING, INFO or DEBUG")
    return text.upper()


def _texts(node: Node, path: str, findings: Findings) -> tuple[str, ...] | None:
    """Read a list of texts; a single text is a list of one."""
    if isinstance(node.value, str):
        return (node.value,)
    if not isinstance(node.value, tuple):
        findings.fault(node.place, path, f"must be a list of texts, not {node.kind}")
        return None
    read = [TEXT.read(item, f"{path}[{index}]", findings) for index, item in enumerate(node.value)]
    return tuple(text for text in read if text is not None)


TEXT: Final = scalar("text", str)
UPPER: Final = scalar("text", str.upper)
BOOLEAN: Final = scalar("true or false", _boolean)
INTEGER: Final = scalar("a whole number", _integer)
NUMBER: Final = scalar("a number", _number)
AMOUNT: Final = scalar("an amount of bytes", amount)
QUANTITY: Final = scalar("an amount of bytes", _quantity)
DURATION: Final = scalar("a duration", _duration)
LOG_LEVEL: Final = scalar("a log level", _level)
SECRET: Final = scalar("a secret text", Secret)
TEXTS: Final = Kind("a list of texts", _texts, structured=True)


def count(least: int, most: int) -> Kind:
    """Return the kind of whole numbers from `least` to `most`."""

    def convert(text: str) -> int:
        value = _integer(text)
        if not least <= value <= most:
            raise Invalid(f"must be between {least} and {most}, not {value}")
        return value

    return scalar(f"{least} to {most}", convert)


def choice(*words: str) -> Kind:
    """Return the kind that is one of `words`, in whatever case."""
    known = {word.lower(): word for word in words}

    def convert(text: str) -> str:
        word = known.get(text.lower())
        if word is None:
            raise Invalid(f"must be {' or '.join(words)}, not {shown(text)}")
        return word

    return scalar(" or ".join(f"`{word}`" for word in words), convert)


_BY_TYPE: Final[dict[Any, Kind]] = {
    str: TEXT,
    int: INTEGER,
    float: NUMBER,
    bool: BOOLEAN,
    Secret: SECRET,
    tuple[str, ...]: TEXTS,
}


def kind_of(hint: Any) -> Kind:  # noqa: ANN401  # a type hint is any object
    """Return the kind for the type hint of a provider's setting.

    Raises:
        PluginError: No such type can be read from a configuration.
    """
    if get_origin(hint) in (Union, types.UnionType):
        others = [member for member in get_args(hint) if member is not type(None)]
        if len(others) == 1:
            return kind_of(others[0])
    if get_origin(hint) is Literal:
        return choice(*map(str, get_args(hint)))
    kind = _BY_TYPE.get(hint)
    if kind is None:
        raise PluginError(f"a setting of type {hint} can't be read from a configuration")
    return kind

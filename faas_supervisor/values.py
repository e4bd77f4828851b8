"""Frozen, slotted classes for values, made without the module `dataclasses`.

Importing `dataclasses` brings `inspect`, and each class that it makes is compiled from text: together a third of the
time that a start of the supervisor would take (`docs/adr/0020-start-up.md`). A class made here works with `replace`,
`fields` and `asdict` of `dataclasses` all the same; only whoever calls them pays for the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from dataclasses import Field

__all__ = ["MISSING", "Declared", "declared", "field", "replace", "value"]

_Class = TypeVar("_Class")

MISSING: Final[Any] = type("Missing", (), {"__repr__": lambda _: "MISSING"})()
"""Stands where a field has no default."""


class Declared:
    """How one field was declared; the attributes are called as those of `dataclasses.Field`."""

    __slots__ = ("compare", "default", "default_factory", "metadata", "name", "repr")

    def __init__(
        self,
        default: Any = MISSING,  # noqa: ANN401  # a default is any object
        default_factory: Any = MISSING,  # noqa: ANN401  # as the standard library has it
        metadata: Mapping[str, Any] | None = None,
        *,
        repr: bool = True,  # noqa: A002  # as the standard library has it
        compare: bool = True,
        name: str = "",
    ) -> None:
        self.name = name
        self.default = default
        self.default_factory = default_factory
        self.metadata: Final[Mapping[str, Any]] = metadata or {}
        self.repr: Final = repr
        self.compare: Final = compare

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING and self.default_factory is MISSING


def field(
    *,
    default: Any = MISSING,  # noqa: ANN401  # as dataclasses.field
    default_factory: Callable[[], Any] = MISSING,
    repr: bool = True,  # noqa: A002  # as dataclasses.field
    compare: bool = True,
) -> Any:  # noqa: ANN401  # as dataclasses.field
    """Declare a field of a value that needs more than a default; the parameters are those of `dataclasses.field`."""
    return Declared(default, default_factory, repr=repr, compare=compare)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[_Class]) -> type[_Class]:
    """Make a frozen, slotted class of the annotated fields of `cls`, as `dataclass(frozen=True, slots=True)` would.

    - Instances are equal, and hash alike, when they are of the same class and all their fields are equal.
    - A method that `cls` defines itself stays.
    - Fields are not inherited, and there is no `__post_init__`.
    """
    names = tuple(name for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar"))
    found = {name: _found(name, cls) for name in names}
    body = {name: member for name, member in cls.__dict__.items() if name not in {*names, "__dict__", "__weakref__"}}
    body = {**_METHODS, **body, "__slots__": names, "__match_args__": names, "__declared__": found}
    body["__dataclass_fields__"] = _DataclassFields()
    if "__eq__" in cls.__dict__ and cls.__dict__.get("__hash__") is None:
        body["__hash__"] = None
    metaclass: Any = type(cls)
    made: type[_Class] = metaclass(cls.__name__, cls.__bases__, body)
    return made


def declared(cls: type[Any]) -> Mapping[str, Declared]:
    """Return the fields of a value, or those of a dataclass that it is made with, by name.

    Raises:
        TypeError: It is neither.
    """
    known: Mapping[str, Declared] | None = getattr(cls, "__declared__", None)
    if known is not None:
        return known
    from dataclasses import fields  # noqa: PLC0415  # a plugin's own dataclass; it has imported them

    return {one.name: _of_dataclass(one.name, one) for one in fields(cls) if one.init}


def replace(instance: _Class, /, **changes: Any) -> _Class:  # noqa: ANN401  # fields are of any type
    """Return a copy of a value with some fields changed."""
    kept = {name: getattr(instance, name) for name in type(instance).__match_args__}  # type: ignore[attr-defined]
    return type(instance)(**{**kept, **changes})


def _found(name: str, cls: type[Any]) -> Declared:
    default = cls.__dict__.get(name, MISSING)
    if isinstance(default, Declared):
        default.name = name
        return default
    return _of_dataclass(name, default) if hasattr(default, "default_factory") else Declared(default, name=name)


def _of_dataclass(name: str, made: Field[Any]) -> Declared:
    from dataclasses import MISSING as NONE  # noqa: PLC0415  # whoever made the field has imported them

    default, factory = (MISSING if part is NONE else part for part in (made.default, made.default_factory))
    return Declared(default, factory, made.metadata, repr=made.repr, compare=bool(made.compare), name=name)


class _DataclassFields:
    """Tells `dataclasses` about the fields of a value, when it asks."""

    def __get__(self, instance: object, cls: type[Any]) -> dict[str, Field[Any]]:
        import dataclasses  # noqa: PLC0415  # what asks has imported it

        made = []
        for name, one in cls.__declared__.items():
            known = {"default": one.default, "default_factory": one.default_factory}
            options = {key: default for key, default in known.items() if default is not MISSING}
            how = dataclasses.field(**options, repr=one.repr, compare=one.compare, metadata=one.metadata)
            made.append((name, cls.__annotations__[name], how))
        shadow: Any = dataclasses.make_dataclass(cls.__name__, made, frozen=True, kw_only=True)
        fields: dict[str, Field[Any]] = shadow.__dataclass_fields__
        return fields


def _init(self: Any, *args: Any, **named: Any) -> None:  # noqa: ANN401
    # Called some twenty times for a request: names are compared and looked up no more than needed.
    cls = type(self)
    names = cls.__match_args__
    if args:
        _name_all(cls, args, named)
    if len(named) != len(names):
        for name in names:
            if name not in named:
                named[name] = _default(cls, name)
    keep = object.__setattr__
    try:
        for name, given in named.items():
            keep(self, name, given)
    except AttributeError:
        unknown = next(name for name in named if name not in names)
        raise TypeError(f"{cls.__name__} has no field {unknown!r}") from None


def _name_all(cls: type[Any], args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Add what was given by position to `named`."""
    names = cls.__match_args__
    if len(args) > len(names):
        raise TypeError(f"{cls.__name__} has {len(names)} fields, but {len(args)} were given")
    for name, given in zip(names, args, strict=False):
        if name in named:
            raise TypeError(f"{cls.__name__} was given {name!r} twice")
        named[name] = given


def _default(cls: type[Any], name: str) -> Any:  # noqa: ANN401
    how = cls.__declared__[name]
    if how.required:
        raise TypeError(f"{cls.__name__} needs the field {name!r}")
    return how.default if how.default is not MISSING else how.default_factory()


def _compared(self: Any) -> Iterator[Any]:  # noqa: ANN401
    return (getattr(self, name) for name, how in type(self).__declared__.items() if how.compare)


def _eq(self: Any, other: object) -> Any:  # noqa: ANN401
    if type(other) is not type(self):
        return NotImplemented
    return tuple(_compared(self)) == tuple(_compared(other))


def _hash(self: Any) -> int:  # noqa: ANN401
    return hash(tuple(_compared(self)))


def _repr(self: Any) -> str:  # noqa: ANN401
    cls = type(self)
    shown = (f"{name}={getattr(self, name)!r}" for name, how in cls.__declared__.items() if how.repr)
    return f"{cls.__qualname__}({', '.join(shown)})"


def _frozen(self: Any, name: str, *_: object) -> None:  # noqa: ANN401
    raise AttributeError(f"{type(self).__name__} is frozen: {name!r} can't be set or deleted")


def _reduce(self: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return type(self), tuple(getattr(self, name) for name in type(self).__match_args__)


_METHODS: Final[Mapping[str, Any]] = {
    "__init__": _init,
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _frozen,
    "__delattr__": _frozen,
    "__reduce__": _reduce,
}

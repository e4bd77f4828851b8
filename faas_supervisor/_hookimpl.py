"""The mark of a hook's implementation, without importing pluggy: most runs call no hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MARK", "hookimpl"]

_Function = TypeVar("_Function", bound="Callable[..., object]")

MARK: Final = "faas_supervisor_impl"
"""Where pluggy looks for the options of an implementation: the project's name and `_impl`."""


@overload
def hookimpl(function: _Function, /) -> _Function: ...


@overload
def hookimpl(
    *,
    optionalhook: bool = ...,
    tryfirst: bool = ...,
    trylast: bool = ...,
    wrapper: bool = ...,
    specname: str | None = ...,
) -> Callable[[_Function], _Function]: ...


def hookimpl(
    function: _Function | None = None,
    /,
    *,
    optionalhook: bool = False,
    tryfirst: bool = False,
    trylast: bool = False,
    wrapper: bool = False,
    specname: str | None = None,
) -> _Function | Callable[[_Function], _Function]:
    """Mark a function of a plugin module as the implementation of one of our hooks.

    The options are those of `pluggy.HookimplMarker`, and do the same.
    """

    def mark(marked: _Function) -> _Function:
        options = {
            "optionalhook": optionalhook,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "wrapper": wrapper,
            "hookwrapper": False,
            "specname": specname,
        }
        setattr(marked, MARK, options)
        return marked

    return mark if function is None else mark(function)

"""The mark of a hook's implementation, without importing pluggy: most runs call no hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

__all__ = ["hookimpl"]

# Where pluggy looks for the options of an implementation: the project's name and `_impl`.
_MARK: Final = "faas_supervisor_impl"

if TYPE_CHECKING:
    from pluggy import HookimplMarker

    hookimpl: Final = HookimplMarker("faas_supervisor")
else:

    def hookimpl(function=None, /, **options):  # noqa: ANN001, ANN003, ANN202  # typed above
        """Mark a function of a plugin module as the implementation of one of our hooks.

        The options are those of `pluggy.HookimplMarker`, and do the same; a wrong one is told when the plugin is
        loaded.
        """

        def mark(marked):  # noqa: ANN001, ANN202
            known = dict.fromkeys(("wrapper", "hookwrapper", "optionalhook", "tryfirst", "trylast"), False)
            setattr(marked, _MARK, {**known, "specname": None, **options})
            return marked

        return mark if function is None else mark(function)

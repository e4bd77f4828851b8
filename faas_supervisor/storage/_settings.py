"""The settings of a provider, declared once: validation, help, masking and documentation follow from it."""

from __future__ import annotations

import sys
from typing import Any

from faas_supervisor.secrets import Secret
from faas_supervisor.values import MISSING, Declared

__all__ = ["Secret", "setting"]


def setting(
    help: str,  # noqa: A002  # reads as what it is in a settings class
    *,
    default: Any = MISSING,  # noqa: ANN401  # as dataclasses.field
    env: str = "",
    credential: bool = False,
) -> Any:  # noqa: ANN401
    """Declare one setting in a frozen dataclass, or in a `value`.

    Types that can be read from a configuration: `str`, `int`, `float`, `bool`, `Secret`, `Literal[...]` of
    strings, `tuple[str, ...]`, and any of them `| None`. A setting without `default` is required.

    Args:
        help: One sentence for `supervisor plugins` and the reference.
        default: The value when nothing sets it.
        env: An environment variable that sets it where the configuration does not.
        credential: Its absence is a missing credential (exit code 114) rather than a fault in the
            configuration (111). A `Secret` always is one.
    """
    metadata = {"help": help, "env": env, "credential": credential}
    # A dataclass takes no other field than its own. Nobody can be making one who has not imported that module.
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses is None:
        return Declared(default, metadata=metadata)
    return dataclasses.field(**({} if default is MISSING else {"default": default}), metadata=metadata)

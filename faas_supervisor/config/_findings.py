"""What reading a configuration brings up: faults, collected and raised all at once, and where values came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from faas_supervisor.errors import ConfigurationError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Findings", "Invalid", "Place", "did_you_mean", "shown", "told"]

_MOST: Final = 100
_LONGEST_SHOWN: Final = 60


class Place(NamedTuple):
    """Where something is written: a file with 1-based line and column, a whole file, or a `$VARIABLE`."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Invalid(Exception):
    """A value can't be what its key needs. Never leaves this package."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class Findings:
    """What reading a configuration brings up.

    Attributes:
        warnings: One sentence for each thing that is odd but does no harm.
        origins: Where each value was found, by its path.
        named: The providers that inputs and outputs name, with path and place of the first time.
    """

    def __init__(self, file: str) -> None:
        self._file: Final = file
        self._faults: list[tuple[Place, str]] = []
        self.warnings: list[str] = []
        self.origins: dict[str, Place] = {}
        self.named: dict[str, tuple[str, Place]] = {}

    def fault(self, place: Place, path: str, problem: str, hint: str = "") -> None:
        """Note one fault; `path` names the key, such as `output[1].path`."""
        self._faults.append((place, told(place, path, problem, hint)))

    def unknown(self, place: Place, path: str, key: str, known: Iterable[str]) -> None:
        """Note a key that is none of `known`, and the one that may be meant."""
        # Looking for likely names is slow, and a file may hold very many keys.
        hint = did_you_mean(key, known) if len(self._faults) < _MOST else ""
        self.fault(place, path, "unknown key", hint)

    def warn(self, place: Place, path: str, sentence: str, hint: str = "") -> None:
        """Note something that is odd but does no harm."""
        self.warnings.append(told(place, path, sentence, hint))

    def faults(self) -> tuple[str, ...]:
        """Return one line for each fault: those of the file by line, then those of variables and mounted secrets."""
        ordered = sorted(self._faults, key=lambda found: (not found[0].line, found[0].line, found[0].column))
        # A variable that several providers look up brings its fault several times.
        lines = tuple(dict.fromkeys(line for _, line in ordered))
        if len(lines) > _MOST:
            return (*lines[:_MOST], f"{self._file}: and {len(lines) - _MOST} faults more")
        return lines

    def raise_if_any(self) -> None:
        """Raise all faults as one `ConfigurationError`, if there are any."""
        lines = self.faults()
        if lines:
            message = lines[0] if len(lines) == 1 else f"{len(lines)} faults in {self._file}"
            raise ConfigurationError(message, faults=lines)


def told(place: object, path: str, problem: str, hint: str = "") -> str:
    """Return `file:line:column: path.to.key: problem. hint` on one line."""
    parts = (str(place), path, f"{problem}. {hint}" if hint else problem)
    return printable(": ".join(part for part in parts if part))


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a hint that names the likeliest of `names`, or nothing."""
    import difflib  # noqa: PLC0415  # needed only once something is wrong

    # 0.75 still finds `secret_key` for `secret`, and `access_key` for `accessKey`.
    close = difflib.get_close_matches(name[:_LONGEST_SHOWN], list(names), n=1, cutoff=0.75)
    return f'Did you mean "{close[0]}"?' if close else ""


def shown(text: str) -> str:
    """Return `text` quoted, and not too long, for a message."""
    return f'"{text}"' if len(text) <= _LONGEST_SHOWN else f'"{text[:_LONGEST_SHOWN]}..."'

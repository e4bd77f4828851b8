"""An `fprocess` that is no supervisor: a program started for each request, as the classic watchdog starts it."""

from __future__ import annotations

import shutil
import signal
from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor import script
from faas_supervisor.errors import Failure, NoSpace, ScriptError
from faas_supervisor.fronts._service import Answer
from faas_supervisor.fronts._streams import Descriptor
from faas_supervisor.fronts.watchdog._marshal import marshal
from faas_supervisor.sinks import FileSink

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faas_supervisor.fronts._service import Request
    from faas_supervisor.fronts.watchdog._settings import Settings

__all__ = ["External"]

_NOTHING: Final = MappingProxyType[str, str]({})

# `exec_timeout` kills: the classic watchdog gives a program no time to tidy up.
_GRACE: Final = 0.0


class External:
    """Runs a program for each request: the body on its standard input, the answer on its standard output."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def answer(self, request: Request, folder: Path) -> Answer:
        """Run the program; its status decides about that of the answer.

        Raises:
            SupervisorError: It was told to stop, or there is no room for its output.
        """
        if self._settings.marshal_request:
            marshal(request.headers, request.body)
        environment = {
            name: text for name, text in request.environment.items() if not name.startswith(("_SUP_", "_PYI_"))
        }
        environment["TMP_OUTPUT_DIR"] = str(folder)  # by which descendants that left its session are known
        output = folder / "output"
        with request.body.open("rb") as stdin, closing(FileSink(output)) as sink:
            try:
                outcome = script.run(
                    self._command(environment),
                    environment,
                    stdin=stdin.fileno(),
                    stdout=sink,
                    stderr=sink if self._settings.combine_output else Descriptor(2),
                    stop=request.stop,
                    grace=_GRACE,
                )
            except ScriptError as error:
                sink.write(f"{error}\n".encode("utf-8", "backslashreplace"))
                outcome = None
        if sink.failed is not None:
            raise NoSpace(f"the output can't be kept: {sink.failed}") from sink.failed
        if outcome is None:
            return Answer(500, _NOTHING, output)
        if outcome.status == 0:
            return Answer(200, _NOTHING, output)
        said = _status(outcome.status, outcome.signal)
        return Answer(500, _NOTHING, _headed(said, output, folder / "failed"))

    def close(self) -> None:
        """Nothing is held between two requests."""

    def _command(self, environment: Mapping[str, str]) -> list[str]:
        first, *rest = self._settings.process
        found = shutil.which(first, path=environment.get("PATH"))
        if found is None:
            raise ScriptError(
                f'exec: "{first}": executable file not found in $PATH', failure=Failure.INTERPRETER_MISSING
            )
        return [found, *rest]


def _status(status: int, number: int | None) -> str:
    """Say how a program failed, in the words of Go's `os/exec`."""
    if number is None:
        return f"exit status {status}\n"
    return f"signal: {(signal.strsignal(number) or str(number)).lower()}\n"


def _headed(text: str, output: Path, made: Path) -> Path:
    """Return a file of `text`, followed by what `output` holds."""
    with output.open("rb") as source, made.open("xb") as sink:
        sink.write(text.encode())
        shutil.copyfileobj(source, sink)
    return made

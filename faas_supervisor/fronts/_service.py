"""What lies behind the watchdog front: one request in, one answer out, by an invocation in this process."""

from __future__ import annotations

import shutil
from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from faas_supervisor.answer import explanation
from faas_supervisor.call import Call, Client
from faas_supervisor.errors import NoSpace
from faas_supervisor.fronts._classic import combines
from faas_supervisor.fronts._streams import Descriptor
from faas_supervisor.invocation import invoke
from faas_supervisor.publish import tell
from faas_supervisor.resident import Resident
from faas_supervisor.sinks import FileSink
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from faas_supervisor.result import Result
    from faas_supervisor.stop import Stop

__all__ = ["Answer", "Request", "Service"]

# RFC 9110, 6.4.1 and 15: these have no content, whatever the script wrote.
_WITHOUT_BODY: Final = frozenset({204, 205, 304})


@value
class Request:
    """A request, its body in a file.

    Attributes:
        body: The file.
        method: `POST`, in capitals.
        headers: Lower-case names.
        environment: The container's, and what the watchdog tells of the request.
        raw: The client wants bytes, not base64.
        stop: Set when the invocation must end.
        timeout: Seconds that it has; the front sets `stop` then.
    """

    body: Path
    method: str
    headers: Mapping[str, str]
    environment: Mapping[str, str]
    raw: bool
    stop: Stop
    timeout: float | None


@value
class Answer:
    """An answer, its body in a file of the request's folder."""

    status: int
    headers: Mapping[str, str]
    body: Path


class Service:
    """Answers requests by invocations in this process, several at a time.

    What an invocation needs but the event stays between them: see `Resident`. `ended` is told every result.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        config: Path | None = None,
        script: Path | None = None,
        ended: Callable[[Result], None] | None = None,
    ) -> None:
        self._environment: Final = environment
        self._ended: Final = ended
        self._combined: Final = combines(environment)
        self._config: Final = config
        self._script: Final = script
        self._resident: Final = Resident(environment)

    def prepare(self) -> None:
        """Have a warm script load what it needs before the first request; see `Resident.prepare`."""
        log_only = Descriptor(2)
        self._resident.prepare(
            Call(b"", self._environment, stdout=log_only, stderr=log_only, config=self._config, script=self._script)
        )

    def answer(self, request: Request, folder: Path) -> Answer:
        """Return the answer to `request`: what the script answers, or why it does not, and a status.

        Called in a thread. `folder` is the request's own.

        Raises:
            SupervisorError: `request.stop` was set before there was an answer; its reason.
        """
        with closing(FileSink(folder / "answer")) as spool:
            call = Call(
                request.body,
                request.environment,
                stdout=spool,
                stderr=Descriptor(2),
                headers=request.headers,
                config=self._config,
                script=self._script,
                stop=request.stop,
                folder=folder,
                client=Client(raw=request.raw, combined=self._combined, response=True),
            )
            result = invoke(call, self._resident)
        tell(result)
        if self._ended is not None:
            self._ended(result)
        if result.status == "failed" and request.stop.reason is not None:
            raise request.stop.reason
        if spool.failed is not None:
            raise NoSpace(f"the answer can't be kept: {spool.failed}") from spool.failed
        return _failed(result, spool.file) if result.exit_code else _succeeded(result, spool.file)

    def close(self) -> None:
        """Free what is held."""
        self._resident.close()


def _succeeded(result: Result, body: Path) -> Answer:
    if result.response is None:
        return Answer(200, MappingProxyType({}), body)
    if result.response.status in _WITHOUT_BODY:
        body.write_bytes(b"")
    return Answer(result.response.status, result.response.headers, body)


def _failed(result: Result, output: Path) -> Answer:
    """Return what a watchdog says about a program that failed, and what that wrote: its status, output, reason."""
    body = output.with_name("failure")
    try:
        with body.open("xb") as stream:
            stream.write(f"exit status {result.exit_code}\n".encode())
            with output.open("rb") as source:
                shutil.copyfileobj(source, stream)
            stream.write(explanation(result))
    except OSError as error:
        raise NoSpace(f"the answer can't be kept: {error}") from error
    return Answer(500, MappingProxyType({"Content-Type": "text/plain; charset=utf-8"}), body)

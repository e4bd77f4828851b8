"""Every way in which an invocation can fail: one family, each with its name and its exit code.

SupervisorError
├── ConfigurationError      the configuration has faults
├── CredentialsError        a credential is not configured
├── EventError              the event can't be understood
├── PluginError             a plugin is missing, broken or of another API version
├── ScriptError             the script can't be started
├── NoSpace                 the local disk is too small
├── OutputError             an output can't be uploaded as it is
├── Terminated              somebody asked us to stop
├── LimitExceeded           the script used more than it may
└── StorageError            a storage operation failed; what plugins raise
    ├── NotFound  PermissionDenied  AuthenticationFailed  AlreadyExists  InsufficientStorage
    ├── InvalidConfiguration  InvalidPath  Unsupported
    └── IntegrityError  Throttled  Unavailable          may succeed when tried again
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from faas_supervisor.script import Outcome

__all__ = [
    "AlreadyExists",
    "AuthenticationFailed",
    "Cancelled",
    "ConfigurationError",
    "CredentialsError",
    "EventError",
    "Failure",
    "InsufficientStorage",
    "IntegrityError",
    "InvalidConfiguration",
    "InvalidPath",
    "LimitExceeded",
    "NoSpace",
    "NotFound",
    "OutputError",
    "PermissionDenied",
    "PluginError",
    "ScriptError",
    "StorageError",
    "SupervisorError",
    "Terminated",
    "Throttled",
    "Unavailable",
    "Unsupported",
]


class Failure(StrEnum):
    """The name that a result gives to a failure; `exit_code` is what the process exits with."""

    SCRIPT = "script"
    USAGE = "usage"
    INTERNAL = "internal"
    CONFIGURATION = "configuration"
    EVENT = "event"
    PLUGIN = "plugin"
    CREDENTIALS = "credentials"
    INPUT_MISSING = "input_missing"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    INTEGRITY = "integrity"
    NO_SPACE = "no_space"
    OUTPUT = "output"
    TIME_LIMIT = "time_limit"
    NOT_EXECUTABLE = "not_executable"
    INTERPRETER_MISSING = "interpreter_missing"
    MEMORY_LIMIT = "memory_limit"
    TERMINATED = "terminated"

    @property
    def exit_code(self) -> int:
        """The exit code of this failure. `SCRIPT` has none of its own: the script's status passes through."""
        return _EXIT_CODES[self]

    @property
    def again(self) -> bool:
        """Whether running the same invocation again may succeed."""
        return self in _AGAIN


_EXIT_CODES: Final = {
    Failure.SCRIPT: 1,
    Failure.USAGE: 2,
    Failure.INTERNAL: 110,
    Failure.CONFIGURATION: 111,
    Failure.EVENT: 112,
    Failure.PLUGIN: 113,
    Failure.CREDENTIALS: 114,
    Failure.INPUT_MISSING: 115,
    Failure.STORAGE_UNAVAILABLE: 116,
    Failure.INTEGRITY: 117,
    Failure.NO_SPACE: 118,
    Failure.OUTPUT: 119,
    Failure.TIME_LIMIT: 124,
    Failure.NOT_EXECUTABLE: 126,
    Failure.INTERPRETER_MISSING: 127,
    Failure.MEMORY_LIMIT: 137,
    Failure.TERMINATED: 143,
}

_AGAIN: Final = {Failure.STORAGE_UNAVAILABLE, Failure.INTEGRITY, Failure.TERMINATED}


class Cancelled(Exception):
    """Raised by `Progress.advance` to end a transfer; a provider lets it through and leaves nothing behind.

    An `Exception`, since s3transfer and minio stop their threads cleanly for those alone.
    """


class SupervisorError(Exception):
    """Something that ends the invocation: a sentence for a person, and a hint what to do about it.

    Attributes:
        outcome: How the script ended, if this ended it.
        signal: The signal that the script is asked to end with, if SIGTERM won't do.
    """

    failure: Failure = Failure.INTERNAL
    outcome: Outcome | None = None
    signal: int | None = None

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} — {self.hint}" if self.hint else self.message


class ConfigurationError(SupervisorError):
    """The configuration has faults; `faults` holds one `file:line:column: key: problem. hint` for each."""

    failure = Failure.CONFIGURATION

    def __init__(self, message: str, *, hint: str = "", faults: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class CredentialsError(SupervisorError):
    """A credential that this invocation needs is configured nowhere."""

    failure = Failure.CREDENTIALS


class EventError(SupervisorError):
    """The event can't be understood, or names something that no file can be made of."""

    failure = Failure.EVENT


class PluginError(SupervisorError):
    """A plugin that this invocation needs is missing, broken, or made for another API version."""

    failure = Failure.PLUGIN


class ScriptError(SupervisorError):
    """The script can't be started: it is not executable (126) or its interpreter is missing (127)."""

    def __init__(self, message: str, *, failure: Failure, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.failure = failure


class NoSpace(SupervisorError):
    """The local disk has no room for a file."""

    failure = Failure.NO_SPACE


class OutputError(SupervisorError):
    """An output can't be uploaded as it is, or nothing matched where something must."""

    failure = Failure.OUTPUT


class Terminated(SupervisorError):
    """The supervisor was told to stop before the invocation was done: by `signal`, if by one."""

    failure = Failure.TERMINATED

    def __init__(self, message: str, *, hint: str = "", signal: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.signal = signal


class LimitExceeded(SupervisorError):
    """The script used more than it may. Its message begins with the limit, the value and the maximum.

    Attributes:
        limit: The name, as in `limits`.
        value: What the script used: seconds, bytes, or a number.
        maximum: What it may use.
        at_once: Whether it must be killed without a word before, since it would do harm in the meantime.
    """

    def __init__(
        self,
        limit: str,
        value: float,
        maximum: float,
        *,
        message: str,
        failure: Failure,
        at_once: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.value = value
        self.maximum = maximum
        self.failure = failure
        self.at_once = at_once


class StorageError(SupervisorError):
    """A storage operation failed. Plugins raise this or one of its subclasses, always `from` their cause.

    Attributes:
        path: The remote path, as the core passed it.
        provider: `type.id`; added by the core.
        endpoint: Where the provider was reached; added by the plugin where it knows.
        phase: What was being done, such as `stage in`; added by the core.
        retryable: Whether the same operation may succeed later; the core alone retries.
        retry_after: Seconds that the server asked us to wait, if it did.
    """

    kind: ClassVar[str] = "storage error"
    failure: Failure = Failure.STORAGE_UNAVAILABLE
    on_upload: ClassVar[Failure | None] = Failure.OUTPUT
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        provider: str = "",
        endpoint: str = "",
        hint: str = "",
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.provider = provider
        self.endpoint = endpoint
        self.phase = ""
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable

    def located(self, *, provider: str, path: str, phase: str) -> StorageError:
        """Add where and when this happened, and return the same error; what the plugin said stays."""
        self.provider = self.provider or provider
        self.path = self.path or path
        self.phase = phase
        if phase == "stage out" and self.on_upload is not None:
            self.failure = self.on_upload
        return self

    def __str__(self) -> str:
        where = " ".join(part for part in (self.provider, printable(self.path)) if part)
        at = f" at {self.endpoint}" if self.endpoint else ""
        phase = f" during {self.phase}" if self.phase else ""
        text = f"{self.kind}: {where}{at}{phase}: {self.message}"
        return f"{text} — {self.hint}" if self.hint else text


class NotFound(StorageError):
    """There is no such object, folder or bucket."""

    kind = "not found"
    failure = Failure.INPUT_MISSING


class PermissionDenied(StorageError):
    """The credentials are good, but don't allow this."""

    kind = "permission denied"
    failure = Failure.CREDENTIALS
    on_upload: ClassVar[Failure | None] = None


class AuthenticationFailed(StorageError):
    """The credentials are wrong, expired or not there."""

    kind = "authentication failed"
    failure = Failure.CREDENTIALS
    on_upload: ClassVar[Failure | None] = None


class AlreadyExists(StorageError):
    """Something is there that must not be overwritten."""

    kind = "already exists"
    failure = Failure.OUTPUT


class InsufficientStorage(StorageError):
    """The store is full or the quota is used up."""

    kind = "no space on the storage"
    failure = Failure.NO_SPACE
    on_upload: ClassVar[Failure | None] = None


class InvalidConfiguration(StorageError):
    """The provider's settings can't work, whatever the path."""

    kind = "invalid provider configuration"
    failure = Failure.CONFIGURATION
    on_upload: ClassVar[Failure | None] = None


class InvalidPath(StorageError):
    """The store can't hold an object of this name."""

    kind = "invalid path"
    failure = Failure.EVENT


class Unsupported(StorageError):
    """The store does not offer this operation."""

    kind = "not supported"


class IntegrityError(StorageError):
    """The bytes that arrived are not the bytes that were sent. Retried once."""

    kind = "integrity"
    failure = Failure.INTEGRITY
    on_upload: ClassVar[Failure | None] = None
    retryable = True


class Throttled(StorageError):
    """The server asks us to come back later."""

    kind = "throttled"
    on_upload: ClassVar[Failure | None] = None
    retryable = True


class Unavailable(StorageError):
    """The server is down, cut the connection, went silent, or failed on its own."""

    kind = "unavailable"
    on_upload: ClassVar[Failure | None] = None
    retryable = True


def printable(text: str) -> str:
    """Return `text` on one line, with control characters and undecodable bytes made visible."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )

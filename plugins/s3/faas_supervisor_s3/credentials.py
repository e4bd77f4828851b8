"""Where the keys come from: the settings, the environment, or AWS's own chain, which alone needs boto3."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faas_supervisor.errors import AuthenticationFailed, InvalidConfiguration
from faas_supervisor.storage import Secret
from faas_supervisor.values import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import S3Credential

    from faas_supervisor_s3.settings import Settings

__all__ = ["AwsChain", "StaticKeys", "keys_of"]

# How long obstore may keep keys that botocore renews. Asking again costs nothing until they must be renewed.
_ASK_AGAIN: Final = timedelta(seconds=60)


@value
class StaticKeys:
    """Keys that are known and stay as they are."""

    access_key: str
    secret_key: Secret
    session_token: Secret | None = None

    def __call__(self) -> S3Credential:
        """Return the keys as obstore takes them."""
        token = self.session_token.reveal() if self.session_token else None
        return {
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key.reveal(),
            "token": token,
            "expires_at": None,
        }

    def region(self) -> str | None:
        """Return None: keys have no region."""
        return None

    def session(self, region: str | None) -> Any:  # noqa: ANN401  # boto3 has no types
        """Return a boto3 session with these keys."""
        import boto3  # noqa: PLC0415

        return boto3.session.Session(
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key.reveal(),
            aws_session_token=self.session_token.reveal() if self.session_token else None,
            region_name=region,
        )


class AwsChain:
    """Keys that boto3 finds, assumes a role for, and renews. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: Any = None
        self._making = threading.Lock()

    def __call__(self) -> S3Credential:
        """Return the present keys as obstore takes them.

        Raises:
            StorageError: There are none, or they can't be renewed.
        """
        from faas_supervisor_s3.boto_failures import translated  # noqa: PLC0415  # brings botocore

        with translated("", "AWS"):
            credentials = self.session(None).get_credentials()
            if credentials is None:
                raise AuthenticationFailed(
                    "no AWS credentials were found", hint="set access_key and secret_key, a profile, or a role"
                )
            keys = credentials.get_frozen_credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": Secret(keys.secret_key).reveal(),  # masked from now on
            "token": Secret(keys.token).reveal() if keys.token else None,
            "expires_at": datetime.now(UTC) + _ASK_AGAIN,
        }

    def region(self) -> str | None:
        """Return the region that the profile names."""
        region: str | None = self.session(None).region_name
        return region

    def session(self, region: str | None) -> Any:  # noqa: ANN401, ARG002  # boto3 has no types; the chain knows its own
        """Return the boto3 session that finds and renews the keys."""
        with self._making:
            if self._session is None:
                self._session = _session(self._settings)
            return self._session


def keys_of(settings: Settings) -> StaticKeys | AwsChain:
    """Return what gives the keys.

    Raises:
        InvalidConfiguration: The settings contradict each other.
    """
    _require_consistent(settings)
    if settings.role_arn is None and settings.profile is None:
        if settings.access_key and settings.secret_key:
            return StaticKeys(settings.access_key, settings.secret_key, settings.session_token)
        if found := _in_environment():
            return found
    return AwsChain(settings)


def _in_environment() -> StaticKeys | None:
    """Return the keys that come first in AWS's chain, without half a second for boto3 (Lambda always has them)."""
    access_key, secret_key = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    token = os.environ.get("AWS_SESSION_TOKEN")
    return StaticKeys(access_key, Secret(secret_key), Secret(token) if token else None)


def _require_consistent(settings: Settings) -> None:
    has_keys = bool(settings.access_key)
    faults = {
        "access_key and secret_key go together, and one of them is missing": has_keys != bool(settings.secret_key),
        "session_token is of no use without access_key and secret_key": bool(settings.session_token) and not has_keys,
        "profile and access_key name two identities": bool(settings.profile) and has_keys,
        "web_identity_token_file and access_key name two identities": bool(settings.web_identity_token_file)
        and has_keys,
        "web_identity_token_file needs role_arn": bool(settings.web_identity_token_file) and not settings.role_arn,
        "external_id needs role_arn": bool(settings.external_id) and not settings.role_arn,
    }
    for fault, holds in faults.items():
        if holds:
            raise InvalidConfiguration(fault)


def _session(settings: Settings) -> Any:  # noqa: ANN401
    """Return a session with the identity that the settings name, in its role if there is one."""
    import boto3  # noqa: PLC0415
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    try:
        session = boto3.session.Session(
            profile_name=settings.profile,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key.reveal() if settings.secret_key else None,
            aws_session_token=settings.session_token.reveal() if settings.session_token else None,
            region_name=settings.region,
        )
    except ProfileNotFound as error:
        raise InvalidConfiguration(
            f"AWS's configuration files have no profile {settings.profile!r}", hint="check AWS_CONFIG_FILE"
        ) from error
    return _in_role(session, settings) if settings.role_arn else session


def _in_role(session: Any, settings: Settings) -> Any:  # noqa: ANN401
    """Return a session with the role's keys; the role is assumed at first use, and again before they run out."""
    import boto3  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.credentials import CredentialResolver  # noqa: PLC0415

    core = botocore.session.get_session()
    core.register_component("credential_provider", CredentialResolver([_Role(_assuming(session, settings))]))
    return boto3.session.Session(botocore_session=core, region_name=session.region_name)


class _Role:
    """What botocore's resolver asks for credentials."""

    METHOD: Final = "faas-supervisor-role"

    def __init__(self, assume: Callable[[], dict[str, str]]) -> None:
        self._assume = assume

    def load(self) -> Any:  # noqa: ANN401
        from botocore.credentials import DeferredRefreshableCredentials  # noqa: PLC0415

        return DeferredRefreshableCredentials(self._assume, self.METHOD)


def _assuming(session: Any, settings: Settings) -> Callable[[], dict[str, str]]:  # noqa: ANN401
    """Return a function that assumes the role and returns its keys in botocore's words."""
    role = {"RoleArn": settings.role_arn, "RoleSessionName": settings.role_session_name}
    if settings.external_id:
        role["ExternalId"] = settings.external_id

    def assume() -> dict[str, str]:
        if settings.web_identity_token_file is None:
            answer = _sts(session).assume_role(**role)
        else:
            token = _token(settings.web_identity_token_file)
            answer = _sts(session, signed=False).assume_role_with_web_identity(**role, WebIdentityToken=token)
        keys = answer["Credentials"]
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expiry_time": keys["Expiration"].isoformat(),
        }

    return assume


def _sts(session: Any, *, signed: bool = True) -> Any:  # noqa: ANN401
    from botocore import UNSIGNED  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    unsigned = {} if signed else {"signature_version": UNSIGNED}
    config = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 2}, **unsigned)
    return session.client("sts", region_name=session.region_name or "us-east-1", config=config)


def _token(path: str) -> str:
    """Return the token; read anew each time, since Kubernetes renews it."""
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise InvalidConfiguration(f"web_identity_token_file {path} can't be read: {error.strerror}") from error

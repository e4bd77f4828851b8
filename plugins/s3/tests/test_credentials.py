"""Keys from profiles, roles and tokens, with moto as the token service; and their renewal."""

from __future__ import annotations

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from faas_supervisor.errors import AuthenticationFailed, InvalidConfiguration, PermissionDenied, Unavailable
from faas_supervisor.secrets import mask
from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor_s3 import Settings
from faas_supervisor_s3.credentials import AwsChain, StaticKeys, keys_of
from faas_supervisor_s3.provider import make_provider
from plugins.s3.tests.support import Progress
from tests.servers import s3_client

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture(autouse=True)
def _no_aws_but_ours(monkeypatch, tmp_path):
    """Keep the machine's own AWS configuration, and its metadata service, out of the tests."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def sts(monkeypatch):
    """A token service that gives keys for some seconds, and keeps what it was asked."""
    with TokenService() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", service.url)
        yield service


class TokenService:
    def __init__(self):
        self.asked = []
        self.seconds = 3600
        self.refusal = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                service.asked.append(form | {"signed": "Authorization" in self.headers})
                status, answer = service.answer(form)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, form):
        if self.refusal:
            return 403, f"<ErrorResponse><Error><Code>{self.refusal}</Code></Error></ErrorResponse>".encode()
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.seconds)
        n, action = len(self.asked), form["Action"]
        keys = (
            f"<AccessKeyId>key-{n}</AccessKeyId><SecretAccessKey>role-secret-{n}</SecretAccessKey>"
            f"<SessionToken>role-token-{n}</SessionToken><Expiration>{until.isoformat()}</Expiration>"
        )
        return 200, (
            f"<{action}Response><{action}Result><Credentials>{keys}</Credentials></{action}Result></{action}Response>"
        ).encode()

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def write_profile(tmp_path, text):
    (tmp_path / "config").write_text(text)


def test_keys_in_the_environment_need_no_sdk(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "environment-token")
    keys = keys_of(Settings())
    assert isinstance(keys, StaticKeys)
    assert keys()["token"] == "environment-token"


def test_keys_in_the_settings_take_no_token_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "environment-token")
    assert keys_of(Settings(access_key="key", secret_key=Secret("settings-secret")))()["token"] is None


def test_a_profile_has_keys_and_a_region(tmp_path):
    write_profile(
        tmp_path, "[profile p]\naws_access_key_id = key\naws_secret_access_key = profile-secret\nregion = eu-west-3\n"
    )
    keys = keys_of(Settings(profile="p"))
    assert keys()["secret_access_key"] == "profile-secret"
    assert keys.region() == "eu-west-3"
    assert mask("profile-secret") == "***"


def test_a_missing_profile_is_named():
    with pytest.raises(InvalidConfiguration, match="no profile 'nowhere'"):
        make_provider(Settings(profile="nowhere"))


def test_no_credentials_anywhere_is_said():
    with pytest.raises(AuthenticationFailed, match="no AWS credentials were found"):
        make_provider(Settings()).stat("bucket/object")


def test_a_role_is_assumed_with_the_keys_of_the_settings(sts):
    settings = Settings(
        access_key="key",
        secret_key=Secret("settings-secret"),
        role_arn=ROLE,
        external_id="external",
        role_session_name="me",
    )
    keys = keys_of(settings)()
    assert (keys["access_key_id"], keys["token"]) == ("key-1", "role-token-1")
    assert mask("role-secret-1 role-token-1") == "*** ***"
    (form,) = sts.asked
    assert form["Action"] == "AssumeRole"
    assert (form["RoleArn"], form["ExternalId"], form["RoleSessionName"]) == (ROLE, "external", "me")
    assert form["signed"]


def test_a_token_is_changed_for_a_roles_keys_and_read_anew(sts, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    sts.seconds = 1  # botocore renews what is nearly over
    keys = keys_of(Settings(role_arn=ROLE, web_identity_token_file=str(token)))
    keys()
    token.write_text("second\n")
    keys()
    assert [form["WebIdentityToken"] for form in sts.asked] == ["first", "second"]
    assert not any(form["signed"] for form in sts.asked)


def test_amazons_own_variables_for_a_token_work(sts, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("pods token")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    assert keys_of(Settings())()["access_key_id"] == "key-1"
    assert sts.asked[0]["Action"] == "AssumeRoleWithWebIdentity"


def test_a_missing_token_file_is_named(sts):
    keys = keys_of(Settings(role_arn=ROLE, web_identity_token_file="/nonexistent/token"))
    with pytest.raises(InvalidConfiguration, match="/nonexistent/token"):
        keys()


def test_keys_are_renewed_before_they_run_out(sts):
    keys = keys_of(Settings(access_key="key", secret_key=Secret("settings-secret"), role_arn=ROLE))
    assert keys()["access_key_id"] == "key-1"
    assert keys()["access_key_id"] == "key-1"
    sts.seconds = 1
    keys = keys_of(Settings(access_key="key", secret_key=Secret("settings-secret"), role_arn=ROLE))
    assert [keys()["access_key_id"] for _ in range(2)] == ["key-2", "key-3"]


def test_obstore_uses_renewed_keys(sts, monkeypatch):
    """Keys that are over, as obstore sees it, are asked for again at the next request."""
    from faas_supervisor.testing import ScriptedServer, faults
    from faas_supervisor_s3 import credentials

    monkeypatch.setattr(credentials, "_ASK_AGAIN", dt.timedelta(0))
    sts.seconds = 1
    with ScriptedServer() as server:
        provider = make_provider(
            Settings(access_key="key", secret_key=Secret("settings-secret"), role_arn=ROLE, endpoint=server.url)
        )
        server.fail_next("*", faults.status(500), times=None)
        for _ in range(2):
            with pytest.raises(Unavailable):
                provider.stat("bucket/object")
        used = [
            request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
            for request in server.requests
        ]
        tokens = [request.headers["x-amz-security-token"] for request in server.requests]
        provider.close()
    assert used[0] != used[1]
    assert [key.replace("key", "role-token") for key in used] == tokens


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDenied", PermissionDenied),
        ("InvalidClientTokenId", AuthenticationFailed),
        ("ExpiredTokenException", AuthenticationFailed),
    ],
)
@pytest.mark.parametrize("engine", ["obstore", "sdk"])
def test_a_refused_role_keeps_its_class(sts, code, error, engine):
    sts.refusal = code
    settings = Settings(access_key="key", secret_key=Secret("settings-secret"), role_arn=ROLE, engine=engine)
    with pytest.raises(error, match=code):
        make_provider(settings).stat("bucket/object")


def test_a_token_service_that_is_down_is_tried_again_by_the_core(sts, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="connection refused"):
        keys_of(Settings(access_key="key", secret_key=Secret("settings-secret"), role_arn=ROLE))()


@pytest.mark.parametrize("engine", ["obstore", "sdk"])
@pytest.mark.parametrize("kind", ["profile", "role", "token"])
def test_bytes_move_with_every_kind_of_keys(moto_server, monkeypatch, tmp_path, kind, engine):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_server.url)
    s3_client(moto_server).create_bucket(Bucket="bucket")
    write_profile(tmp_path, "[profile p]\naws_access_key_id = key\naws_secret_access_key = profile-secret\n")
    (tmp_path / "token").write_text(json.dumps({"sub": "me"}))
    settings = {
        "profile": {"profile": "p"},
        "role": {"profile": "p", "role_arn": ROLE},
        "token": {"role_arn": ROLE, "web_identity_token_file": str(tmp_path / "token")},
    }[kind]
    provider = make_provider(Settings(**settings, endpoint=moto_server.url, engine=engine))
    (tmp_path / "source").write_bytes(b"content")
    provider.upload(tmp_path / "source", "bucket/object", Progress())
    provider.download(ObjectRef("bucket/object"), tmp_path / "arrival", Progress())
    assert (tmp_path / "arrival").read_bytes() == b"content"
    provider.close()


def test_threads_share_one_session(sts):
    keys = keys_of(Settings(access_key="key", secret_key=Secret("settings-secret"), role_arn=ROLE))
    assert isinstance(keys, AwsChain)
    threads = [threading.Thread(target=keys) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sts.asked) == 1

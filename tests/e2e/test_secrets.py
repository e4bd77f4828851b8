"""No secret leaves: not in the log, the result, the termination message, nor to the script."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from faas_supervisor.testing import ScriptedServer, faults
from tests.e2e.support import encoded, event, install, notification

SECRET = "sw0rdfish/+=&?% verysecret"


def forms(secret: str) -> dict[str, str]:
    """Return `secret` as it may appear: plain, quoted, in base64, and amid longer base64 at each of three offsets."""
    raw = secret.encode()
    found = {"plain": secret, "quoted": quote(secret, safe=""), "plus": quote_plus(secret), "base64": encoded(raw)}
    found["JSON"] = json.dumps(secret)[1:-1]
    for offset in range(3):
        longer = base64.b64encode(b"x" * offset + raw + b"y" * (-(offset + len(raw)) % 3)).decode()
        # What depends on the neighbours, before and behind, is not of the secret alone.
        found[f"in base64 at {offset}"] = longer[(4 if offset else 0) : -4]
    return found


def require_no_secret(texts: dict[str, str], *secrets: str) -> None:
    for secret in secrets:
        for form, value in forms(secret).items():
            for place, text in texts.items():
                assert value not in text, f"{form} in {place}"


def told(done, **more: str) -> dict[str, str]:
    places = {"stdout": done.stdout.decode("latin-1"), "stderr": done.stderr, "termination": done.termination.decode()}
    return places | more


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("engine", ["obstore", "sdk"])
@pytest.mark.parametrize("kind", ["minio", "s3"])
class TestFailingRunsAtDebug:
    @pytest.fixture
    def service(self, service, form):
        service.config |= {"log_level": "DEBUG", "log_format": form}
        return service

    def test_a_refused_secret(self, service, bucket, kind, engine):
        keys = {"access_key": bucket.server.access_key, "secret_key": SECRET, "session_token": SECRET[::-1]}
        service.provider(f"{kind}.default", endpoint=bucket.server.url, engine=engine, region="us-east-1", **keys)
        source = "minio:s3" if kind == "minio" else "aws:s3"

        done = service.job(notification(bucket.put("in/a", source=source)))

        assert (done.code, done.result["failure"]) == (114, "credentials")
        assert "Traceback" in done.stderr
        require_no_secret(told(done), SECRET, SECRET[::-1])

    def test_a_server_that_repeats_what_it_was_sent(self, service, bucket, kind, engine):
        keys = {"access_key": bucket.server.access_key, "secret_key": SECRET}
        message = f"you said {SECRET} or {encoded(SECRET)} or {quote(SECRET)}".replace("&", "&amp;")
        body = f"<Error><Code>Odd</Code><Message>{message}</Message></Error>".encode()
        service.config["result"] = {"storage_provider": "file.results", "path": "results"}
        service.provider("file.results", root=str(service.storage))
        source = "minio:s3" if kind == "minio" else "aws:s3"
        with ScriptedServer(bucket.server.url) as server:
            server.fail_next("*", faults.status(400, {"Content-Type": "application/xml"}, body), times=None)
            service.provider(f"{kind}.default", endpoint=server.url, engine=engine, region="us-east-1", **keys)

            done = service.job(notification(bucket.put("in/a", source=source)))

        assert done.code != 0
        assert "you said" in done.stderr
        [result] = service.storage.rglob("*.result.json")
        require_no_secret(told(done, result=result.read_text()), SECRET)


@pytest.mark.parametrize("form", ["text", "json"])
def test_faults_of_the_configuration_do_not_quote_secrets(service, form):
    service.config |= {"log_level": "DEBUG", "log_format": form}
    service.provider("minio.default", secret_key=SECRET, access_key="a" * 8, endpoint=f"http://user:{SECRET}@host/path")
    service.provider("s3.default", secret_key=[SECRET], access_kee=SECRET)

    done = service.job(b"x")

    assert done.code == 111
    require_no_secret(told(done), SECRET)


def test_mounted_secrets_stay_inside_too(service, bucket):
    service.config["log_level"] = "DEBUG"
    service.provider("minio.default", endpoint=bucket.server.url)
    service.mount("minio.default", accessKey=bucket.server.access_key, secretKey=f"{SECRET}\n")

    done = service.job(notification(bucket.put("in/a")))

    assert done.code == 114
    require_no_secret(told(done), SECRET)


class TestEnvironmentOfTheScript:
    @pytest.fixture
    def service(self, service):
        keys = {"access_key": "AKIAEXAMPLE0001", "secret_key": SECRET}
        service.provider("minio.default", endpoint="http://localhost", **keys)
        service.config["environment"] = {"variables": {"MODEL": "yolo v8", "EMPTY": ""}}
        service.script = "env"
        return service

    def seen(self, done):
        lines = done.stdout.decode().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def test_it_holds_nothing_of_ours(self, service):
        extra = {"FDL": encoded("x: 1"), "FAAS_SUPERVISOR_UPLOAD_ON": "always", "AWS_ENDPOINT_URL_S3": "http://e"}

        done = service.job(b"x", **extra)

        seen = self.seen(done)
        ours = {"FUNCTION_CONFIG", "FDL", "SCRIPT"}
        assert not ours & seen.keys()
        assert not [name for name in seen if name.startswith("FAAS_SUPERVISOR_")]
        require_no_secret(told(done), SECRET)

    def test_it_holds_what_the_container_and_the_user_set(self, service):
        done = service.job(b"x", OSCAR_SERVICE_NAME="function", MODEL="overridden?", PATH_TO="x=y")

        seen = self.seen(done)
        assert (seen["MODEL"], seen["EMPTY"]) == ("yolo v8", "")
        assert (seen["OSCAR_SERVICE_NAME"], seen["PATH_TO"]) == ("function", "x=y")
        assert {"TMP_INPUT_DIR", "TMP_OUTPUT_DIR", "INPUT_FILE_PATH", "HOME", "PATH"} <= seen.keys()

    def test_a_variable_that_a_provider_took_a_credential_from_is_not_passed_on(self, service, tmp_path):
        service.provider("vault.default")
        path = install(tmp_path, "vault", VAULT)

        done = service.job(b"x", PYTHONPATH=path, VAULT_TOKEN=SECRET)

        assert done.code == 0, done.stderr
        assert "VAULT_TOKEN" not in self.seen(done)
        require_no_secret(told(done), SECRET)

    def test_only_the_three_standard_streams_are_open(self, service):
        service.script = "ls /proc/self/fd | wc -l"

        done = service.job(b"x")

        assert int(done.stdout) == 4  # and the one of `ls` itself


VAULT = """
from dataclasses import dataclass
from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec, Secret, setting

@dataclass(frozen=True)
class Settings:
    token: Secret = setting("The token.", env="VAULT_TOKEN")

@hookimpl
def faas_supervisor_storage_providers():
    return [ProviderSpec("vault", Settings, None)]
"""


def test_the_script_sees_the_event_of_a_storage_but_no_credentials_in_it(service):
    service.put("bucket/in/a")
    service.script = "env"

    done = service.run(event("bucket/in/a"))

    assert done.code == 0
    assert b"STORAGE_OBJECT_KEY=in/a" in done.stdout

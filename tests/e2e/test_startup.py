"""What a run does not need is not imported: start-up is a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.support import Service, notification

if TYPE_CHECKING:
    from collections.abc import Mapping

SDKS = {"boto3", "botocore", "minio", "obstore", "requests", "urllib3", "s3transfer", "certifi"}
HEAVY = {
    *("click", "pluggy", "importlib.metadata", "dataclasses", "inspect", "subprocess", "tempfile"),
    *("asyncio", "http.client", "socket", "ssl", "email"),
}

# Writes down what is imported when the process ends that handled the event.
WATCH = """
import os, sys
leave = os._exit
def write_and_leave(code):
    with open(os.environ["MODULES"], "w") as listed:
        listed.write("\\n".join(sys.modules))
    leave(code)
os._exit = write_and_leave
"""


@pytest.fixture
def imported(service: Service, tmp_path):
    """A function that handles an event and returns the names of all modules that were imported for it."""
    site, listed = tmp_path / "site", tmp_path / "modules"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WATCH)

    def run(event: bytes, **extra: str) -> set[str]:
        environment: Mapping[str, str] = {
            # Measuring coverage would import half of the standard library.
            **{name: value for name, value in service.job_environment(**extra).items() if "COV" not in name},
            "PYTHONPATH": str(site),
            "MODULES": str(listed),
        }
        done = service.command([], event, environment)
        assert done.code == 0, done.stderr
        return set(listed.read_text().splitlines())

    return run


def test_the_watch_sees_what_is_imported(service, tmp_path, imported):
    assert {"faas_supervisor.invocation", "json"} <= imported(b"x")


def test_a_run_without_storage_imports_no_sdk(service, imported):
    service.script = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"'

    modules = imported(b'{"some": "JSON"}')

    assert not (SDKS | HEAVY) & modules


def test_a_run_behind_a_classic_watchdog_imports_nothing_of_the_resident_one(service, imported):
    service.script = "true"

    assert not (SDKS | HEAVY) & imported(b"x", Http_Method="POST", write_timeout="1m")


def test_a_run_without_files_starts_no_threads(service, imported):
    service.script = "true"

    assert "concurrent.futures" not in imported(b'{"some": "JSON"}')


def test_a_run_on_folders_imports_no_sdk(service, imported):
    service.provider("file.store", root=str(service.storage))
    service.outputs("file.store out")

    modules = imported(b"x")

    assert service.stored(".").keys() == {"out/event-file"}
    assert not (SDKS | HEAVY) & modules


def test_a_provider_that_the_event_does_not_touch_is_not_imported(service, imported):
    service.provider("s3.default", access_key="a" * 8, secret_key="b" * 8)
    service.provider("minio.default", access_key="a" * 8, secret_key="b" * 8)

    modules = imported(b"x")

    assert not SDKS & modules
    assert "faas_supervisor_s3.provider" not in modules


@pytest.mark.parametrize("kind", ["minio", "s3"])
def test_storage_with_static_credentials_imports_obstore_alone(service, bucket, imported, kind):
    keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
    service.provider(f"{kind}.default", endpoint=bucket.server.url, region="us-east-1", **keys)
    service.outputs(f"{kind}.default {bucket.name}/out")

    modules = imported(notification(bucket.put("in/a", source="minio:s3" if kind == "minio" else "aws:s3")))

    assert "out/a" in bucket.objects()
    assert "obstore" in modules
    assert not (SDKS - {"obstore"}) & modules
    assert not {"click", "pluggy", "importlib.metadata"} & modules

"""`supervisor run`: one invocation by hand, tried out without a server, or only planned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from faas_supervisor.testing import ScriptedServer
from tests.e2e.support import event, notification, record, succeeds

EXAMPLE = Path(__file__).parents[2] / "examples" / "simple-test"


def test_the_example_runs_without_a_server(service, tmp_path):
    shutil.copytree(EXAMPLE / "storage", service.storage, dirs_exist_ok=True)
    arguments = ["--config", str(EXAMPLE / "function_config.yaml"), "--storage", str(service.storage)]

    done = service.cli("run", "--event", str(EXAMPLE / "event.json"), *arguments)

    assert done.code == 0, done.stderr
    written = {path for path in service.stored() if "/output/" in path}
    assert written == {"simple-test/output/quixote.txt", "simple-test/output/quixote.count.txt"}


def test_a_sample_and_a_folder_are_enough_to_begin_with(service):
    service.put("bucket/in/hello.txt", b"hello world\n")
    del service.config["storage_providers"]
    service.outputs("minio.default bucket/out")
    sample = service.cli("event", "sample", "minio").stdout

    done = service.run(sample)

    succeeds(done, service)
    assert service.stored()["bucket/out/hello.txt"] == b"hello world\n"


def test_the_event_may_come_from_a_file_or_from_standard_input(service):
    service.script = 'cat "$INPUT_FILE_PATH"'
    service.home.joinpath("event").write_bytes(b"from a file")

    assert service.run(b"", "--event", "event").stdout == b"from a file"
    assert service.run(b"from stdin", "--event", "-").stdout == b"from stdin"
    assert service.run(b"from stdin").stdout == b"from stdin"


def test_the_script_may_be_another(service):
    service.home.joinpath("other.py").write_text("#!/usr/bin/env python3\nprint('from python')\n")

    assert service.run(b"x", "--script", "other.py").stdout == b"from python\n"


def test_options_may_come_from_variables(service):
    service.script = 'cat "$INPUT_FILE_PATH"'
    config, _ = service.write()

    done = service.cli("run", event=b"x", FAAS_SUPERVISOR_RUN_CONFIG=str(config))

    assert (done.code, done.stdout) == (0, b"x")


def test_the_storage_folder_is_made(service):
    service.outputs("minio.default bucket/out")
    service.storage.rmdir()

    done = service.run(b"x", "--storage", str(service.storage / "deep" / "down"))

    succeeds(done, service)
    assert (service.storage / "deep/down/minio.default/bucket/out/event-file").read_bytes() == b"x"


def test_a_storage_folder_that_cannot_be_made_is_said_so(service):
    done = service.run(b"x", "--storage", "/proc/nowhere")

    assert (done.code, done.stdout) == (111, b"")
    assert "/proc/nowhere can't be made" in done.stderr
    assert "Traceback" not in done.stderr


class TestDryRun:
    @pytest.fixture
    def service(self, service):
        service.put("bucket/in/a", b"12345")
        service.outputs({"storage_provider": "minio.default", "path": "bucket/out", "suffix": [".txt"]})
        service.script = f"#!/bin/sh\ntouch {service.home}/ran\n"
        return service

    def test_it_prints_the_plan_and_does_nothing(self, service):
        before = service.stored()

        done = service.run(event("bucket/in/a"), "--dry-run")

        assert done.code == 0, done.stderr
        plan = json.loads(done.stdout)
        assert plan["function"] == "function"
        assert plan["event"]["type"] == "minio"
        assert (plan["script"], plan["command"]) == (str(service.home / "script.sh"), ["/bin/sh"])
        [planned] = plan["runs"]
        assert "bucket/in/a" in json.dumps(planned)
        assert {"provider": "minio.default", "path": "bucket/out", "prefix": [], "suffix": [".txt"]} in planned[
            "outputs"
        ]
        assert '"bytes": 5' in json.dumps(planned)
        assert service.stored() == before
        assert not (service.home / "ran").exists()
        assert list(service.workspace.iterdir()) == []
        assert done.termination == b""

    def test_it_makes_no_folders_for_the_storage(self, service):
        shutil.rmtree(service.storage)

        done = service.run(b"x", "--dry-run")

        assert done.code == 0, done.stderr
        assert not service.storage.exists()

    def test_it_asks_the_server_only_what_changes_nothing(self, service, bucket):
        with ScriptedServer(bucket.server.url) as server:
            keys = {"access_key": bucket.server.access_key, "secret_key": bucket.server.secret_key}
            service.provider("minio.default", endpoint=server.url, **keys)
            config, _ = service.write()

            done = service.cli("run", "-c", str(config), "--dry-run", event=notification(bucket.put("in/a")))

        assert done.code == 0, done.stderr
        assert {request.method for request in server.requests} <= {"HEAD", "GET"}
        assert bucket.objects().keys() == {"in/a"}

    @pytest.mark.parametrize(
        ("sent", "code", "text"),
        [
            (event("bucket/in/missing"), 115, "bucket/in/missing"),
            (event("bucket/x", key=""), 112, "s3.object.key"),
            (notification(record("bucket/in/a"), record("bucket/in/missing")), 115, "bucket/in/missing"),
            (event("bucket/in/a//b"), 112, "minio.default bucket/in/a//b"),
        ],
        ids=["missing input", "broken event", "one of two missing", "impossible key"],
    )
    def test_it_fails_as_the_run_would(self, service, sent, code, text):
        done = service.run(sent, "--dry-run")

        assert (done.code, done.stdout) == (code, b"")
        assert done.stderr.startswith("Error: ")
        assert text in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_skipped_event_has_no_runs(self, service):
        plan = json.loads(service.run(event("bucket/in/", size=0), "--dry-run").stdout)

        assert plan["runs"] == []
        assert "folder marker" in plan["event"]["skipped"]

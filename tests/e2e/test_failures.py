"""What bad input gets: its exit code, one clear line, a result that says the same, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.support import Service, alive, encoded, event, fails, install, succeeds


class TestConfiguration:
    """Exit code 111: what is wrong, where, and what to do."""

    def test_broken_yaml_is_told_with_its_place(self, service):
        broken = encoded("name: x\ninput: [a, b\noutput: {\n")

        done = service.job(b"x", FUNCTION_CONFIG=broken)

        fails(done, service, 111, "configuration", "$FUNCTION_CONFIG:", ":")

    def test_all_faults_are_told_at_once_one_line_each(self, service):
        service.config |= {"log_level": "LOUD", "output": [{"storage_provider": "minio.default", "pth": "a"}]}
        service.provider("minio.default", endpont="http://localhost")

        done = service.job(b"x")

        assert (done.code, done.result["failure"]) == (111, "configuration")
        assert any("log_level" in line for line in done.errors)
        assert any('output[0].pth: unknown key. Did you mean "path"?' in line for line in done.errors)
        assert any(
            'storage_providers.minio.default.endpont: unknown key. Did you mean "endpoint"?' in line
            for line in done.errors
        )
        assert all(line.startswith("$FUNCTION_CONFIG:") for line in done.errors)
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "text",
        ["just text", "- a\n- b\n", "\x00", "a: &a [*a]", "a: !!python/object:os.system x", "{" * 5000],
        ids=ascii,
    )
    def test_what_is_no_configuration_is_refused(self, service, text):
        done = service.job(b"x", FUNCTION_CONFIG=encoded(text))

        assert (done.code, done.result["failure"]) == (111, "configuration"), done.stderr
        assert done.errors
        assert "Traceback" not in done.stderr

    def test_none_at_all_names_the_places(self, service):
        done = service.command([], b"x", {**service.environment, "SCRIPT": encoded(":")})

        fails(
            done,
            service,
            111,
            "configuration",
            "no configuration",
            "/oscar/config/function_config.yaml",
            "FUNCTION_CONFIG",
        )

    def test_one_that_is_not_base64_is_refused(self, service):
        fails(
            service.job(b"x", FUNCTION_CONFIG="name: x"),
            service,
            111,
            "configuration",
            "$FUNCTION_CONFIG",
            "not base64",
        )

    def test_an_output_on_a_provider_that_is_configured_nowhere_is_refused(self, service):
        service.outputs("minio.deflaut bucket/out")
        service.script = "echo ran"

        done = service.run(event("bucket/in/a"))

        fails(done, service, 111, "configuration", "minio.deflaut", "not configured", "configured: minio.default")
        assert done.stdout == b""


class TestScript:
    """What can be wrong with the script."""

    def test_a_missing_one_is_a_fault_of_the_configuration(self, service):
        config, script = service.write()
        script.unlink()

        done = service.command(["run", "-c", str(config)], b"x", service.environment)

        fails(done, service, 111, "configuration", "no script", "$SCRIPT", str(script))

    def test_one_that_is_not_base64_is_refused(self, service):
        fails(service.job(b"x", SCRIPT="#!/bin/sh"), service, 111, "configuration", "$SCRIPT is not base64")

    def test_an_interpreter_that_is_not_there_is_left_to_the_shell_with_a_warning(self, service):
        service.script = "#!/opt/nowhere/bash\necho ran\n"

        done = service.job(b"x")

        succeeds(done, service)
        assert done.stdout == b"ran\n"
        assert any("/opt/nowhere/bash" in line for line in done.warnings)

    def test_a_program_that_the_script_calls_and_that_is_not_there_is_its_own_127(self, service):
        service.script = "/opt/nowhere/program"

        done = service.job(b"x")

        fails(done, service, 127, "script", "exited with status 127")

    def test_a_program_that_is_not_executable_is_said_so(self, service):
        config, _ = service.write()
        program = service.home / "program"
        program.write_bytes(Path("/bin/true").read_bytes())
        program.chmod(0o644)

        done = service.command(["run", "-c", str(config), "-s", str(program)], b"x", service.environment)

        fails(done, service, 126, "not_executable", str(program), "chmod +x")

    @pytest.mark.parametrize("status", [1, 3, 111, 255])
    def test_its_status_is_ours(self, service, status):
        service.script = f"exit {status}"

        fails(service.job(b"x"), service, status, "script", f"status {status}")

    @pytest.mark.parametrize(("signal", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM")])
    def test_a_signal_that_ends_it_is_128_and_its_number(self, service, signal, name):
        service.script = f"kill -{signal} $$"

        done = service.job(b"x")

        fails(done, service, 128 + signal, "script", name)
        assert done.result["signal"] == signal

    def test_what_it_leaves_running_is_not_waited_for(self, service):
        service.script = "sleep 600 &\necho $!"

        done = service.job(b"x")

        succeeds(done, service)
        # It was told to die; that it has died a stranger can only see a little later.
        deadline = time.monotonic() + 10
        while alive(int(done.stdout)):
            assert time.monotonic() < deadline, "what the script left running still runs"
            time.sleep(0.01)


class TestPlugins:
    """Exit code 113 where a provider needs the plugin; nothing at all where none does."""

    def test_one_that_is_not_installed_is_named_with_what_to_do(self, service):
        service.provider("minoi.default", endpoint="x")
        service.outputs("minoi.default bucket/out")

        done = service.job(b"x")

        fails(done, service, 113, "plugin", "'minoi'", 'did you mean "minio"?', "pip install faas-supervisor-minio")

    def test_one_that_is_not_needed_may_be_missing(self, service):
        service.provider("rucio.default", rse="x")
        service.provider("file.default", root=str(service.storage))

        succeeds(service.job(b"x"), service)

    def test_one_that_is_disabled_says_by_what(self, service):
        service.provider("file.default", root=str(service.storage))
        service.outputs("file.default out")

        done = service.job(b"x", FAAS_SUPERVISOR_DISABLED_PLUGINS="file")

        fails(done, service, 113, "plugin", "'file'", "disabled", "FAAS_SUPERVISOR_DISABLED_PLUGINS")

    def test_one_that_raises_at_import_is_named_with_its_distribution(self, service, tmp_path):
        service.provider("broken.default")
        service.outputs("broken.default out")
        path = install(tmp_path, "broken", "raise RuntimeError('no licence file')")

        done = service.job(b"x", PYTHONPATH=path)

        fails(done, service, 113, "plugin", "'broken'", "faas-supervisor-broken 1.2.3", "RuntimeError: no licence file")

    def test_a_callers_header_is_no_proxy_for_it(self, service, tmp_path):
        code = """\
from urllib.request import getproxies
raise RuntimeError(f"proxies: {getproxies()}")
"""
        service.provider("broken.default")
        service.outputs("broken.default out")

        done = service.job(b"x", PYTHONPATH=install(tmp_path, "broken", code), Http_Proxy="http://elsewhere:80")

        fails(done, service, 113, "plugin", "proxies: {}")

    def test_one_that_raises_at_import_does_no_harm_where_it_is_not_needed(self, service, tmp_path):
        path = install(tmp_path, "broken", "raise RuntimeError('no licence file')")

        succeeds(service.job(b'{"some": "JSON"}', PYTHONPATH=path), service)

    def test_one_that_raises_at_import_is_an_error_when_plugins_are_strict(self, service, tmp_path):
        path = install(tmp_path, "broken", "raise RuntimeError('no licence file')")

        done = service.job(b'{"some": "JSON"}', PYTHONPATH=path, FAAS_SUPERVISOR_STRICT_PLUGINS="1")

        fails(done, service, 113, "plugin", "faas-supervisor-broken")

    def test_one_that_ends_the_process_at_import_only_fails_itself(self, service, tmp_path):
        service.provider("broken.default")
        service.outputs("broken.default out")
        path = install(tmp_path, "broken", "import sys; sys.exit(0)")

        done = service.job(b"x", PYTHONPATH=path)

        fails(done, service, 113, "plugin", "faas-supervisor-broken")

    def test_one_of_another_version_of_the_interface_is_refused(self, service, tmp_path):
        service.provider("future.default")
        service.outputs("future.default out")
        path = install(tmp_path, "future", FUTURE)

        done = service.job(b"x", PYTHONPATH=path)

        fails(done, service, 113, "plugin", "faas-supervisor-future", "version 99", "this is 1")


FUTURE = """
from dataclasses import dataclass
from faas_supervisor import hookimpl
from faas_supervisor.storage import ProviderSpec

@dataclass(frozen=True)
class Settings:
    pass

@hookimpl
def faas_supervisor_storage_providers():
    return [ProviderSpec("future", Settings, None, api_version=99)]
"""


class TestLocalDisk:
    """Exit code 118, before a byte moves where that can be known."""

    def test_an_event_of_more_bytes_than_are_free_stops_before_the_download(self, service):
        service.put("bucket/in/a")

        done = service.run(event("bucket/in/a", size=10**18))

        fails(
            done,
            service,
            118,
            "no_space",
            "bucket/in/a",
            f"{10**18} bytes are needed",
            str(service.workspace),
            "TMPDIR",
        )
        assert done.result["inputs"] == []

    @pytest.fixture
    def tiny(self, service: Service):
        """A file system of 1 MiB for the workspace."""
        mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(service.workspace)]
        if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode != 0:
            pytest.skip("only root can mount a small file system")
        yield service
        subprocess.run(["umount", "-l", str(service.workspace)], check=True)

    def test_an_object_of_unknown_size_stops_when_the_store_tells_it(self, tiny):
        tiny.put("bucket/in/a", b"x" * 2**21)

        done = tiny.run(event("bucket/in/a"))

        fails(done, tiny, 118, "no_space", "bucket/in/a", f"{2**21} bytes are needed")

    def test_a_payload_that_does_not_fit_is_said_so(self, tiny):
        fails(tiny.job(b"x" * 2**21), tiny, 118, "no_space", f"{2**21} bytes are needed")

    def test_output_that_cannot_be_kept_does_not_stop_the_script(self, tiny):
        tiny.script = f"head -c {2**22} /dev/zero && echo done > {tiny.home}/done"

        done = tiny.job(b"x")

        fails(done, tiny, 118, "no_space", "output can't be kept")
        assert (tiny.home / "done").read_text() == "done\n"

    def test_an_answer_that_cannot_be_packed_is_said_so(self, tiny):
        tiny.script = (
            'head -c 400000 /dev/urandom > "$TMP_OUTPUT_DIR/a"; head -c 400000 /dev/urandom > "$TMP_OUTPUT_DIR/b"'
        )

        fails(tiny.job(b"x"), tiny, 118, "no_space", "answer")

    def test_no_folder_for_the_workspace_is_another_folder_with_a_warning(self, service):
        done = service.job(b"x", TMPDIR=str(service.home / "missing"))

        succeeds(done, service)
        assert any("could not write to" in line and "missing" in line for line in done.warnings)


class TestRemoteFolder:
    """A store that is full or shut, without a server."""

    def test_a_full_store_is_no_space_and_holds_no_part(self, service, tmp_path):
        store = tmp_path / "store"
        store.mkdir()
        mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(store)]
        if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode != 0:
            pytest.skip("only root can mount a small file system")
        try:
            service.provider("file.full", root=str(store))
            service.outputs("file.full out")
            service.script = 'head -c 3000000 /dev/zero > "$TMP_OUTPUT_DIR/large"'

            done = service.job(b"x")

            fails(done, service, 118, "no_space", "file.full out/large", "full")
            assert [file for file in store.rglob("*") if file.is_file()] == []
        finally:
            subprocess.run(["umount", "-l", str(store)], check=True)


class TestTelling:
    """The ways in which a failure is told."""

    def test_the_termination_message_never_has_more_than_4096_bytes_and_keeps_the_reason(self, service):
        service.outputs("minio.default bucket/out")
        service.put("bucket/in/a")
        service.script = 'for i in $(seq 200); do touch "$TMP_OUTPUT_DIR/file-$i"; done; exit 3'
        service.config["upload_on"] = "always"

        done = service.run(event("bucket/in/a"))

        assert len(done.termination) <= 4096
        assert json.loads(done.termination)["reason"] == "the script exited with status 3"

    def test_a_termination_log_that_cannot_be_written_is_only_a_warning(self, service):
        done = service.job(b"x", FAAS_SUPERVISOR_TERMINATION_LOG="/proc/nowhere")

        assert done.code == 0
        assert any("/proc/nowhere" in line for line in done.warnings)

    def test_debug_shows_where_a_failure_came_from(self, service):
        done = service.run(event("bucket/in/missing"), LOG_LEVEL="DEBUG")

        assert done.code == 115
        assert "Traceback" in done.stderr

    def test_json_lines_have_the_same_failure(self, service):
        done = service.run(event("bucket/in/missing"), "--log-format", "json")

        lines = [json.loads(line) for line in done.stderr.splitlines()]
        [failure] = [line for line in lines if line["event"] == "failure"]
        assert failure["failure"] == "input_missing"
        assert "bucket/in/missing" in failure["message"]
        assert done.result["failure"] == "input_missing"

    def test_a_reader_of_the_log_who_leaves_ends_nothing(self, service):
        service.script = f"echo ran >> {service.home}/ran; seq 100000"
        process = service.start([], service.job_environment())
        process.stderr.close()
        process.stdout.close()
        process.stdin.write(b"x")
        process.stdin.close()

        with process:
            assert process.wait(60) == 0
        assert (service.home / "ran").read_text() == "ran\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "--evnet", "x"], "--event"),
        (["run", "--config", "/nowhere"], "/nowhere"),
        (["event", "sample", "nobody"], "nobody"),
        (["completion", "ksh"], "ksh"),
        (["listen", "minio.default"], "PATH"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_the_command_line_does_not_know_is_exit_code_2(service, arguments, text):
    done = service.cli(*arguments)

    assert (done.code, done.stdout) == (2, b"")
    assert text in done.stderr
    assert "Usage: supervisor" in done.stderr
    assert "Traceback" not in done.stderr


def test_streams_that_came_closed_end_nothing(service):
    line = "supervisor <&- 2>&-; code=$?; echo; echo $code"

    done = subprocess.run(
        ["sh", "-c", line], env=service.job_environment(EVENT="x"), capture_output=True, timeout=60, check=True
    )

    assert done.stdout.split() == [b"eA==", b"0"]

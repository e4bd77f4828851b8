"""The commands that look at things: help, events, configuration, plugins, completion."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from faas_supervisor import __version__
from faas_supervisor.events import SAMPLES
from tests.e2e.support import BIN, encoded, event, install

COMMANDS = ["run", "event", "config", "check", "plugins", "listen", "install", "serve", "completion"]
NESTED = [["event", "decode"], ["event", "sample"], ["config", "check"], ["config", "show"]]
SECRET = "sw0rdfish/+verysecret"


class TestHelp:
    @pytest.mark.parametrize("option", ["--help", "-h"])
    @pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS), *NESTED], ids=" ".join)
    def test_every_command_has_one(self, service, arguments, option):
        done = service.cli(*arguments, option)

        assert done.code == 0, done.stderr
        assert f"Usage: supervisor {' '.join(arguments)}".rstrip() in done.stdout.decode()

    def test_that_of_the_program_lists_the_commands(self, service):
        text = service.cli("--help").stdout.decode()

        assert [line.split()[0] for line in text.partition("Commands:\n")[2].splitlines() if line[2:3].strip()][
            : len(COMMANDS)
        ] == COMMANDS

    def test_the_version_is_shown_with_those_of_the_plugins(self, service):
        lines = service.cli("--version").stdout.decode().splitlines()

        assert lines[0] == f"faas-supervisor {__version__}"
        assert f"file: faas-supervisor {__version__}" in lines
        assert any(line.startswith("minio: faas-supervisor-minio ") for line in lines)

    @pytest.mark.parametrize("group", ["event", "config"])
    def test_a_group_without_a_command_is_a_usage_error(self, service, group):
        assert service.cli(group).code == 2


class TestEvent:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_every_sample_decodes_to_itself(self, service, name):
        sample = service.cli("event", "sample", name)

        done = service.cli("event", "decode", event=sample.stdout)

        assert done.code == 0, done.stderr
        decoded = json.loads(done.stdout)
        assert decoded["type"] == name or name in decoded.get("envelopes", [])
        assert decoded["records"]
        assert decoded["skipped"] is None

    def test_a_record_has_these_keys_and_values(self, service):
        service.home.joinpath("event.json").write_bytes(
            event("bucket/in/a b+ü.txt", size=3, eTag="abc", versionId="v1")
        )

        done = service.cli("event", "decode", "event.json")

        assert json.loads(done.stdout) == {
            "type": "minio",
            "records": [
                {
                    "provider": "minio",
                    "path": "bucket/in/a b+ü.txt",
                    "name": "a b+ü.txt",
                    "size": 3,
                    "etag": "abc",
                    "version": "v1",
                    "time": "2026-01-31T12:00:00.000Z",
                }
            ],
            "skipped": None,
        }

    def test_a_skipped_one_says_why(self, service):
        done = service.cli("event", "decode", event=event("bucket/in/", size=0))

        decoded = json.loads(done.stdout)
        assert (done.code, decoded["records"]) == (0, [])
        assert "folder marker" in decoded["skipped"]

    def test_a_broken_one_is_exit_code_112(self, service):
        done = service.cli("event", "decode", event=event("bucket/x", key=""))

        assert (done.code, done.stdout) == (112, b"")
        assert done.stderr.startswith("Error: ")
        assert "s3.object.key" in done.stderr


class TestConfig:
    @pytest.fixture
    def file(self, service):
        service.provider("minio.default", endpoint="http://minio:9000", access_key="AKIAEXAMPLE0001", secret_key=SECRET)
        service.outputs("minio.default bucket/out")
        return str(service.write()[0])

    def test_check_says_that_a_good_one_is_good(self, service, file):
        done = service.cli("config", "check", file)

        assert (done.code, done.stderr) == (0, "")
        assert b"no faults" in done.stdout

    def test_check_tells_all_faults_at_once_with_their_places(self, service):
        file = service.home / "bad.yaml"
        file.write_text(
            "log_level: LOUD\noutput:\n- {storage_provider: minio, pth: out}\n"
            "storage_providers:\n  minio:\n    default: {endpont: x}\n  minoi:\n    default: {}\n"
        )

        done = service.cli("config", "check", str(file))

        assert done.code == 111
        for text in (
            ":1:12: log_level",
            ":3:29: output[0].pth",
            'Did you mean "path"?',
            ":6:15: ",
            ":8:5: ",
            'did you mean "minio"?',
        ):
            assert text in done.stderr, done.stderr
        assert all(line.startswith(str(file)) or str(service.secrets) in line for line in done.stderr.splitlines())

    def test_check_tells_missing_credentials(self, service):
        done = service.cli("config", "check", FUNCTION_CONFIG=encoded("storage_providers: {minio: {default: {}}}"))

        assert done.code == 111
        assert "secret_key is not set: mount" in done.stderr

    def test_show_masks_secrets_and_tells_where_values_come_from(self, service, file):
        service.mount("minio.default", accessKey="AKIAMOUNTED00001")

        done = service.cli("config", "show", file, LOG_LEVEL="DEBUG", FAAS_SUPERVISOR_UPLOAD_ON="always")

        text = done.stdout.decode()
        assert done.code == 0, done.stderr
        assert SECRET not in text
        assert 'secret_key: "***"' in text
        shown = yaml.safe_load(text)
        assert (shown["log_level"], shown["upload_on"]) == ("DEBUG", "always")
        assert shown["storage_providers"]["minio"]["default"]["access_key"] == "AKIAMOUNTED00001"
        assert f"{service.secrets}/minio.default/accessKey" in text
        assert "$LOG_LEVEL" in text

    def test_show_of_a_bad_one_tells_the_faults(self, service):
        done = service.cli("config", "show", FUNCTION_CONFIG=encoded("log_level: LOUD"))

        assert (done.code, done.stdout) == (111, b"")
        assert "$FUNCTION_CONFIG:1:12: log_level" in done.stderr

    @pytest.mark.parametrize("command", ["check", "show"])
    def test_none_at_all_says_where_it_could_be(self, service, command):
        done = service.cli("config", command)

        assert done.code == 111
        assert "no configuration" in done.stderr
        assert "FUNCTION_CONFIG" in done.stderr


class TestPlugins:
    def test_they_are_listed_with_their_settings(self, service):
        done = service.cli("plugins")

        text = done.stdout.decode()
        assert done.code == 0
        assert f"file       faas-supervisor {__version__}: ok" in text
        assert "secret_key" in text

    def test_they_are_listed_as_json(self, service):
        listed = {plugin["name"]: plugin for plugin in json.loads(service.cli("plugins", "--json").stdout)}

        assert {"file", "minio", "s3"} <= listed.keys()
        minio = listed["minio"]
        assert (minio["distribution"], minio["status"], minio["api_version"]) == ("faas-supervisor-minio", "ok", 1)
        assert {"name", "help", "env"} <= minio["settings"][0].keys()

    def test_a_broken_and_a_disabled_one_say_so(self, service, tmp_path):
        path = install(tmp_path, "broken", "raise RuntimeError('no licence file')")

        done = service.cli("plugins", "--json", PYTHONPATH=path, FAAS_SUPERVISOR_DISABLED_PLUGINS="s3")

        listed = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}
        assert done.code == 0
        assert "RuntimeError: no licence file" in listed["broken"]["status"]
        assert (listed["broken"]["distribution"], listed["broken"]["version"]) == ("faas-supervisor-broken", "1.2.3")
        assert listed["s3"]["status"] == "disabled"
        assert listed["minio"]["status"] == "ok"


class TestCompletion:
    def test_the_script_of_bash_is_printed_and_is_one(self, service):
        done = service.cli("completion", "bash")

        assert "_SUPERVISOR_COMPLETE=bash_complete" in done.stdout.decode()
        subprocess.run(["bash", "-n"], input=done.stdout, check=True)

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_that_of_other_shells_is_printed(self, service, shell):
        assert f"{shell}_complete" in service.cli("completion", shell).stdout.decode()

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("supervisor ", set(COMMANDS)),
            ("supervisor c", {"config", "check", "completion"}),
            ("supervisor event ", {"decode", "sample"}),
            ("supervisor event sample ", set(SAMPLES)),
            ("supervisor run --d", {"--dry-run"}),
        ],
    )
    def test_words_are_completed(self, service, words, found):
        environment = {
            **service.environment,
            "_SUPERVISOR_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        # As the shell's function does: without arguments, and not from a terminal.
        done = subprocess.run(
            [BIN / "supervisor"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )

        assert {entry.partition(",")[2] for entry in done.stdout.decode().splitlines()} == found

    def test_a_real_shell_completes(self, service):
        script = """
        eval "$(supervisor completion bash)"
        COMP_WORDS=(supervisor conf) COMP_CWORD=1
        _supervisor_completion supervisor
        echo "${COMPREPLY[@]}"
        """
        done = subprocess.run(
            ["bash", "-c", script],
            env=service.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=60,
        )

        assert done.stdout.split() == [b"config"]

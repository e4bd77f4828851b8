"""What the script sees of the environment: its image's own, the event's, nothing of ours."""

from __future__ import annotations

import subprocess

import pytest

from faas_supervisor.errors import EventError
from faas_supervisor.events import Event, Record
from faas_supervisor.planning import Item, Run
from faas_supervisor.script import script_environment
from faas_supervisor.workspace import Folders

STORED = Record("b.txt", provider="minio.default", path="bucket/a/b.txt", key="a/b.txt", time="2026-01-01T00:00:00Z")
PAYLOAD = Record("event-file", data=b"x")


@pytest.fixture
def environment(tmp_path):
    folders = Folders(tmp_path / "in", tmp_path / "out", tmp_path / "private")
    folders.private.mkdir()

    def make(outer=None, *, records=(STORED,), files=None, variables=None, secrets=(), together=False, **event):
        files = [folders.input / record.name for record in records] if files is None else files
        return script_environment(
            outer or {},
            variables=variables or {},
            secrets=secrets,
            event=Event("minio", tuple(records), **{"raw": b'{"a": 1}', **event}),
            run=Run(tuple(Item(record, record.name, None) for record in records), (), together=together),
            files=files,
            folders=folders,
        )

    make.folders = folders
    return make


def can_be_run_with(environment):
    subprocess.run(["/bin/true"], env=environment, check=True)


class TestWhatIsAdded:
    def test_a_stored_file_is_described(self, environment):
        folders = environment.folders
        assert environment() == {
            "TMP_INPUT_DIR": str(folders.input),
            "TMP_OUTPUT_DIR": str(folders.output),
            "RESPONSE_META": str(folders.output.parent / "response.json"),
            "INPUT_FILE_PATH": str(folders.input / "b.txt"),
            "STORAGE_OBJECT_KEY": "a/b.txt",
            "EVENT_TIME": "2026-01-01T00:00:00Z",
            "EVENT": '{"a": 1}',
        }

    def test_a_payload_has_only_its_file_and_folders(self, environment):
        assert set(environment(records=[PAYLOAD])) == {
            "TMP_INPUT_DIR",
            "TMP_OUTPUT_DIR",
            "INPUT_FILE_PATH",
            "RESPONSE_META",
        }

    def test_a_payloads_script_keeps_the_event_of_its_container(self, environment):
        assert environment({"EVENT": "raw"}, records=[PAYLOAD])["EVENT"] == "raw"

    def test_where_nothing_is_downloaded_no_file_is_named(self, environment):
        found = environment({"INPUT_FILE_PATH": "/stale"}, files=[])
        assert "INPUT_FILE_PATH" not in found
        assert found["STORAGE_OBJECT_KEY"] == "a/b.txt"

    def test_what_we_add_wins_over_the_containers(self, environment):
        found = environment(
            dict.fromkeys(["EVENT", "STORAGE_OBJECT_KEY", "TMP_OUTPUT_DIR", "INPUT_FILE_PATH"], "stale")
        )
        assert "stale" not in found.values()

    def test_a_time_that_the_event_does_not_tell_is_empty(self, environment):
        assert environment({"EVENT_TIME": "stale"}, records=[Record("b", provider="m.d", path="b")])["EVENT_TIME"] == ""

    def test_the_users_variables_win_over_the_containers_and_the_events_over_both(self, environment):
        record = Record("b", provider="m.d", path="b", variables={"C": "3"})
        found = environment({"A": "1", "B": "1", "C": "1"}, variables={"B": "2", "C": "2"}, records=[record])
        assert (found["A"], found["B"], found["C"]) == ("1", "2", "3")

    def test_an_event_that_is_not_utf8_arrives_byte_for_byte(self, environment):
        found = environment(raw=b"a\xffb")
        shown = subprocess.run(["/bin/sh", "-c", 'printf %s "$EVENT"'], env=found, check=True, capture_output=True)
        assert shown.stdout == b"a\xffb"

    def test_several_files_are_listed(self, environment):
        records = [Record(name, provider="m.d", path=f"b/{name}") for name in ("one", "two three")]
        found = environment(records=records, together=True)
        folder = environment.folders.input
        assert found["INPUT_FILE_PATH"] == str(folder)
        with open(found["INPUT_FILES"], encoding="utf-8") as stream:  # noqa: PTH123
            assert stream.read().splitlines() == [str(folder / "one"), str(folder / "two three")]
        assert "STORAGE_OBJECT_KEY" not in found

    def test_a_name_that_would_break_the_list_is_told(self, environment):
        records = [Record(name, provider="m.d", path=f"b/{name}") for name in ("one", "two\nthree")]
        with pytest.raises(EventError, match="line break"):
            environment(records=records, together=True)


class TestWhatIsRemoved:
    @pytest.mark.parametrize(
        "name",
        [
            "FUNCTION_CONFIG",
            "FDL",
            "SCRIPT",
            "FAAS_SUPERVISOR_SECRETS_DIR",
            "FAAS_SUPERVISOR_PLUGINS",
            "_PYI_ARCHIVE_FILE",
        ],
    )
    def test_what_is_ours_is_gone(self, environment, name):
        assert name not in environment({name: "value"})

    def test_variables_that_credentials_came_from_are_gone(self, environment):
        found = environment({"AWS_SECRET_ACCESS_KEY": "s", "AWS_PAGER": "cat"}, secrets={"AWS_SECRET_ACCESS_KEY"})
        assert "AWS_SECRET_ACCESS_KEY" not in found
        assert found["AWS_PAGER"] == "cat"

    @pytest.mark.parametrize(
        "name", ["PATH", "HOME", "OSCAR_SERVICE_TOKEN", "LOG_LEVEL", "FDL_X", "MY_SCRIPT", "LD_LIBRARY_PATH"]
    )
    def test_what_is_the_users_stays(self, environment, name):
        assert environment({name: "value"})[name] == "value"


class TestWhatCanNotBe:
    def test_an_event_that_is_too_large_is_left_out_with_a_warning(self, environment, caplog):
        found = environment({"EVENT": "stale"}, raw=b"x" * 200_000)
        assert "EVENT" not in found
        assert "EVENT is not set for the script: 200007 bytes" in caplog.text
        can_be_run_with(found)

    def test_the_largest_that_linux_takes_is_taken(self, environment, caplog):
        found = environment(raw=b"x" * (131_072 - len("EVENT=") - 1))
        assert "EVENT" in found
        can_be_run_with(found)
        assert "EVENT" not in environment(raw=b"x" * (131_072 - len("EVENT=")))

    @pytest.mark.parametrize("raw", [b"a\0b", b"\0"])
    def test_an_event_with_a_nul_is_left_out_with_a_warning(self, environment, caplog, raw):
        found = environment(raw=raw)
        assert "EVENT" not in found
        assert "NUL" in caplog.text
        can_be_run_with(found)

    @pytest.mark.parametrize("field", ["key", "time"])
    @pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 200_000], ids=["nul", "surrogate", "long"])
    def test_whatever_a_sender_writes_the_script_can_be_started(self, environment, field, value):
        """JSON can say `\\ud800`, which no environment can hold."""
        record = Record("b", provider="m.d", path="bucket/b", **{field: value})
        can_be_run_with(environment(records=[record]))

    @pytest.mark.parametrize(
        ("name", "value"),
        [("A", "x\0y"), ("A\0B", "x"), ("A=B", "x"), ("", "x"), ("A", "\ud800"), ("\ud800", "x")],
        ids=ascii,
    )
    @pytest.mark.parametrize("where", ["configuration", "event", "record"])
    def test_whatever_variables_are_asked_for_the_script_can_be_started(self, environment, caplog, where, name, value):
        asked = {name: value, "GOOD": "yes"}
        if where == "configuration":
            found = environment(variables=asked)
        elif where == "event":
            found = script_environment_with_event_variables(environment, asked)
        else:
            found = environment(records=[Record("b", provider="m.d", path="b", variables=asked)])
        assert found["GOOD"] == "yes"
        can_be_run_with(found)
        assert "is not set for the script" in caplog.text


def script_environment_with_event_variables(environment, variables):
    return script_environment(
        {},
        variables={},
        secrets=(),
        event=Event("minio", (STORED,), raw=b"", variables=variables),
        run=Run((Item(STORED, STORED.name, None),), ()),
        files=[],
        folders=environment.folders,
    )

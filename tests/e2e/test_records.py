"""All records of an event in one run, and records from where the function does not look."""

from __future__ import annotations

import json

import pytest

from tests.e2e.support import delegated, fails, notification, record, succeeds


class TestTogether:
    SCRIPT = """\
    test "$INPUT_FILE_PATH" = "$TMP_INPUT_DIR" || exit 9
    test -z "${STORAGE_OBJECT_KEY+set}" || exit 8
    while IFS= read -r file; do
        echo "${file#"$TMP_INPUT_DIR"/}: $(cat "$file")"
    done < "$INPUT_FILES" > "$TMP_OUTPUT_DIR/all"
    """

    @pytest.fixture
    def service(self, service):
        service.outputs("minio.default bucket/out")
        service.script = self.SCRIPT
        service.config["records"] = "together"
        for path in ("bucket/in/x/a", "bucket/in/y/a", "bucket/in/b"):
            service.put(path, f"content of {path}".encode())
        return service

    def test_the_script_runs_once_and_gets_a_list(self, service):
        done = service.run(notification(record("bucket/in/x/a"), record("bucket/in/b")))

        succeeds(done, service)
        assert service.stored()["bucket/out/all"].decode().splitlines() == [
            "a: content of bucket/in/x/a",
            "b: content of bucket/in/b",
        ]
        assert {entry["path"] for entry in done.result["inputs"]} == {"bucket/in/x/a", "bucket/in/b"}

    def test_files_of_one_name_do_not_overwrite_each_other(self, service):
        done = service.run(notification(record("bucket/in/x/a"), record("bucket/in/y/a"), record("bucket/in/b")))

        succeeds(done, service)
        assert service.stored()["bucket/out/all"].decode().splitlines() == [
            "1/a: content of bucket/in/x/a",
            "2/a: content of bucket/in/y/a",
            "3/b: content of bucket/in/b",
        ]

    def test_a_file_that_is_missing_keeps_the_script_from_running(self, service):
        done = service.run(notification(record("bucket/in/b"), record("bucket/in/none")))

        fails(done, service, 115, "input_missing", "bucket/in/none")
        assert "bucket/out/all" not in service.stored()

    def test_a_name_that_would_break_the_list_is_refused(self, service):
        service.put("bucket/in/line\nbreak", b"x")

        done = service.run(notification(record("bucket/in/b"), record("bucket/in/line\nbreak")))

        fails(done, service, 112, "event", "line break", "records: each")


class TestOutsideTheInputs:
    @pytest.fixture
    def service(self, service):
        service.config["input"] = [{"storage_provider": "minio.default", "path": "bucket/in"}]
        service.put("bucket/else/a")
        service.put("bucket/in/a")
        return service

    def test_it_is_an_error_that_names_both(self, service):
        done = service.run(notification(record("bucket/else/a")))

        fails(done, service, 112, "event", "bucket/else/a", "bucket/in", "input_check: warn")

    def test_it_can_be_a_warning(self, service):
        service.config["input_check"] = "warn"

        done = service.run(notification(record("bucket/else/a")))

        succeeds(done, service)
        assert any("bucket/else/a lies outside" in line for line in done.warnings)

    def test_a_folder_whose_name_only_begins_alike_is_outside(self, service):
        done = service.run(notification(record("bucket/input/a")))

        fails(done, service, 112, "event", "bucket/input/a")

    def test_an_input_of_another_provider_says_nothing(self, service):
        service.provider("minio.other", access_key="key", secret_key="secret-of-other")
        service.put("bucket/else/a", provider="minio.other")

        succeeds(service.run(delegated(notification(record("bucket/else/a")), "minio.other")), service)


class TestDcache:
    EVENT = json.dumps(
        {
            "event": {"name": "f.jpg", "mask": ["IN_CLOSE_WRITE"]},
            "subscription": "https://dcache.example.org:3880/api/v1/events/channels/x/subscriptions/inotify/y",
        }
    ).encode()

    def test_the_folder_is_that_of_the_input(self, service):
        service.config["input"] = [{"storage_provider": "webdav.dcache", "path": "disk/in"}]
        service.provider("webdav.dcache", hostname="dcache.example.org", login="user", password="secret-of-dcache")
        service.put("disk/in/f.jpg", b"image", provider="webdav.dcache")
        service.script = 'cat "$INPUT_FILE_PATH"'

        done = service.run(self.EVENT)

        succeeds(done, service)
        assert done.stdout == b"image"

    def test_no_input_or_several_leave_it_open(self, service):
        fails(service.run(self.EVENT), service, 111, "configuration", "f.jpg", "exactly one input")

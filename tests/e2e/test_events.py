"""What becomes of each kind of event: runs, skipped ones, payloads and their answers, odd ones."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile

import pytest

from tests.e2e.support import delegated, encoded, event, fails, notification, record, succeeds

BINARY = bytes(range(256)) * 700


class TestSeveralRecords:
    """One event, N records: N runs, each by itself."""

    SCRIPT = """\
    case "$INPUT_FILE_PATH" in *b.txt) exit 4;; *c.txt) exit 5;; esac
    test "$(ls "$TMP_INPUT_DIR" | wc -l)" = 1 && test -z "$(ls "$TMP_OUTPUT_DIR")" || exit 9
    cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"
    echo "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH").key"
    echo "$TMP_OUTPUT_DIR"
    """

    @pytest.fixture
    def service(self, service):
        service.outputs("minio.default bucket/out")
        service.script = self.SCRIPT
        for name in "abcd":
            service.put(f"bucket/in/{name}.txt", name.encode())
        return service

    def test_each_has_its_own_input_and_output(self, service):
        done = service.run(notification(record("bucket/in/a.txt"), record("bucket/in/d.txt")))

        succeeds(done, service)
        assert len(set(done.stdout.splitlines())) == 2
        assert {path: data for path, data in service.stored().items() if "/out/" in path} == {
            "bucket/out/a.txt": b"a",
            "bucket/out/a.txt.key": b"in/a.txt\n",
            "bucket/out/d.txt": b"d",
            "bucket/out/d.txt.key": b"in/d.txt\n",
        }
        assert [run["status"] for run in done.result["runs"]] == ["succeeded", "succeeded"]

    def test_one_that_fails_does_not_stop_the_others(self, service):
        names = ("a", "b", "missing", "c", "d")

        done = service.run(notification(*(record(f"bucket/in/{name}.txt") for name in names)))

        assert (done.code, done.result["failure"]) == (4, "script")
        assert [run["exit_code"] for run in done.result["runs"]] == [0, 4, 115, 5, 0]
        assert "3 of 5 records failed; the first, bucket/in/b.txt" in done.result["reason"]
        assert [path for path in sorted(service.stored()) if "/out/" in path] == [
            "bucket/out/a.txt",
            "bucket/out/a.txt.key",
            "bucket/out/d.txt",
            "bucket/out/d.txt.key",
        ]
        assert list(service.workspace.iterdir()) == []

    def test_the_exit_code_is_that_of_the_first_failure_also_when_the_script_did_not_run(self, service):
        done = service.run(notification(*(record(f"bucket/in/{name}.txt") for name in ("a", "missing", "b"))))

        assert (done.code, done.result["failure"]) == (115, "input_missing")

    def test_a_folder_marker_among_them_is_left_out(self, service):
        done = service.run(notification(record("bucket/in/", size=0), record("bucket/in/a.txt")))

        succeeds(done, service)
        assert len(done.stdout.splitlines()) == 1
        assert any("folder marker" in line for line in done.said("INFO"))


class TestNothingToDo:
    """Events that are no file: exit code 0, one clear line, and the script does not run."""

    @pytest.mark.parametrize(
        ("sent", "reason"),
        [
            pytest.param(event("bucket/in/", size=0), '"bucket/in/" is a folder marker, not a file', id="folder"),
            pytest.param(
                delegated(event("bucket/in/", size=0), "default"), "folder marker", id="folder in a delegation"
            ),
            pytest.param(
                json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}).encode(),
                "test event",
                id="S3 test event",
            ),
        ],
    )
    def test_it_is_skipped(self, service, sent, reason):
        service.script = "echo ran"

        done = service.job(sent)

        assert (done.code, done.stdout) == (0, b"")
        assert (done.result["status"], done.result["failure"]) == ("skipped", None)
        assert reason in done.result["reason"]
        assert done.said("INFO") == [done.result["reason"]]
        assert len(done.stderr.splitlines()) == 2
        assert json.loads(done.termination)["status"] == "skipped"


class TestPayload:
    """An event that is nobody's notification is the script's input."""

    @pytest.mark.parametrize(
        ("sent", "given"),
        [
            pytest.param(b'{"a":  [1, 2.50]}\n', b'{"a":  [1, 2.50]}\n', id="JSON"),
            pytest.param(b"plain text, caf\xc3\xa9\n", b"plain text, caf\xc3\xa9\n", id="text"),
            pytest.param(base64.b64encode(BINARY), BINARY, id="base64"),
            pytest.param(base64.b64encode(BINARY) + b"\n", BINARY, id="base64 with a newline"),
            pytest.param(base64.encodebytes(BINARY), BINARY, id="base64 in lines"),
            pytest.param(BINARY, BINARY, id="binary"),
            pytest.param(b'"abc"', b'"abc"', id="JSON string"),
            pytest.param(b"[1,2]", b"[1,2]", id="JSON list"),
            pytest.param(b"5", b"5", id="JSON number"),
            pytest.param(b"null", b"null", id="null"),
            pytest.param(b'{"event":"concert"}', b'{"event":"concert"}', id="no delegation"),
            pytest.param(b'{"a":1}\n{"a":2}\n', b'{"a":1}\n{"a":2}\n', id="JSON lines"),
            pytest.param(b"test", b"test", id="word"),
            pytest.param(b"", b"", id="nothing"),
            pytest.param(b"\xff\xfe\x00", b"\xff\xfe\x00", id="not UTF-8"),
        ],
    )
    def test_it_is_the_input_file(self, service, sent, given):
        service.script = 'cat "$INPUT_FILE_PATH"'

        done = service.job(sent)

        succeeds(done, service)
        assert done.stdout == given

    def test_its_files_go_to_the_outputs_as_well(self, service):
        service.outputs("minio.default bucket/out")

        done = service.run(b"text")

        succeeds(done, service)
        assert list(service.stored().values()) == [b"text"]
        assert base64.b64decode(done.stdout) == b"text"


class TestAnswer:
    """What the caller of a function gets back on standard output, and nothing else with it."""

    @pytest.mark.parametrize("level", ["DEBUG", "INFO", "CRITICAL"])
    def test_one_file_comes_in_base64(self, service, level):
        service.script = 'echo said; echo complained >&2; cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/out.bin"'

        done = service.job(base64.b64encode(BINARY), LOG_LEVEL=level)

        assert (done.code, base64.b64decode(done.stdout, validate=True)) == (0, BINARY)
        assert "said\n" in done.stderr

    def test_several_files_come_as_a_zip(self, service):
        service.script = """\
        mkdir -p "$TMP_OUTPUT_DIR/sub folder"
        cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/sub folder/naïve.bin"
        : > "$TMP_OUTPUT_DIR/empty"
        """

        done = service.job(base64.b64encode(BINARY))

        succeeds(done, service)
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(done.stdout, validate=True))) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == {
                "sub folder/naïve.bin": BINARY,
                "empty": b"",
            }

    @pytest.mark.parametrize("level", ["DEBUG", "CRITICAL"])
    def test_without_files_it_is_what_the_script_said(self, service, level):
        service.script = 'cat "$INPUT_FILE_PATH"; echo complained >&2'
        service.config["combine_output"] = False

        done = service.job(base64.b64encode(BINARY), LOG_LEVEL=level)

        assert (done.code, done.stdout) == (0, BINARY)
        assert "complained\n" in done.stderr

    def test_standard_error_is_part_of_it_unless_told_otherwise(self, service):
        service.script = "echo one; sleep 0.2; echo two >&2"

        done = service.job(b"x")

        assert done.stdout == b"one\ntwo\n"

    def test_of_a_script_that_failed_it_is_what_the_script_said(self, service):
        service.script = 'echo half > "$TMP_OUTPUT_DIR/half"; echo what went wrong; exit 3'

        done = service.job(b"x")

        fails(done, service, 3, "script", "status 3")
        assert done.stdout == b"what went wrong\n"

    @pytest.mark.parametrize("level", ["DEBUG", "CRITICAL"])
    def test_to_a_storage_event_it_is_what_the_script_said(self, service, level):
        service.put("bucket/in/a", BINARY)
        service.outputs("minio.default bucket/out")
        service.script = 'cat "$INPUT_FILE_PATH"; echo complained >&2; cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR"'

        done = service.run(event("bucket/in/a"), LOG_LEVEL=level)

        assert (done.code, done.stdout) == (0, BINARY)
        assert "complained\n" in done.stderr

    def test_a_large_one_arrives_whole(self, service):
        service.script = 'head -c 20000000 /dev/zero | tr "\\0" x > "$TMP_OUTPUT_DIR/large"'

        done = service.job(b"x")

        assert (done.code, base64.b64decode(done.stdout)) == (0, b"x" * 20_000_000)


class TestOddEvents:
    """Notifications that can't be what they claim: exit code 112 and the place that is wrong; nothing is run."""

    @pytest.mark.parametrize(
        ("sent", "text"),
        [
            pytest.param(notification({"eventSource": "minio:s3"}), "Records[0].s3.bucket.name", id="no object"),
            pytest.param(event("bucket/", key=""), "s3.object.key is empty", id="empty key"),
            pytest.param(event("bucket/k", key="%ff%fe"), "not UTF-8", id="key not UTF-8"),
            pytest.param(event("bucket/in/a\0b"), "NUL character", id="NUL"),
            pytest.param(event("bucket/in/.."), "'..'", id="key that is a way up"),
            pytest.param(event("bucket/in/" + "n" * 300), "more than 255 bytes", id="name too long"),
            pytest.param(event("bucket/in/a", size="many"), "s3.object.size is not a number", id="size"),
            pytest.param(notification(record("bucket/a"), {"eventSource": "aws:s3"}), "Records[1]", id="two senders"),
        ],
    )
    def test_it_is_refused(self, service, sent, text):
        service.script = "echo ran"

        done = service.run(sent)

        fails(done, service, 112, "event", text)
        assert done.stdout == b""

    @pytest.mark.parametrize("key", ["in/../../escape.txt", "in//a", "in/./a"])
    def test_a_folder_takes_no_key_that_leads_elsewhere(self, service, key):
        (service.storage / "minio.default").mkdir()
        (service.storage / "escape.txt").write_text("not for you")

        done = service.run(event(f"bucket/{key}"))

        fails(done, service, 112, "event", "minio.default", key)

    def test_a_delegation_in_too_many_envelopes_is_refused(self, service):
        sent = event("bucket/in/a")
        for _ in range(10):
            sent = delegated(sent, "minio.default")

        fails(service.run(sent), service, 112, "event", "more than 8 envelopes")

    def test_a_provider_that_is_not_configured_is_no_other_storage(self, service):
        done = service.run(delegated(event("bucket/in/a"), "elsewhere"))

        fails(done, service, 111, "configuration", "minio.elsewhere", "not configured", "storage_providers")


@pytest.mark.parametrize("named", ["minio.default", "default"])
def test_a_delegation_names_the_provider(service, named):
    service.put("bucket/in/a", b"from the cluster")
    service.script = 'cat "$INPUT_FILE_PATH"'

    done = service.run(delegated(event("bucket/in/a"), named))

    succeeds(done, service)
    assert done.stdout == b"from the cluster"


def test_the_innermost_delegation_names_the_provider(service):
    service.provider("minio.first")
    service.put("bucket/in/a", b"from the first cluster", "minio.first")
    service.script = 'cat "$INPUT_FILE_PATH"'

    done = service.run(delegated(delegated(event("bucket/in/a"), "minio.first"), "minio.default"))

    succeeds(done, service)
    assert done.stdout == b"from the first cluster"


def test_the_script_is_told_what_the_event_is_about(service):
    service.put("bucket/in/a b+ü.txt", b"data")
    service.script = 'printf "%s\\n" "$STORAGE_OBJECT_KEY" "$EVENT_TIME" "$(basename "$INPUT_FILE_PATH")"'
    sent = event("bucket/in/a b+ü.txt")

    done = service.run(sent)

    assert done.stdout.decode().splitlines() == ["in/a b+ü.txt", "2026-01-31T12:00:00.000Z", "a b+ü.txt"]


def test_an_event_that_arrives_in_pieces_is_read_to_its_end(service):
    service.script = 'wc -c < "$INPUT_FILE_PATH"'
    process = service.start([], service.job_environment())
    for _ in range(3):
        process.stdin.write(b"a line of text\n" * 50_000)
        process.stdin.flush()
        time.sleep(0.05)  # so that the pipe runs dry in between

    done = service.done(process)

    assert done.stdout.strip() == b"2250000"


def test_a_payload_as_long_as_a_variable_can_be_is_handled(service):
    text = encoded(b"x" * 90_000)
    service.script = 'wc -c < "$INPUT_FILE_PATH"'

    done = service.job(text.encode(), EVENT=text)

    succeeds(done, service)
    assert done.stdout.strip() == b"90000"

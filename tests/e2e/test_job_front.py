"""Jobs, started exactly as OSCAR starts them: a shell echoes the event into the supervisor."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.support import Done, Service, delegated, encoded, event, fails, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLS = {"dash": ["dash", "-c"], "bash": ["bash", "-c"], "busybox": ["busybox", "sh", "-c"]}

KEEP_EVENT = """\
printf %s "$EVENT" > "$TMP_OUTPUT_DIR/event"
cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy"
"""

NASTY = {
    "newline": "one\ntwo",
    "escaped newline": "one\\ntwo",
    "backslashes": "C:\\new\\\\table\\",
    "two blanks": "a  b   c",
    "star": "* and x * y",
    "quotes": 'it\'s "so" `now`',
    "set": "[1] and [a-z]*",
    "unicode": "naïve 中文 😀",
    "option": "-n -e \\c x",
    "dollar": "$HOME $(id)",
}


@pytest.fixture(params=SHELLS)
def shell(request) -> list[str]:
    command = SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; OSCAR's images have it")
    return command


@pytest.fixture
def service(service: Service) -> Service:
    """A function on local folders, started where files are that `*` and `[1]` match."""
    service.provider("file.local", root=str(service.storage / "file.local"))
    service.outputs("file.local out")
    service.script = KEEP_EVENT
    service.put("in/hello.txt", b"hello\n", "file.local")
    for name in ("1", "notes.txt", "a b"):
        (service.home / name).touch()
    return service


def as_oscar(service: Service, shell: Sequence[str], line: str, **variables: str) -> Done:
    process = subprocess.Popen(
        [*shell, line],
        cwd=service.home,
        env=service.job_environment(JOB_UUID="0f4c", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return service.done(process)


def nasty_event(text: str, **style: object) -> str:
    """Return a notification for `in/hello.txt` on the folder, with `text` in its metadata."""
    inner = json.loads(event("in/hello.txt", userMetadata={"x-amz-meta-note": text}))
    wrapped = {"storage_provider": "file.local", "event": json.dumps(inner, ensure_ascii=False), "note": text}
    return json.dumps(wrapped, ensure_ascii=False, **style)


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_an_event_survives_the_shell(service, shell, text):
    sent = nasty_event(text)

    done = as_oscar(service, shell, "echo $EVENT | supervisor", EVENT=sent)

    succeeds(done, service)
    stored = service.stored("file.local")
    assert stored["out/event"].decode() == sent
    assert stored["out/copy"] == b"hello\n"


def test_an_event_on_many_lines_survives_the_shell(service, shell):
    sent = nasty_event(" ".join(NASTY.values()), indent=4)

    done = as_oscar(service, shell, "echo $EVENT | supervisor", EVENT=sent)

    succeeds(done, service)
    assert service.stored("file.local")["out/event"].decode() == sent


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_a_payload_survives_the_shell(service, shell, text):
    service.config["output"] = []
    service.script = 'cat "$INPUT_FILE_PATH"'

    done = as_oscar(service, shell, "echo $EVENT | supervisor", EVENT=text)

    succeeds(done, service)
    assert done.stdout.decode() == text


def test_interlink_sends_the_event_in_base64(service, shell):
    sent = nasty_event(" ".join(NASTY.values()))

    done = as_oscar(service, shell, "echo $EVENT | base64 -d | supervisor", EVENT=encoded(sent))

    succeeds(done, service)
    stored = service.stored("file.local")
    assert stored["out/event"].decode() == sent
    assert stored["out/copy"] == b"hello\n"


def test_the_variable_stands_in_for_an_empty_standard_input(service):
    sent = nasty_event("anything")

    done = service.job(b"", EVENT=sent)

    succeeds(done, service)
    assert service.stored("file.local")["out/event"].decode() == sent
    assert any("standard input is empty" in line for line in done.said("INFO"))


def test_standard_input_wins_over_a_variable_of_something_else(service):
    sent = delegated(event("in/hello.txt"), "file.local")

    done = service.job(sent, EVENT="the event of an outer job")

    succeeds(done, service)
    assert service.stored("file.local")["out/event"] == sent


def test_the_container_ends_with_the_status_of_the_script(service, shell):
    service.script = "echo to be seen; exit 7"

    done = as_oscar(service, shell, "echo $EVENT | supervisor", EVENT=nasty_event("anything"))

    fails(done, service, 7, "script", "exited with status 7")
    assert b"to be seen" in done.stdout


def test_the_container_ends_with_our_own_status(service, shell):
    missing = delegated(event("in/missing.txt"), "file.local").decode()

    done = as_oscar(service, shell, "echo $EVENT | supervisor", EVENT=missing)

    fails(done, service, 115, "input_missing", "file.local in/missing.txt", "no such file")


class TestLargeEvents:
    def test_do_not_have_to_fit_into_memory(self, service):
        """An event as large as this is data, and goes through a file."""
        data = bytes(range(256)) * (20 * 4096)
        service.config["output"] = []
        service.script = 'cat "$INPUT_FILE_PATH"'

        done = service.job(data)

        succeeds(done, service)
        assert done.stdout == data


class TestBehindAWatchdog:
    """One process for each request, its headers in variables."""

    CLOUDEVENT = {  # noqa: RUF012  # read only
        "Http_Method": "POST",
        "Http_Content_Type": "text/plain",
        "Http_Ce_Specversion": "1.0",
        "Http_Ce_Id": "42",
        "Http_Ce_Type": "org.example.greeting",
        "Http_Ce_Source": "/example",
    }

    def test_a_cloudevent_in_binary_mode_is_known_by_its_headers(self, service):
        service.script = 'echo "$CE_TYPE $CE_ID"; cat "$INPUT_FILE_PATH"'

        done = service.job(b"hello", **self.CLOUDEVENT)

        assert done.code == 0  # what it logs is not here, see test_classic_watchdog.py
        assert done.stdout == b"org.example.greeting 42\nhello"

    def test_in_a_job_such_variables_are_the_users_own(self, service):
        service.script = 'echo "${CE_TYPE-none}"'
        del (headers := dict(self.CLOUDEVENT))["Http_Method"]

        done = service.job(b"hello", **headers)

        succeeds(done, service)
        assert done.stdout == b"none\n"

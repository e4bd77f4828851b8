"""The log: two formats, masked on every way through, and never a reason to end."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys

import pytest

from faas_supervisor import logs
from faas_supervisor.logs import configure, emit, follow, log
from faas_supervisor.secrets import Secret

VALUE = 'hunter"2\\ñ-secret'


@pytest.fixture
def written():
    stream = io.StringIO()

    def lines():
        return stream.getvalue().splitlines()

    lines.stream = stream
    return lines


def fail_with(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        raise RuntimeError("outer") from error


class TestText:
    def test_a_line_is_what_oscar_users_know(self, written):
        configure("INFO", stream=written.stream)
        emit(logging.WARNING, "some.event", "a message", path="x")
        (line,) = written()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - supervisor - WARNING - a message", line)

    def test_percent_signs_in_a_message_are_no_placeholders(self, written):
        configure("INFO", stream=written.stream)
        emit(logging.INFO, "some.event", "100%s of 5%")
        assert written()[0].endswith("100%s of 5%")

    def test_the_level_decides_what_is_said(self, written):
        configure("ERROR", stream=written.stream)
        log.warning("quiet")
        log.error("loud")
        assert [line.rsplit(" - ", 1)[1] for line in written()] == ["loud"]


class TestJson:
    def test_each_line_is_one_object_with_stable_keys(self, written):
        configure("INFO", "json", stream=written.stream)
        emit(logging.INFO, "download.done", "two\nlines", path="a/b", bytes=5)
        (line,) = written()
        document = json.loads(line)
        assert list(document) == ["time", "level", "event", "message", "path", "bytes"]
        assert document | {"time": ""} == {
            "time": "",
            "level": "INFO",
            "event": "download.done",
            "message": "two\nlines",
            "path": "a/b",
            "bytes": 5,
        }

    def test_a_plain_message_has_the_event_log(self, written):
        configure("INFO", "json", stream=written.stream)
        log.info("%s and %d", "text", 7)
        document = json.loads(written()[0])
        assert (document["event"], document["message"]) == ("log", "text and 7")

    def test_another_library_is_named(self, written):
        configure("INFO", "json", stream=written.stream)
        logging.getLogger("botocore.auth").warning("careful")
        assert json.loads(written()[0])["logger"] == "botocore.auth"

    def test_a_traceback_is_a_key_of_its_own(self, written):
        configure("DEBUG", "json", stream=written.stream)
        try:
            fail_with("why")
        except RuntimeError as error:
            log.debug("the cause", exc_info=error)
        document = json.loads(written()[0])
        assert "ValueError: why" in document["traceback"]

    @pytest.mark.parametrize("word", ["null", "true", "message", "level", "1234", "time", '"', "log\n"])
    def test_a_secret_that_is_part_of_the_json_itself_does_not_break_it(self, written, word):
        Secret(word)
        configure("INFO", "json", stream=written.stream)
        emit(logging.INFO, "some.event", "x", failure=None, flag=True, bytes=1234567)
        document = json.loads(written()[0])
        assert (document["failure"], document["flag"], document["bytes"]) == (None, True, 1234567)

    def test_names_that_are_not_utf8_are_escaped(self, tmp_path):
        file = tmp_path / "log"
        with file.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            configure("INFO", "json", stream=stream)
            emit(logging.INFO, "some.event", "name", path=os.fsdecode(b"a\xff"))
        assert json.loads(file.read_bytes())["path"] == os.fsdecode(b"a\xff")

    def test_an_odd_object_is_shown_as_text(self, written):
        configure("INFO", "json", stream=written.stream)
        emit(logging.INFO, "some.event", "x", where=object, key=Secret("abcdefgh"))
        assert json.loads(written()[0])["key"] == "***"


@pytest.mark.parametrize("form", ["text", "json"])
class TestMasking:
    @pytest.fixture
    def speaking(self, form, written):
        Secret(VALUE)
        configure("DEBUG", form, stream=written.stream)

        def shown():
            text = written.stream.getvalue()
            assert "***" in text
            return text + "".join(
                json.dumps(json.loads(line), ensure_ascii=False) for line in written() if form == "json"
            )

        return shown

    def absent(self, text):
        assert VALUE not in text
        assert "hunter" not in text

    def test_a_message_is_masked(self, speaking):
        log.info("key is %s", VALUE)
        self.absent(speaking())

    def test_a_field_is_masked(self, speaking):
        emit(logging.INFO, "some.event", f"path {VALUE}", path=f"a/{VALUE}/b", deep={"list": [VALUE]})
        self.absent(speaking())

    def test_a_traceback_is_masked_with_all_its_causes(self, speaking):
        try:
            fail_with(f"login {VALUE} refused")
        except RuntimeError as error:
            log.debug("the cause", exc_info=error)
        self.absent(speaking())

    def test_a_traceback_that_shows_an_escaped_secret_is_masked(self, speaking):
        try:
            {}[VALUE]
        except KeyError:
            log.exception("no such key")
        self.absent(speaking())

    def test_a_library_is_masked(self, speaking):
        logging.getLogger("urllib3.connectionpool").warning("retrying https://me:%s@host", VALUE)
        self.absent(speaking())

    def test_a_python_warning_is_masked(self, form):
        code = (
            "import warnings; from faas_supervisor import logs, secrets; secrets.Secret('hunter22')\n"
            f"logs.configure('INFO', {form!r}); warnings.warn('old key hunter22')"
        )
        done = in_a_child(code, stderr=subprocess.PIPE)
        assert b"old key ***" in done.stderr
        assert b"UserWarning: old key hunter22" not in done.stderr


class TestOthers:
    def test_libraries_are_quiet_below_warning(self, written):
        configure("DEBUG", stream=written.stream)
        logging.getLogger("botocore").debug("Authorization: AWS4-HMAC-SHA256")
        logging.getLogger("urllib3").info("Starting new connection")
        assert written() == []

    def test_a_plugin_speaks_from_our_level_on(self, written, monkeypatch):
        monkeypatch.setattr(logs, "_followed", set())
        configure("DEBUG", stream=written.stream)
        follow("some_plugin_of_a_test")
        logging.getLogger("some_plugin_of_a_test.provider").debug("heard")
        assert written()[0].endswith("DEBUG - heard")

    def test_a_plugin_that_was_loaded_before_the_configuration_follows_its_level(self, written, monkeypatch):
        """A function's settings classes come from its plugins, so they are loaded before its level is known."""
        monkeypatch.setattr(logs, "_followed", set())
        configure("INFO", stream=written.stream)
        follow("another_plugin_of_a_test")
        configure("ERROR", stream=written.stream)
        logging.getLogger("another_plugin_of_a_test").warning("too much")
        configure("DEBUG", stream=written.stream)
        logging.getLogger("another_plugin_of_a_test").debug("heard")
        assert [line.rsplit(" - ", 1)[1] for line in written()] == ["heard"]

    def test_configuring_twice_says_everything_once(self, written):
        configure("INFO", stream=written.stream)
        configure("INFO", stream=written.stream)
        log.info("once")
        assert len(written()) == 1


def in_a_child(code, **how):
    return subprocess.run([sys.executable, "-c", code], timeout=60, check=False, **how)


class TestAClosedStream:
    SPEAK = "from faas_supervisor import logs\nlogs.configure('INFO')\nlogs.log.info('x' * 100)\n"

    def test_a_reader_that_left_ends_nothing(self):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = in_a_child(self.SPEAK + "print('alive', flush=True)", stdout=subprocess.PIPE, stderr=writer)
        finally:
            os.close(writer)
        assert done.stdout == b"alive\n"

    def test_a_standard_error_that_was_never_open_ends_nothing(self):
        code = self.SPEAK + "print('alive', flush=True)"
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code],
            timeout=60,
            check=False,
            stdout=subprocess.PIPE,
        )
        assert (done.returncode, done.stdout) == (0, b"alive\n")

    def test_a_closed_stream_object_ends_nothing(self, capsys):
        stream = io.StringIO()
        configure("INFO", stream=stream)
        stream.close()
        log.error("nobody hears this")
        assert capsys.readouterr().err == ""

    def test_arguments_that_do_not_fit_end_nothing_and_are_not_shown_past_the_mask(self, written, capsys):
        configure("INFO", stream=written.stream)
        log.info("%d", "no number")
        log.info("next")
        assert written()[-1].endswith("next")
        assert capsys.readouterr().err == ""

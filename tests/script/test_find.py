"""Which script runs, and by which interpreter."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from faas_supervisor.errors import ConfigurationError, Failure, ScriptError
from faas_supervisor.script import _find, command, find
from tests.core.users import nobody

TEXT = b"#!/bin/sh\necho said\n"


def encoded(content=TEXT):
    return base64.b64encode(content).decode()


class TestFinding:
    @pytest.fixture(autouse=True)
    def _no_oscar_here(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_find, "_OSCAR", tmp_path / "oscar" / "script.sh")

    @pytest.fixture
    def places(self, tmp_path):
        """Every place there is, each with a script that names it."""
        for name in ("explicit", "config", "oscar"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "script.sh").write_text(name)
        (tmp_path / "private").mkdir()
        return tmp_path

    def found(self, places, *, variable=False, explicit=False, beside=False):
        return find(
            {"SCRIPT": encoded(b"variable")} if variable else {},
            explicit=places / "explicit" / "script.sh" if explicit else None,
            beside=places / "config" / "function_config.yaml" if beside else None,
            folder=places / "private",
        )

    @pytest.mark.parametrize(
        ("given", "taken"),
        [
            ({"variable", "explicit", "beside"}, "explicit"),
            ({"variable", "beside"}, "variable"),
            ({"beside"}, "config"),
            (set(), "oscar"),
        ],
        ids=["explicit", "variable", "beside", "oscar"],
    )
    def test_the_nearest_one_wins(self, places, given, taken):
        assert self.found(places, **dict.fromkeys(given, True)).read_text() == taken

    def test_without_a_script_beside_the_configuration_it_is_oscars(self, places):
        (places / "config" / "script.sh").unlink()
        assert self.found(places, beside=True).read_text() == "oscar"

    def test_an_explicit_one_that_is_missing_is_not_replaced_by_another(self, places):
        (places / "explicit" / "script.sh").unlink()
        with pytest.raises(ConfigurationError, match=r"explicit/script\.sh"):
            self.found(places, explicit=True, variable=True, beside=True)

    def test_where_there_is_none_all_places_are_named(self, tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            find({}, explicit=None, beside=tmp_path / "config" / "x.yaml", folder=tmp_path)
        assert str(caught.value) == (
            f"there is no script: neither $SCRIPT nor {tmp_path}/config/script.sh nor {tmp_path}/oscar/script.sh"
            " — mount it, or name it by --script"
        )
        assert caught.value.failure is Failure.CONFIGURATION

    def test_a_folder_is_no_script(self, places):
        (places / "config" / "script.sh").unlink()
        (places / "config" / "script.sh").mkdir()
        assert self.found(places, beside=True).read_text() == "oscar"

    @pytest.mark.parametrize("wrap", [lambda text: text, lambda text: f" {text}\n", "\n".join])
    def test_a_variable_is_base64_on_one_line_or_several(self, tmp_path, wrap):
        script = find({"SCRIPT": wrap(encoded())}, explicit=None, beside=None, folder=tmp_path)
        assert script.read_bytes() == TEXT
        assert script.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("text", ["echo said;", "aaa", "é", "YQ=", "=", encoded() + "!"])
    def test_a_variable_that_is_not_base64_is_told(self, tmp_path, text):
        with pytest.raises(ConfigurationError, match=r"\$SCRIPT is not base64"):
            find({"SCRIPT": text}, explicit=None, beside=None, folder=tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_an_empty_variable_is_none(self, places):
        assert find({"SCRIPT": ""}, explicit=None, beside=None, folder=places).read_text() == "oscar"

    def test_a_script_that_can_not_be_read_is_told(self):
        with tempfile.TemporaryDirectory() as folder, nobody(Path(folder)):
            script = Path(folder, "script.sh")
            script.write_bytes(TEXT)
            script.chmod(0)
            with pytest.raises(ConfigurationError, match=r"script\.sh can't be read"):
                find({}, explicit=script, beside=None, folder=Path(folder))

    def test_a_folder_that_can_not_be_entered_is_told(self):
        with tempfile.TemporaryDirectory() as folder, nobody(Path(folder)):
            inner = Path(folder, "inner")
            inner.mkdir()
            inner.joinpath("script.sh").write_bytes(TEXT)
            inner.chmod(0)
            with pytest.raises(ConfigurationError, match=r"script\.sh"):
                find({}, explicit=inner / "script.sh", beside=None, folder=Path(folder))
            inner.chmod(0o700)


@pytest.fixture
def script(tmp_path):
    def write(content, mode=0o600):
        file = tmp_path / "a script.sh"
        file.write_bytes(content)
        file.chmod(mode)
        return file

    return write


class TestCommand:
    @pytest.mark.parametrize("mode", [0o600, 0o700], ids=["not-executable", "executable"])
    @pytest.mark.parametrize(
        ("first", "interpreter"),
        [
            (b"#!/bin/sh", ["/bin/sh"]),
            (b"#!/bin/sh -e", ["/bin/sh", "-e"]),
            (b"#! /bin/sh", ["/bin/sh"]),
            (b"#!\t/bin/sh\t-e  -u ", ["/bin/sh", "-e  -u"]),
            (b"#!/usr/bin/env python3", ["/usr/bin/env", "python3"]),
            (b"#!/usr/bin/env -S python3 -u", ["/usr/bin/env", "-S python3 -u"]),
            (b"", ["/bin/sh"]),
            (b"echo", ["/bin/sh"]),
            (b"# no shebang", ["/bin/sh"]),
            (b"#!", ["/bin/sh"]),
            (b"#!   ", ["/bin/sh"]),
            (b" #!/bin/cat", ["/bin/sh"]),
            (b"\xef\xbb\xbf#!/bin/cat", ["/bin/sh"]),
        ],
    )
    def test_the_interpreter_is_that_of_the_first_line(self, script, first, interpreter, mode):
        file = script(first + b"\necho said\n", mode)
        assert command(file) == [*interpreter, str(file)]

    def test_a_python_script_runs_though_it_is_not_executable(self, script):
        file = script(f"#!{sys.executable}\nprint('said')\n".encode())
        assert subprocess.run(command(file), check=True, capture_output=True).stdout == b"said\n"

    def test_an_interpreter_that_is_missing_is_replaced_by_the_shell_with_a_warning(self, script, caplog):
        file = script(b"#!/usr/bin/no-such-python3 -u\necho said\n")
        assert command(file) == ["/bin/sh", str(file)]
        assert "/usr/bin/no-such-python3" in caplog.text
        assert "not in this image" in caplog.text

    def test_windows_line_ends_are_warned_of(self, script, caplog):
        file = script(b"#!/bin/sh -e\r\necho said\r\n")
        assert command(file) == ["/bin/sh", "-e", str(file)]
        assert "Windows line ends" in caplog.text

    def test_other_scripts_are_run_without_a_word(self, script, caplog):
        command(script(b"#!/bin/sh\necho said\n"))
        command(script(b"echo said\n"))
        assert caplog.text == ""

    def test_a_program_runs_as_it_is(self, script):
        file = script(Path("/bin/true").read_bytes(), 0o700)
        assert command(file) == [str(file)]
        assert subprocess.run(command(file), check=False).returncode == 0

    def test_a_program_that_is_not_executable_can_not_run(self, script):
        with pytest.raises(ScriptError, match="not executable") as caught:
            command(script(Path("/bin/true").read_bytes()))
        assert caught.value.failure.exit_code == 126

    def test_without_a_shell_a_script_can_not_run(self, script, monkeypatch):
        monkeypatch.setattr(_find, "_SHELL", "/no/bin/sh")
        with pytest.raises(ScriptError, match="/no/bin/sh, which is not in this image") as caught:
            command(script(b"echo said\n"))
        assert caught.value.failure.exit_code == 127

    def test_without_a_shell_a_script_with_an_interpreter_of_its_own_runs(self, script, monkeypatch):
        monkeypatch.setattr(_find, "_SHELL", "/no/bin/sh")
        cat = shutil.which("cat")
        file = script(f"#!{cat}\n".encode())
        assert command(file) == [cat, str(file)]

    def test_a_long_first_line_is_no_interpreter(self, script):
        file = script(b"#!/" + b"x" * 10_000 + b"\n")
        assert command(file)[0] == "/bin/sh"

    @pytest.mark.parametrize("first", [b"#!\0/bin/sh", b"#!/bin/sh\0-e", b"#!/bin/sh -e\0x"])
    def test_a_nul_in_the_first_line_ends_it_as_for_the_kernel(self, script, first):
        argv = command(script(first + b"\n"))
        assert argv[0] == "/bin/sh"
        assert "\0" not in "".join(argv)

    def test_an_interpreter_whose_name_is_not_utf8_is_found(self, script, tmp_path):
        link = Path(str(tmp_path) + "/sh-\udcff")
        link.symlink_to("/bin/sh")
        file = script(b"#!" + bytes(link) + b"\nexit 7\n")
        assert subprocess.run(command(file), check=False).returncode == 7

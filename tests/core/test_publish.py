"""Telling the result: an object beside the outputs, the termination message, the last line of the log."""

from __future__ import annotations

import io
import json
from typing import ClassVar

import pytest

from faas_supervisor import publish
from faas_supervisor.config import Target
from faas_supervisor.errors import Failure, NoSpace, PermissionDenied
from faas_supervisor.logs import configure
from faas_supervisor.publish import announce, upload_result
from faas_supervisor.result import Result
from faas_supervisor.secrets import Secret
from faas_supervisor.stop import Stop
from faas_supervisor.storage._retry import Retry
from faas_supervisor.storage._transfer import Transfer
from faas_supervisor.values import replace
from tests.storage.stand_ins import Shelf, raising, store_of

RESULT = Result("f", "failed", Failure.OUTPUT, "no room for hunter22", 119, "id", "minio", (), {}, 0.0)


@pytest.fixture
def written():
    stream = io.StringIO()
    Secret("hunter22")
    configure("INFO", stream=stream)
    return lambda: stream.getvalue().splitlines()


class TestAnnouncing:
    def test_the_last_line_of_the_log_is_the_result(self, written, tmp_path):
        announce(RESULT, {"FAAS_SUPERVISOR_TERMINATION_LOG": str(tmp_path / "message")})
        line = written()[-1]
        assert " - supervisor - ERROR - result {" in line
        assert json.loads(line.partition("result ")[2])["reason"] == "no room for ***"

    def test_in_json_it_is_a_field_of_its_own(self, tmp_path):
        stream = io.StringIO()
        configure("INFO", "json", stream=stream)
        announce(RESULT, {"FAAS_SUPERVISOR_TERMINATION_LOG": str(tmp_path / "message")})
        line = json.loads(stream.getvalue())
        assert (line["event"], line["result"]["exit_code"]) == ("result", 119)

    def test_the_termination_message_is_written(self, written, tmp_path):
        file = tmp_path / "message"
        file.write_text("something old and much longer" * 1000)
        announce(RESULT, {"FAAS_SUPERVISOR_TERMINATION_LOG": str(file)})
        told = json.loads(file.read_bytes())
        assert (told["reason"], told["exit_code"]) == ("no room for ***", 119)

    def test_one_that_can_not_be_written_is_a_warning_and_the_result_is_told(self, written, tmp_path):
        announce(RESULT, {"FAAS_SUPERVISOR_TERMINATION_LOG": str(tmp_path)})
        warning, result = written()
        assert "WARNING - the termination message can't be written" in warning
        assert "Is a directory" in warning
        assert "result {" in result

    def test_on_a_full_disk_it_is_a_warning(self, written):
        announce(RESULT, {"FAAS_SUPERVISOR_TERMINATION_LOG": "/dev/full"})
        assert "No space left on device" in written()[0]
        assert "result {" in written()[1]

    def test_where_kubernetes_has_no_place_for_it_nothing_is_written(self, written):
        announce(RESULT, {})
        assert len(written()) == 1


class TestUploading:
    def upload(self, provider, tmp_path, target="results", file=None):
        class Opened:
            def open(self, name):
                return store_of(provider, name)

        upload_result(
            RESULT,
            target=Target("shelf.default", target),
            name="a b.txt",
            file=file or tmp_path / "result.json",
            stores=Opened(),
            transfer=Transfer(Retry(base=0.001), 1, Stop()),
        )

    def test_it_is_one_line_of_json_named_after_the_input(self, tmp_path):
        Secret("hunter22")
        provider = Shelf()
        self.upload(provider, tmp_path)
        ((path, content),) = provider.objects.items()
        assert path == "results/a b.txt.result.json"
        assert content.endswith(b"}\n")
        assert json.loads(content)["reason"] == "no room for ***"

    def test_a_refusal_is_told(self, tmp_path):
        provider = Shelf()
        provider.steps.extend(raising(PermissionDenied("not yours")))
        with pytest.raises(PermissionDenied, match="stage out"):
            self.upload(provider, tmp_path)

    def test_a_full_disk_is_told(self, tmp_path):
        (tmp_path / "result.json").symlink_to("/dev/full")
        with pytest.raises(NoSpace, match="the result can't be written"):
            self.upload(Shelf(), tmp_path)


class TestTheLastWord:
    GOOD = Result("f", "succeeded", None, "", 0, "id", "minio", (), {}, 0.0, mounts=True)
    JOB: ClassVar = {"JOB_UUID": "6f1e"}

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr(publish, "_LAST_WORD", str(tmp_path / "tmpfolder"))
        return tmp_path / "tmpfolder"

    def test_success_of_a_job_with_a_mount_makes_the_folder(self, folder):
        announce(self.GOOD, self.JOB)
        announce(self.GOOD, self.JOB)
        assert folder.is_dir()

    @pytest.mark.parametrize(
        ("result", "environment"),
        [
            (replace(GOOD, status="failed", failure=Failure.OUTPUT, exit_code=119), JOB),
            (replace(GOOD, mounts=False), JOB),
            (GOOD, {}),
        ],
        ids=["failed", "no mount", "no job"],
    )
    def test_nothing_else_does(self, folder, result, environment):
        announce(result, environment)
        assert not folder.exists()

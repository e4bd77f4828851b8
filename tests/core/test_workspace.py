"""The workspace: private, found somewhere, and gone at the end whatever the script did to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from faas_supervisor import workspace as module
from faas_supervisor.errors import Failure, NoSpace
from faas_supervisor.workspace import Workspace
from tests.core.users import nobody


@pytest.fixture
def workspace(tmp_path):
    with Workspace({"TMPDIR": str(tmp_path)}) as made:
        yield made


class TestMaking:
    def test_it_is_in_tmpdir(self, tmp_path, workspace):
        assert workspace.root.parent == tmp_path

    def test_nobody_else_can_enter_it(self, workspace):
        before = os.umask(0)
        try:
            with Workspace({"TMPDIR": str(workspace.root)}) as inner, inner.folders(1) as folders:
                made = (inner.root, inner.root / "1", folders.input, folders.output, folders.private)
                assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
        finally:
            os.umask(before)

    def test_two_never_meet(self, tmp_path):
        with Workspace({"TMPDIR": str(tmp_path)}) as one, Workspace({"TMPDIR": str(tmp_path)}) as other:
            assert one.root != other.root

    def test_each_run_has_its_own_folders(self, workspace):
        with workspace.folders(1) as first:
            (first.output / "x").touch()
        with workspace.folders(2) as second:
            assert list(second.output.iterdir()) == []

    def test_a_runs_folders_are_gone_when_it_is_done(self, workspace):
        with workspace.folders(1) as folders:
            (folders.output / "x").touch()
        assert list(workspace.root.iterdir()) == []

    def test_a_relative_tmpdir_gives_paths_that_hold_elsewhere_too(self, tmp_path, monkeypatch):
        """The script changes its folder, and reads TMP_OUTPUT_DIR then."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path)
        with Workspace({"TMPDIR": "here"}) as made:
            assert made.root.is_absolute()
            assert made.root.parent == tmp_path / "here"


class TestFallingBack:
    @pytest.mark.parametrize("tmpdir", ["/nowhere/at/all", "/proc", __file__, "\udcff\n"])
    def test_it_goes_where_there_is_room_and_warns(self, caplog, tmpdir):
        with Workspace({"TMPDIR": tmpdir}) as made:
            assert made.root.parent == Path("/tmp")
        assert f"the workspace is {made.root}: could not write to" in caplog.text
        assert "\n" not in caplog.records[0].getMessage()

    @pytest.mark.parametrize("environment", [{}, {"TMPDIR": ""}])
    def test_without_tmpdir_it_is_in_tmp_and_nothing_is_said(self, caplog, environment):
        with Workspace(environment) as made:
            assert made.root.parent == Path("/tmp")
        assert caplog.text == ""

    def test_it_goes_along_the_list_to_the_current_folder(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setattr(module, "_PLACES", ("/nowhere", "/proc", "."))
        monkeypatch.chdir(tmp_path)
        with Workspace({}) as made:
            assert made.root.parent == tmp_path
        assert "could not write to /nowhere (No such file or directory), /proc" in caplog.text

    def test_where_nobody_may_write_there_is_no_space(self, monkeypatch):
        monkeypatch.setattr(module, "_PLACES", ("/nowhere", "."))
        with tempfile.TemporaryDirectory() as folder, nobody(Path(folder)):
            monkeypatch.chdir("/")
            with pytest.raises(
                NoSpace, match=r"no folder for the workspace: /sys \(.*/nowhere \(.*\. \(.*set TMPDIR"
            ) as caught:
                Workspace({"TMPDIR": "/sys"})
        assert caught.value.failure is Failure.NO_SPACE

    def test_a_current_folder_that_is_gone_is_no_matter(self, tmp_path, monkeypatch):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        with Workspace({"TMPDIR": str(tmp_path)}) as made:
            assert made.root.parent == tmp_path


class TestRemoving:
    def removed_after(self, spoil):
        """Let somebody without rights spoil a workspace, and return whether it is gone then."""
        with tempfile.TemporaryDirectory() as folder, nobody(Path(folder)):
            with Workspace({"TMPDIR": folder}) as made, made.folders(1) as folders:
                spoil(folders)
            return not made.root.exists()

    def test_it_is_gone_at_the_end(self):
        assert self.removed_after(lambda folders: (folders.output / "x").touch())

    def test_it_is_gone_after_a_failure(self, tmp_path):
        with pytest.raises(KeyError), Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1):
            raise KeyError
        assert not made.root.exists()

    @pytest.mark.parametrize("mode", ["000", "500", "300", "400"])
    def test_folders_that_the_script_shut_are_removed(self, mode):
        def shut(folders):
            deep = folders.output / "a" / "b" / "c"
            deep.mkdir(parents=True)
            (deep / "file").touch()
            for folder in (deep, deep.parent, deep.parent.parent, folders.output, folders.input):
                subprocess.run(["chmod", mode, folder], check=False)
                folder.chmod(int(mode, 8))

        assert self.removed_after(shut)

    def test_the_workspace_itself_may_be_shut(self):
        assert self.removed_after(lambda folders: folders.output.parent.parent.chmod(0))
        assert self.removed_after(lambda folders: folders.output.parent.chmod(0))

    def test_files_that_nobody_may_read_are_removed(self):
        def hide(folders):
            (folders.output / "x").touch()
            (folders.output / "x").chmod(0)

        assert self.removed_after(hide)

    def test_a_link_out_of_it_is_removed_and_not_what_it_leads_to(self, tmp_path):
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").touch()
        with Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1) as folders:
            (folders.output / "link").symlink_to(tmp_path / "precious")
        assert not made.root.exists()
        assert (tmp_path / "precious" / "file").exists()

    def test_a_link_in_its_place_is_not_followed(self, tmp_path):
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").touch()
        (tmp_path / "precious").chmod(0o755)
        with Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1) as folders:
            (folders.output.parent / "output").rmdir()
            (folders.output.parent / "output").symlink_to(tmp_path / "precious")
        assert (tmp_path / "precious" / "file").exists()
        assert (tmp_path / "precious").stat().st_mode & 0o777 == 0o755

    def test_a_link_in_place_of_a_runs_folder_is_not_followed_either(self, tmp_path):
        (tmp_path / "precious" / "inner").mkdir(parents=True)
        (tmp_path / "precious" / "inner" / "file").touch()
        (tmp_path / "precious" / "inner").chmod(0o755)
        with Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1) as folders:
            subprocess.run(["rm", "-rf", folders.output.parent], check=True)
            folders.output.parent.symlink_to(tmp_path / "precious")
        assert not made.root.exists()
        assert (tmp_path / "precious" / "inner" / "file").exists()
        assert (tmp_path / "precious" / "inner").stat().st_mode & 0o777 == 0o755

    def test_one_that_is_gone_already_is_no_matter(self, tmp_path, caplog):
        with Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1) as folders:
            subprocess.run(["rm", "-rf", made.root], check=True)
            assert not folders.input.exists()
        assert caplog.text == ""

    def test_a_very_deep_folder_is_removed(self, tmp_path):
        with Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1) as folders:
            code = "import os\nfor _ in range(1100): os.mkdir('d'), os.chdir('d')"
            subprocess.run([sys.executable, "-c", code], cwd=folders.output, check=True)
        assert not made.root.exists()

    def test_one_that_can_not_be_removed_is_a_warning(self, tmp_path, caplog):
        if os.geteuid() != 0:
            pytest.skip("NOT TESTED: only root can mount a file system")
        with Workspace({"TMPDIR": str(tmp_path)}) as made, made.folders(1) as folders:
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "tmpfs", folders.output], check=False, capture_output=True
            )
            if mounted.returncode:
                pytest.skip("NOT TESTED: no tmpfs can be mounted here")
        subprocess.run(["umount", folders.output], check=True)
        assert f"the workspace {made.root} could not be removed" in caplog.text

"""Plugins that are built in, installed, or in a folder of their own."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

import pytest

from faas_supervisor import frozen, hookspecs, plugins
from faas_supervisor.installed import BUILT_IN, GROUP, HOOKS, Found, available
from tests.e2e.support import install

OTHER = "from faas_supervisor import hookimpl\n@hookimpl\ndef faas_supervisor_storage_providers():\n    return []\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A plugin folder that holds the plugin `other`."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield install(tmp_path, "other", OTHER)
    sys.modules.pop("faas_supervisor_other", None)


@pytest.fixture
def frozen_home(tmp_path, monkeypatch):
    """The folder of a frozen supervisor that we pretend to be."""
    home = tmp_path / "home"
    (home / "_internal").mkdir(parents=True)
    monkeypatch.setattr(sys, "_MEIPASS", str(home / "_internal"), raising=False)
    return home


def test_what_is_built_in_is_what_our_distributions_declare():
    ours = {entry.distribution for entry in BUILT_IN}
    declared = {
        (entry.name, entry.value, entry.dist.name, entry.dist.version)
        for entry in importlib.metadata.entry_points(group=GROUP)
        if entry.dist.name in ours
    }
    assert {(entry.name, entry.module, entry.distribution, entry.version) for entry in BUILT_IN} == declared


@pytest.mark.parametrize("module", sorted(HOOKS))
def test_the_hooks_of_our_own_plugins_are_known(module):
    loaded = importlib.import_module(module)
    hooks = {name for name in vars(hookspecs) if name.startswith("faas_supervisor_")}
    assert HOOKS[module] == {name for name in hooks if hasattr(loaded, name)}


def test_a_plugin_folder_adds_a_plugin(folder):
    found = {entry.name: entry for entry in available({"FAAS_SUPERVISOR_PLUGIN_PATH": folder})}
    assert found["other"].folder == folder
    assert "s3" in found
    assert plugins.Plugins({"FAAS_SUPERVISOR_PLUGIN_PATH": folder}).found["other"].version == "1.2.3"


def test_a_plugin_folder_replaces_no_module_that_is_there(folder):
    list(available({"FAAS_SUPERVISOR_PLUGIN_PATH": folder}))
    assert sys.path[-1] == folder


def test_several_plugin_folders_are_separated_as_in_path(folder, tmp_path):
    second = install(tmp_path / "second", "second", OTHER)
    found = [entry.name for entry in available({"FAAS_SUPERVISOR_PLUGIN_PATH": f"{folder}::{second}"})]
    assert {"other", "second"} <= set(found)


def test_a_plugin_folder_that_is_not_there_is_told(caplog, tmp_path):
    list(available({"FAAS_SUPERVISOR_PLUGIN_PATH": f"{tmp_path}/missing"}))
    assert "missing, which is no folder" in caplog.text


def test_the_frozen_supervisor_looks_at_no_metadata_but_those_of_plugin_folders(frozen_home, folder, monkeypatch):
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    assert list(available({})) == list(BUILT_IN)
    assert list(available({"FAAS_SUPERVISOR_PLUGIN_PATH": folder})) == [
        *BUILT_IN,
        Found("other", "faas_supervisor_other", "faas-supervisor-other", "1.2.3"),
    ]


def test_plugins_beside_the_frozen_program_are_found(frozen_home, folder):
    (frozen_home / "plugins").symlink_to(folder)
    assert [entry.folder for entry in available({})][-1] == str(frozen_home / "plugins")


def test_what_is_built_in_can_not_be_replaced_by_a_plugin_folder(frozen_home, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    older = install(tmp_path, "s3", "raise SystemExit('imported')")
    found = list(available({"FAAS_SUPERVISOR_PLUGIN_PATH": older}))
    assert found == list(BUILT_IN)


def test_a_second_plugin_for_a_built_in_type_is_an_error(frozen_home, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    site = tmp_path / "plugins"
    metadata = site / "rival-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\ns3 = rival\n")
    loading = plugins.Plugins({"FAAS_SUPERVISOR_PLUGIN_PATH": str(site)})
    with pytest.raises(plugins.PluginError, match="offered by both faas-supervisor-s3 and rival"):
        loading.spec("s3")


def test_the_folder_of_the_frozen_program_is_that_above_its_parts(frozen_home):
    assert frozen.home() == frozen_home


def test_an_ordinary_python_is_not_frozen():
    assert frozen.home() is None

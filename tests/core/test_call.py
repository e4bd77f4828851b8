"""A call: the function that it is for, its script, its stores and its engine."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass

import pytest

from faas_supervisor import call as module
from faas_supervisor.call import (
    Call,
    configure,
    credential_variables,
    find_script,
    find_source,
    secrets_folder,
    stores_of,
    transfer_of,
)
from faas_supervisor.config import Function, Provider
from faas_supervisor.errors import ConfigurationError
from faas_supervisor.plugins import Plugins
from faas_supervisor.storage import Secret, setting

TEXT = """
name: counter
log_level: WARNING
storage_providers:
  file: {shelf: {root: /nowhere}}
output: [{storage_provider: file.shelf, path: out}]
"""
MIB = 1024 * 1024


@pytest.fixture
def called(tmp_path):
    def make(text=TEXT, environment=None, **fields):
        (tmp_path / "function.yaml").write_text(text)
        environment = {"FAAS_SUPERVISOR_SECRETS_DIR": str(tmp_path / "secrets"), **(environment or {})}
        return Call(b"", environment, None, None, config=tmp_path / "function.yaml", **fields)

    return make


class TestConfiguring:
    def test_the_function_is_that_of_the_file(self, called):
        assert configure(called(), Plugins({})).name == "counter"

    def test_the_log_speaks_as_the_function_says(self, called):
        configure(called(), Plugins({}))
        assert logging.getLogger("faas_supervisor").level == logging.WARNING

    def test_faults_are_told(self, called):
        with pytest.raises(ConfigurationError) as caught:
            configure(called("transfer_files: many"), Plugins({}))
        assert len(caught.value.faults) == 1

    def test_a_folder_can_stand_in_for_every_store(self, called, tmp_path):
        text = "storage_providers: {file: {shelf: {root: /nowhere}}}\noutput: [{storage_provider: minio.x, path: b/o}]"
        function = configure(called(text, storage=tmp_path / "stores"), Plugins({}))
        assert {name: provider.settings.root for name, provider in function.providers.items()} == {
            "file.shelf": str(tmp_path / "stores" / "file.shelf"),
            "minio.x": str(tmp_path / "stores" / "minio.x"),
        }
        assert all(provider.type == "file" and not provider.missing for provider in function.providers.values())


class TestPlaces:
    def test_a_variable_holds_the_configuration_where_no_file_does(self):
        source = find_source({"FUNCTION_CONFIG": base64.b64encode(b"name: x").decode()}, None)
        assert "name: x" in str(source.text)

    def test_without_any_it_is_told_where_to_put_one(self):
        with pytest.raises(ConfigurationError, match=r"/oscar/config/function_config\.yaml.*FUNCTION_CONFIG.*--config"):
            find_source({}, None)

    @pytest.mark.parametrize(
        ("environment", "folder"),
        [
            ({}, "/var/run/secrets/providers"),
            ({"FAAS_SUPERVISOR_SECRETS_DIR": ""}, "/var/run/secrets/providers"),
            ({"FAAS_SUPERVISOR_SECRETS_DIR": "/x"}, "/x"),
        ],
    )
    def test_secrets_are_mounted_in_one_folder(self, environment, folder):
        assert str(secrets_folder(environment)) == folder

    def test_the_script_lies_beside_the_configuration(self, called, tmp_path):
        (tmp_path / "script.sh").write_text("echo")
        call = called()
        assert find_script(call, configure(call, Plugins({})), tmp_path) == tmp_path / "script.sh"

    def test_a_configuration_in_a_variable_has_nothing_beside_it(self, called, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "script.sh").write_text("echo")
        with pytest.raises(ConfigurationError, match="there is no script"):
            find_script(called(), Function(file="$FUNCTION_CONFIG"), tmp_path)


@dataclass(frozen=True)
class Settings:
    """Settings of a provider."""

    key: str = setting("Names the user.", credential=True)
    secret: Secret = setting("Proves it.")
    region: str = setting("Where.")


class TestSecrets:
    def test_variables_that_credentials_came_from_are_named_and_no_others(self):
        settings = Settings(key="k", secret=Secret("very-secret"), region="r")
        function = Function(
            providers={"shelf.a.b": Provider("shelf.a.b", "shelf", settings)},
            origins={
                "storage_providers.shelf.a.b.secret": "$SHELF_SECRET",
                "storage_providers.shelf.a.b.key": "$SHELF_KEY",
                "storage_providers.shelf.a.b.region": "$SHELF_REGION",
                "storage_providers.shelf.a.b": "function.yaml:3:4",
                "log_level": "$LOG_LEVEL",
            },
        )
        assert credential_variables(function) == {"SHELF_SECRET", "SHELF_KEY"}


class TestMemory:
    @pytest.mark.parametrize(
        ("limit", "total"),
        [(None, 64 * MIB), (1024 * MIB, 64 * MIB), (512 * MIB, 64 * MIB), (256 * MIB, 32 * MIB), (64 * MIB, 8 * MIB)],
    )
    def test_transfers_take_an_eighth_of_the_container_at_most(self, monkeypatch, limit, total):
        monkeypatch.setattr(module, "memory_limit", lambda: limit)
        assert stores_of(Function(), Plugins({}))._memory.total == total

    def test_the_configuration_decides_where_it_says(self, monkeypatch):
        monkeypatch.setattr(module, "memory_limit", lambda: 64 * MIB)
        assert stores_of(Function(transfer_memory=MIB), Plugins({}))._memory.total == MIB


def test_the_engine_is_as_the_function_says(called):
    call = called(watch=print)
    engine = transfer_of(Function(transfer_files=3, transfer_deadline=7.0), call)
    assert (engine.files, engine.retry.deadline, engine.stop, engine.watch) == (3, 7.0, call.stop, print)

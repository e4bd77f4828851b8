"""The configuration as it is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from faas_supervisor.config import Function, show

TEXT = """\
name: "0123"
log_level: debug
output:
- {storage_provider: minio, path: out/all, suffix: [png, "#1"]}
- {storage_provider: s3.x, path: "a: b", required: true}
result: {storage_provider: s3.x, path: results}
environment: {variables: {GREETING: "hello\\nworld", API_TOKEN: my-token, yes: "yes"}}
transfer_memory: 64Mi
storage_providers:
  minio: {default: {access_key: hunter2-access, secret_key: hunter2-secret, endpoint: "http://u:hunter2@h"}}
  s3: {x: {region: eu-west-1}}
  onedata: {y: {token: hunter2-onedata}}
  webdav: {z: {hostname: h}}
"""


def test_it_is_yaml_that_says_what_is_used(read):
    shown = yaml.safe_load(show(read(TEXT)))
    assert (shown["name"], shown["log_level"], shown["upload_on"]) == ("0123", "DEBUG", "success")
    assert shown["output"][0] == {
        "storage_provider": "minio.default",
        "path": "out/all",
        "prefix": [],
        "suffix": ["png", "#1"],
        "required": False,
    }
    assert shown["result"] == {"storage_provider": "s3.x", "path": "results"}
    assert shown["transfer_memory"] == 64 * 1024 * 1024
    assert shown["environment"]["variables"] == {"GREETING": "hello\nworld", "API_TOKEN": "***", "yes": "yes"}
    assert shown["storage_providers"]["s3"]["x"]["region"] == "eu-west-1"


def test_nothing_secret_is_shown(read):
    text = show(read(TEXT))
    assert "hunter2" not in text
    assert "my-token" not in text
    assert 'secret_key: "***"' in text


def test_the_origin_of_each_value_is_told(read):
    read.environment["FAAS_SUPERVISOR_UPLOAD_ON"] = "always"
    read.mount("minio.default", secretKey="mounted")
    lines = show(read(TEXT)).splitlines()
    folder = read.secrets_dir / "minio.default"
    assert lines[0] == "# function_config.yaml"
    assert 'log_level: "DEBUG"  # function_config.yaml:2:12' in lines
    assert 'upload_on: "always"  # $FAAS_SUPERVISOR_UPLOAD_ON' in lines
    assert "transfer_files: 8  # default" in lines
    assert f'      secret_key: "***"  # {folder}/secretKey' in lines
    assert '      region: "us-east-1"  # default' in lines


def test_what_is_missing_stands_beside_its_provider(read):
    lines = show(read(TEXT)).splitlines()
    assert any(line.startswith("    # webdav.z: login is not set: mount ") for line in lines)
    assert "    # no plugin is installed for provider type 'onedata' — pip install something" in lines


def test_it_can_be_loaded_again(read):
    first = read(TEXT.replace("API_TOKEN", "NOTHING").replace("  webdav: {z: {hostname: h}}\n", ""))
    again = read(show(first))
    drop = {"providers": {}, "warnings": ()}
    assert replace(again, **drop) == replace(first, **drop)
    assert again.providers["s3.x"] == first.providers["s3.x"]


def test_a_function_of_defaults_can_be_shown():
    assert yaml.safe_load(show(Function()))["storage_providers"] == {}


def test_a_secret_that_stands_elsewhere_too_is_masked_there(read):
    read.mount("minio.default", accessKey="a", secretKey="hunter3-secret")
    assert "hunter3" not in show(read("extra_payload: it is hunter3-secret\nname: x"))


@given(name=st.text(), value=st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives(name, value):
    function = Function(name=value, file=name)
    assert yaml.safe_load(show(function))["name"] == value


def test_the_module_is_not_loaded_before_it_is_needed():
    import subprocess
    import sys

    code = (
        "import sys, faas_supervisor.config\n"
        "assert 'yaml' in sys.modules\n"
        "print([name for name in ('difflib', 'tempfile', 'subprocess', 'importlib.metadata', 'http.client', 'click',"
        " 'faas_supervisor.config._show', 'faas_supervisor.config.reference') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Every manifest in the documentation is one that Kubernetes takes, and says what the supervisor means."""

from __future__ import annotations

import kubernetes_validate
import pytest

from faas_supervisor.config import Source, load
from faas_supervisor.errors import Failure
from faas_supervisor.plugins import Plugins
from tests.docs.manifests import manifests, of_kind

# `podFailurePolicy` is stable since the first of them.
VERSIONS = ("1.31", kubernetes_validate.latest_version())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", manifests().values(), ids=manifests())
def test_a_manifest_is_valid(manifest, version):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_slip_of_the_pen_would_be_noticed():
    job = of_kind("Job")
    job["spec"]["template"]["spec"]["containers"][0]["terminationMessagepolicy"] = "File"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, VERSIONS[0], strict=True)


def test_the_failure_policy_has_the_exit_codes_of_every_failure():
    rules = of_kind("Job")["spec"]["podFailurePolicy"]["rules"]
    listed = {rule["action"]: rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule}
    ours = [failure for failure in Failure if failure is not Failure.SCRIPT]
    assert listed == {
        "FailJob": sorted(failure.exit_code for failure in ours if not failure.again),
        "Count": sorted(failure.exit_code for failure in ours if failure.again),
    }


def test_the_failure_policy_is_about_the_container_of_the_function():
    spec = of_kind("Job")["spec"]
    names = {container["name"] for container in spec["template"]["spec"]["containers"]}
    rules = [rule["onExitCodes"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert {rule["containerName"] for rule in rules} == names
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # Kubernetes refuses a policy otherwise


@pytest.mark.parametrize("kind", ["Job", "Deployment"])
def test_every_volume_that_is_mounted_is_there_and_none_is_left_over(kind):
    pod = of_kind(kind)["spec"]["template"]["spec"]
    mounted = {mount["name"] for one in pod["initContainers"] + pod["containers"] for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_configuration_is_a_good_one(tmp_path):
    data = of_kind("ConfigMap")["data"]
    assert set(data) == {"function_config.yaml", "script.sh"}
    secret = tmp_path / "minio.default"
    secret.mkdir()
    for name, value in of_kind("Secret")["stringData"].items():
        (secret / name).write_text(value)
    source = Source(data["function_config.yaml"], "function_config.yaml")
    function = load(source, environment={}, settings=Plugins({}).settings, secrets_dir=tmp_path)
    assert function.warnings == ()
    assert function.providers["minio.default"].missing == ()

"""TLS from the frozen supervisor: by the image's authorities, by those that are named, and by no others."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.dcache.tests.servers import LOGIN, PASSWORD
from plugins.s3.tests.support import TlsFront, make_certificates
from tests.containers import Mount
from tests.frozen.function import COMMAND
from tests.frozen.images import IMAGES, ODDITIES, Oddity, image, run

if TYPE_CHECKING:
    from tests.containers import Ended

# Where Debian and Alpine, Red Hat, SUSE, and a bare Alpine have their bundle.
PLACES = {
    "Debian 11": "etc/ssl/certs/ca-certificates.crt",
    "Debian 12": "etc/pki/tls/certs/ca-bundle.crt",
    "musl": "etc/ssl/cert.pem",
    "busybox": "etc/ssl/ca-bundle.pem",
}


def trusting(root: Path, place: str, authority: str) -> Path:
    """Let the image trust one authority, and nobody else."""
    for other in PLACES.values():
        (root / other).unlink(missing_ok=True)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes(Path(authority).read_bytes())
    return root


def accepted(ended: Ended) -> None:
    assert ended.code == 0, ended.log


def refused(ended: Ended) -> None:
    assert (ended.code, ended.result["failure"]) == (111, "configuration"), ended.log
    assert "set ca_bundle" in ended.log
    assert "Traceback" not in ended.log


@pytest.fixture
def dcache(function, apache):
    """The event of an upload to a WebDAV server that has a certificate of an authority of its own."""
    for name in ("in", "out"):
        (apache.folder / name).mkdir(exist_ok=True)
        (apache.folder / name).chmod(0o777)
    (apache.folder / "in" / "f.txt").write_text("from dCache\n")
    (apache.folder / "out" / "f.txt").unlink(missing_ok=True)
    place = {"storage_provider": "webdav.dcache"}
    function.config["input"] = [{**place, "path": "in"}]
    function.config["output"] = [{**place, "path": "out"}]
    provider = {"hostname": apache.url, "login": LOGIN, "password": PASSWORD}
    function.config["storage_providers"]["webdav"] = {"dcache": provider}
    function.script = 'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"\n'
    return json.dumps(
        {
            "event": {"name": "f.txt", "mask": ["IN_CREATE"]},
            "subscription": f"{apache.url}/api/v1/events/channels/1/subscriptions/inotify/2",
        }
    )


@pytest.mark.parametrize("oddity", [ODDITIES["root"], ODDITIES["a read-only root"], ODDITIES["hostile variables"]],
                         ids=["root", "a read-only root", "hostile variables"])  # fmt: skip
@pytest.mark.parametrize("name", IMAGES)
def test_an_event_of_dcache_goes_over_tls_with_the_authority_of_the_image(
    name, oddity, dcache, apache, function, folder, containers, tmp_path
):
    root = trusting(image(name, tmp_path), PLACES[name], apache.ca)
    mounts = [Mount("/oscar/bin", folder), *function.mounts()]
    accepted(run(containers, root, oddity, COMMAND, mounts=mounts, environment={"EVENT": dcache}))
    assert (apache.folder / "out" / "f.txt").read_text() == "from dCache\n"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_DIR"])
def test_a_variable_names_the_authority(variable, dcache, apache, function, folder, containers, tmp_path):
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    # The hash of a name changes with the name, so OpenSSL itself has to say it.

    (authorities / "ca.pem").write_bytes(Path(apache.ca).read_bytes())
    subprocess.run(["openssl", "rehash", authorities], check=True, timeout=60)
    named = "/opt" if variable == "SSL_CERT_DIR" else "/opt/ca.pem"
    mounts = [Mount("/oscar/bin", folder), Mount("/opt", authorities), *function.mounts()]
    environment = {"EVENT": dcache, variable: named}
    accepted(run(containers, image("busybox", tmp_path), Oddity(), COMMAND, mounts=mounts, environment=environment))


def test_an_authority_that_nobody_named_is_refused(dcache, function, folder, containers, tmp_path):
    mounts = [Mount("/oscar/bin", folder), *function.mounts()]
    refused(
        run(containers, image("busybox", tmp_path), Oddity(), COMMAND, mounts=mounts, environment={"EVENT": dcache})
    )


@pytest.mark.parametrize("engine", ["obstore", "sdk"])
@pytest.mark.parametrize("kind", ["minio", "s3"])
@pytest.mark.parametrize("by", ["the image", "SSL_CERT_FILE", "AWS_CA_BUNDLE", "ca_bundle", "nobody"])
def test_s3_and_minio_go_by_the_same_authorities(kind, engine, by, seaweedfs, function, folder, containers, tmp_path):
    (tmp_path / "tls").mkdir()
    authority, certificate = make_certificates(tmp_path / "tls")
    root, environment = image("musl", tmp_path), {}
    settings = {"access_key": seaweedfs.access_key, "secret_key": seaweedfs.secret_key, "region": seaweedfs.region}
    if by == "the image":
        trusting(root, PLACES["musl"], str(authority))
    elif by == "ca_bundle":
        settings["ca_bundle"] = "/opt/ca.pem"
    elif by.isupper():
        environment[by] = "/opt/ca.pem"
    named = tmp_path / "named"
    named.mkdir()
    (named / "ca.pem").write_bytes(authority.read_bytes())
    event = function.put()
    with TlsFront(seaweedfs.url, certificate) as tls:
        provider = {**settings, "endpoint": tls.url, "engine": engine}
        function.config["storage_providers"] = {kind: {"default": provider}}
        function.config["output"][0]["storage_provider"] = f"{kind}.default"
        function.config["input"][0]["storage_provider"] = f"{kind}.default"
        if kind == "s3":
            event = event.replace("minio:s3", "aws:s3")
        mounts = [Mount("/oscar/bin", folder), Mount("/opt", named), *function.mounts()]
        ended = run(containers, root, Oddity(), COMMAND, mounts=mounts, environment={"EVENT": event, **environment})
    if by == "nobody":
        refused(ended)
    else:
        accepted(ended)
        assert function.outputs()["input.txt"] == b"what goes in\n"

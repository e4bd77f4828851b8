"""Certificates, against a real Apache."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faas_supervisor.errors import AuthenticationFailed, InvalidConfiguration
from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor.testing._rig import Recorder
from plugins.dcache.tests.servers import TOKEN

if TYPE_CHECKING:
    from plugins.dcache.tests.servers import Certificates, Site


def test_an_unknown_authority_is_told_with_the_setting_that_helps(apache: Site, open_provider):
    with pytest.raises(InvalidConfiguration, match="set ca_bundle"):
        open_provider(replace(apache.settings(), ca_bundle=None)).check()


def test_a_certificate_for_another_host_is_not_trusted(apache: Site, open_provider):
    elsewhere = apache.url.replace("localhost", "127.1")  # another name of this machine
    with pytest.raises(InvalidConfiguration, match="not trusted"):
        open_provider(apache.settings(elsewhere)).check()


def test_verify_false_trusts_any_certificate(apache: Site, open_provider):
    open_provider(replace(apache.settings(), ca_bundle=None, verify=False)).check()


def test_a_folder_of_hashed_certificates_may_be_trusted(
    apache: Site, certificates: Certificates, open_provider, tmp_path
):
    """As grids have them, in /etc/grid-security/certificates."""
    (tmp_path / "authority.pem").write_bytes(Path(certificates.ca).read_bytes())
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, timeout=60, capture_output=True)
    open_provider(replace(apache.settings(), ca_bundle=str(tmp_path))).check()


def test_a_bearer_token_is_as_good_as_a_password(apache: Site, open_provider, local):
    provider, path = open_provider(apache.settings(token=Secret(TOKEN))), f"token-{uuid.uuid4().hex}"
    provider.upload(local(b"content"), path, Recorder())
    arrival = local(b"")
    provider.download(ObjectRef(path), arrival, Recorder())
    assert arrival.read_bytes() == b"content"
    with pytest.raises(AuthenticationFailed):
        open_provider(apache.settings(token=Secret("not-the-token"))).check()

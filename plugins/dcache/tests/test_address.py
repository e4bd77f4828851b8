"""What users write into `hostname`, and the URLs that follow from it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.storage._names import validate
from faas_supervisor_dcache import Settings, faas_supervisor_storage_providers
from faas_supervisor_dcache.address import Address, origin, quoted_again, segments
from faas_supervisor_dcache.provider import WebDavProvider, make_provider


@pytest.mark.parametrize(
    ("hostname", "url"),
    [
        ("door.example.org", "https://door.example.org"),
        ("door.example.org:2880", "https://door.example.org:2880"),
        ("door.example.org/pnfs/example.org/", "https://door.example.org/pnfs/example.org"),
        ("https://door.example.org:2880/pnfs", "https://door.example.org:2880/pnfs"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:2880", "https://[::1]:2880"),
        ("https://door.example.org/my data/50%25", "https://door.example.org/my%20data/50%25"),
    ],
)
def test_a_hostname_may_have_a_scheme_a_port_and_a_base_path(hostname, url):
    assert Address.of(hostname).url == url


@pytest.mark.parametrize(
    "hostname",
    [
        "",
        "https://",
        "ftp://door",
        "door:port",
        "door:99999",
        "a b",
        "alice:secret@door",
        "door?authz=secret",
        "door#x",
    ],
)
def test_what_is_no_address_is_refused_without_showing_a_secret(hostname):
    with pytest.raises(InvalidConfiguration) as caught:
        Address.of(hostname)
    assert "secret" not in str(caught.value)


@settings(deadline=None)
@given(st.text(min_size=1))
def test_every_path_has_a_url_that_leads_back_to_it(path):
    try:
        validate(path, WebDavProvider.capabilities)
    except Exception:  # noqa: BLE001  # such a path never reaches a provider
        return
    url = Address.of("door/base").of_path(path)
    assert url.isascii()
    assert segments(url.removeprefix("https://door")) == ("base", *path.split("/"))


def test_what_means_something_in_a_url_is_quoted():
    url = Address.of("door/base").of_path("a%20b/c#d/e?f/g+h")
    assert url == "https://door/base/a%2520b/c%23d/e%3Ff/g%2Bh"


def test_only_scheme_host_and_port_together_are_an_origin():
    known = origin("https://door/a")
    assert known == origin("https://door:443/b?c")
    assert known not in {origin(url) for url in ("http://door", "https://door:444", "https://pool", "http://door:443")}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://pool:1094/a%20b/c#d", "https://pool:1094/a%2520b/c%23d"),
        ("https://pool:1094/a%20b/c#d?authz=x", "https://pool:1094/a%2520b/c%23d?authz=x"),
        ("https://pool:1094/a%2520b/c%23d?dcache-http-uuid=1", "https://pool:1094/a%2520b/c%23d?dcache-http-uuid=1"),
        ("https://pool:1094/elsewhere", "https://pool:1094/elsewhere"),
    ],
    ids=["bare", "bare with a query", "quoted", "another path"],
)
def test_a_redirect_whose_path_is_not_quoted_leads_to_the_right_object(location, expected):
    """XRootD's does not; `a%20b` would be stored as `a b`, over an object of that name."""
    assert quoted_again(location, "a%20b/c#d") == expected


def test_both_types_are_offered_by_one_module_without_its_libraries():
    assert {spec.type for spec in faas_supervisor_storage_providers()} == {"dcache", "webdav"}
    code = "import faas_supervisor_dcache, sys; print(*({'httpx', 'httpcore', 'webdav4', 'ssl'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_a_ca_bundle_that_is_no_file_is_refused():
    with pytest.raises(InvalidConfiguration, match="can't be read"):
        make_provider(Settings("door", ca_bundle="/no/such/file"))

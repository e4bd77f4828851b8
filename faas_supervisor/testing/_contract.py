"""The whole contract, in one class to inherit from."""

from __future__ import annotations

from faas_supervisor.testing._failures import Access, Failures, Secrecy
from faas_supervisor.testing._faults import Faults
from faas_supervisor.testing._listing import Listing
from faas_supervisor.testing._model import Model
from faas_supervisor.testing._names import Names
from faas_supervisor.testing._networks import Networks, Recovery, Redirects
from faas_supervisor.testing._overwriting import Overwriting
from faas_supervisor.testing._roundtrip import RoundTrip
from faas_supervisor.testing._transfers import Transfers

__all__ = ["LocalStorageContract", "StorageContract"]


class LocalStorageContract(RoundTrip, Names, Overwriting, Listing, Failures, Secrecy, Transfers, Model):
    """Every rule that holds without a server and without credentials: for a folder, or a database in a file."""


class StorageContract(LocalStorageContract, Access, Faults, Networks, Redirects, Recovery):
    """Every rule of `faas_supervisor.storage`, as tests. A plugin's test module inherits from it.

        class TestMyProvider(StorageContract):
            @pytest.fixture
            def provider(self, tmp_path):
                return MyProvider(MySettings(...))

    What else it can be given is documented in `ContractBase`; a test that lacks something is skipped and says what.
    """

"""The interface between the supervisor and a storage: what a plugin author implements and may use.

A provider moves single files and does it once. Everything that is a policy lives in the core:
retries, temporary names, verification, parallel files, the memory budget, local names.
`faas_supervisor.testing.StorageContract` checks an implementation against what is written here.
"""

from __future__ import annotations

from faas_supervisor.storage._budget import MemoryBudget
from faas_supervisor.storage._provider import (
    API_VERSION,
    Capabilities,
    ObjectInfo,
    ObjectRef,
    Progress,
    ProviderSpec,
    StorageProvider,
)
from faas_supervisor.storage._settings import Secret, setting

__all__ = [
    "API_VERSION",
    "Capabilities",
    "MemoryBudget",
    "ObjectInfo",
    "ObjectRef",
    "Progress",
    "ProviderSpec",
    "Secret",
    "StorageProvider",
    "setting",
]

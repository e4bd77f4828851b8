"""The manifests in the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

__all__ = ["manifests", "of_kind"]

ROOT = Path(__file__).parents[2]


def manifests() -> dict[str, dict[str, Any]]:
    """Return every document in a YAML block that says what kind it is, by page, kind and place."""
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^```ya?ml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            for document in yaml.safe_load_all(block):
                if isinstance(document, dict) and _is_of_kubernetes(document):
                    found[f"{page.stem}-{document['kind']}-{len(found)}"] = document
    return found


def of_kind(kind: str) -> dict[str, Any]:
    """Return the first manifest of this kind."""
    return next(manifest for manifest in manifests().values() if manifest["kind"] == kind)


def _is_of_kubernetes(document: dict[str, Any]) -> bool:
    """Whether its kind is one of Kubernetes itself; of others, such as Knative's, there are no schemas."""
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    return "kind" in document and ("." not in group or group.endswith(".k8s.io"))

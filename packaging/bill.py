"""The bill of materials (CycloneDX 1.6, JSON) and the third-party notices, from the inventory."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from inventory import Part

__all__ = ["bill_of_materials", "notices"]

_ROOT: Final = "faas-supervisor"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://github.com/grycap/faas-supervisor")


def bill_of_materials(parts: Iterable[Part], inside: Path, epoch: int) -> str:
    """Return the bill as JSON; the same parts and files give the same text."""
    bom = Bom()
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    components = {part.name: _component(part, inside) for part in parts}
    bom.metadata.component = components[_ROOT]
    for part in parts:
        component = components[part.name]
        if part.name != _ROOT:
            bom.components.add(component)
        bom.register_dependency(component, [components[name] for name in part.requires if name in components])
    libraries = [components[part.name] for part in parts if part.name != _ROOT and not part.purl.startswith("pkg:pypi")]
    bom.register_dependency(components[_ROOT], libraries)
    content = sorted(f"{c.name} {c.version} {[h.content for h in c.hashes]}" for c in components.values())
    bom.serial_number = uuid.uuid5(_NAMESPACE, "\n".join(content))
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(part: Part, inside: Path) -> Component:
    made_of = json.loads(part.sbom.read_bytes())["components"] if part.sbom else ()
    component = Component(
        name=part.name,
        version=part.version,
        type=ComponentType.APPLICATION if part.name == _ROOT else ComponentType.LIBRARY,
        bom_ref=part.name,
        purl=PackageURL.from_string(part.purl),
        licenses=[LicenseFactory().make_from_string(part.licence)],
        components=[_inner(item, part.name) for item in made_of],
    )
    if part.file:
        digest = hashlib.sha256((inside / part.file).read_bytes()).hexdigest()
        component.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
        component.properties.add(Property(name="faas-supervisor:file", value=part.file))
    return component


def _inner(item: dict[str, Any], outer: str) -> Component:
    """Take over what a distribution's own bill tells of one of its parts, but for places of its makers' machine."""
    claims = [licence.get("expression") or licence["license"].get("id") for licence in item.get("licenses", ())]
    return Component(
        name=item["name"],
        version=item["version"],
        type=ComponentType.LIBRARY,
        bom_ref=f"{outer}:{item['name']}@{item['version']}",
        purl=PackageURL("cargo", name=item["name"], version=item["version"]),
        licenses=[LicenseFactory().make_from_string(claim.replace("/", " OR ")) for claim in claims if claim],
    )


def notices(parts: Iterable[Part]) -> str:
    """Return the licences and notices of everybody's work in the folder, each text once."""
    users: dict[str, list[str]] = {}
    lines = ["The frozen faas-supervisor contains the work of others:", ""]
    for part in parts:
        lines.append(f"- {part.name} {part.version}: {part.licence}")
        for item in json.loads(part.sbom.read_bytes())["components"] if part.sbom else ():
            claims = [licence.get("expression", "") for licence in item.get("licenses", ())]
            lines.append(f"  - {item['name']} {item['version']}: {' '.join(claims) or 'see its source'}")
        for text in part.texts:
            users.setdefault(text.strip(), []).append(part.name)
    for text, names in users.items():
        lines += ["", "=" * 80, ", ".join(dict.fromkeys(names)), "=" * 80, "", text]
    return "\n".join(lines) + "\n"

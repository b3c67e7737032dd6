# SPDX-License-Identifier: MIT
"""What a list of components must have for others to read it."""

import re
from collections.abc import Iterator
from datetime import datetime

# https://cyclonedx.org/docs/1.6/json/
TYPES = {
    *("application", "framework", "library", "container", "platform", "operating-system", "device"),
    *("device-driver", "firmware", "file", "machine-learning-model", "data", "cryptographic-asset"),
}
PURL = re.compile(r"pkg:[a-z]+(/[\w.%+-]+)+@[\w.%~:+-]+(\?[a-z_]+=[\w.%+-]+(&[a-z_]+=[\w.%+-]+)*)?")


def components(found: list[dict]) -> Iterator[dict]:
    """With those within others."""
    for each in found:
        yield each
        yield from components(each.get("components", []))


def check_form(bom: dict) -> None:
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.6"
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", bom["serialNumber"])
    assert type(bom["version"]) is int and bom["version"] >= 1
    assert datetime.fromisoformat(bom["metadata"]["timestamp"]).tzinfo
    found = [bom["metadata"]["component"], *components(bom["components"])]
    for each in found:
        assert each["type"] in TYPES and each["name"]
        assert each.get("version") or each["type"] == "file"
        assert PURL.fullmatch(each.get("purl", "pkg:a/b@1")), each["purl"]
        for digest in each.get("hashes", ()):
            assert digest["alg"] == "SHA-256" and re.fullmatch("[0-9a-f]{64}", digest["content"])
        for prop in each.get("properties", ()):
            assert prop.keys() == {"name", "value"} and isinstance(prop["value"], str)
    references = [each["bom-ref"] for each in found]
    assert len(references) == len(set(references))
    for dependency in bom["dependencies"]:
        assert {dependency["ref"], *dependency["dependsOn"]} <= set(references)

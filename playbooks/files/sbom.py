#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What is on a device, as CycloneDX 1.6: Debian's packages, what was compiled here and from which commit, and this
product's own files. Runs on the device and prints JSON.

sbom.py WIRING    {"name": of the device, "version": of this product, "repositories": {program: URL},
                   "builds": {program: link to its build}, "own": [folders and files of this product]}
"""

import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

PRODUCT = "kvm-appliance"
FIELDS = ("db:Status-Status", "Package", "Version", "Architecture", "Maintainer", "Homepage")
# Of a build: what is executed, here or in a browser. Headers and the like only served to compile.
KEPT = ("bin/*", "lib/**/*.so", "plugins/*.so", "share/**/*.js")


def os_release(path: str = "/etc/os-release") -> dict[str, str]:
    lines = (line.partition("=") for line in Path(path).read_text().splitlines())
    return {name: value.strip('"') for name, equals, value in lines if equals}


def debian_packages() -> str:
    form = "\\t".join(f"${{{field}}}" for field in FIELDS) + "\\n"
    command = ["dpkg-query", "--show", f"--showformat={form}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def packages(told: str, system: dict[str, str]) -> Iterator[dict]:
    """Of those that are installed; one that was removed may have left its configuration."""
    for line in told.splitlines():
        status, name, version, architecture, maintainer, homepage = line.split("\t")
        if status != "installed":
            continue
        distribution = f"{system['ID']}-{system['VERSION_ID']}"
        purl = f"pkg:deb/{system['ID']}/{quote(name)}@{quote(version)}?arch={architecture}&distro={distribution}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "supplier": {"name": maintainer},
            **({"externalReferences": [{"type": "website", "url": homepage}]} if homepage else {}),
        }


def file_components(root: Path, files: list[Path]) -> list[dict]:
    return [
        {
            "type": "file",
            "bom-ref": f"file:{file}",
            "name": str(file.relative_to(root)),
            "hashes": [
                {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}
            ],
        }
        for file in sorted(files)
    ]


def build(program: str, link: str, repository: str) -> dict | None:
    """The build that runs. None: there is none, because the program is Debian's or was not compiled yet."""
    folder = Path(link).resolve()
    if not (folder / "built-from").is_file():
        return None
    inputs = json.loads((folder / "built-from").read_text())["inputs"]
    source, _, commit = inputs["source"].partition(" ")
    label = folder.name.rpartition("-")[0]
    if source == "upstream":
        commit = commit or inputs["version"]
        purl = (
            f"pkg:generic/{program}@{commit}?vcs_url=git%2B{quote(repository, safe='')}%40{commit}"
        )
    else:
        purl = f"pkg:deb/debian/{program}@{quote(label)}?arch=source"
    kept = {file for pattern in KEPT for file in folder.glob(pattern)}
    made_of = {**inputs, **({"commit": commit} if commit else {})}
    return {
        "type": "application",
        "bom-ref": f"build:{program}",
        "name": program,
        "version": label,
        "purl": purl,
        "components": file_components(
            folder, [each for each in kept if each.is_file() and not each.is_symlink()]
        ),
        "properties": [
            {"name": f"kvm:build:{name}", "value": str(value)}
            for name, value in sorted(made_of.items())
        ],
    }


def own(places: list[str]) -> list[dict]:
    roots = [Path(each) for each in places]
    files = [
        file
        for root in roots
        for file in ([root] if root.is_file() else root.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    ]
    return file_components(Path("/"), files)


def bom(wiring: dict, system: dict[str, str], told: str) -> dict:
    builds = [
        found
        for program, link in wiring["builds"].items()
        if (found := build(program, link, wiring["repositories"][program]))
    ]
    product = {
        "type": "application",
        "bom-ref": PRODUCT,
        "name": PRODUCT,
        "version": wiring["version"],
        "components": own(wiring["own"]),
    }
    components = [product, *builds, *packages(told, system)]
    device = {
        "type": "device",
        "bom-ref": "device",
        "name": wiring["name"],
        "version": wiring["version"],
        "description": system.get("PRETTY_NAME", system["ID"]),
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid4().urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": device,
            "tools": {"components": [{"type": "application", "name": f"{PRODUCT} sbom.py"}]},
        },
        "components": components,
        "dependencies": [{"ref": "device", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def main() -> None:
    print(json.dumps(bom(json.loads(sys.argv[1]), os_release(), debian_packages()), indent=1))


if __name__ == "__main__":
    main()

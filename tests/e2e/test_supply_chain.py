# SPDX-License-Identifier: MIT
"""What is on a device, and whether its plugin is the one that these sources make."""

import json

from tests.support import ROOT
from tests.support.ansible import play
from tests.support.bill_of_materials import check_form, components
from tests.support.device import Device, docker

PLUGIN = "libjanus_ustreamer.so"


def test_the_list_of_what_is_on_the_device_is_whole(device: Device, tmp_path):
    play(
        device, playbook=ROOT / "playbooks/sbom.yml", variables={"sbom_dir": str(tmp_path)}
    ).assert_good()
    bom = json.loads((tmp_path / f"sbom-{device.name}.json").read_text())
    check_form(bom)
    found = {each["name"]: each for each in components(bom["components"])}
    versions = device.sh("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n'")
    for status, name, version in map(str.split, versions.splitlines()):
        assert status != "installed" or found[name]["version"] == version
    digests = device.sh(
        "cd /opt/ustreamer && sha256sum plugins/*; cd /opt/janus && sha256sum bin/janus share/janus/javascript/*.js; "
        "cd / && sha256sum opt/tinypilot/tinypilot/*.py usr/local/sbin/tinypilot"
    )
    assert PLUGIN in digests and "janus.js" in digests
    for digest, name in map(str.split, digests.splitlines()):
        assert found[name]["hashes"] == [{"alg": "SHA-256", "content": digest}]


def test_the_plugin_is_the_same_bytes_wherever_it_is_compiled(device: Device):
    """As the one that runs: native_build has compiled that in a folder of its own, as another user."""
    build = json.loads(device.sh("cat /opt/ustreamer/built-from"))
    cflags, _, ldflags = build["inputs"]["flags"].partition(" -Wl")
    sound = "1" if build["inputs"]["sound"] == "True" else ""
    digests = {device.sh(f"sha256sum </opt/ustreamer/plugins/{PLUGIN}")}
    for folder in ("/var/tmp/one", "/var/tmp/quite/another"):
        device.sh(f"rm -rf {folder} && mkdir -p {folder}")
        docker(
            *("cp", str(ROOT / "roles/ustreamer/files/janus_plugin")),
            f"{device.name}:{folder}/source",
        )
        device.sh(
            f"cd {folder} && CFLAGS='{cflags}' LDFLAGS='-Wl{ldflags}' make -C source BUILD={folder}/build WERROR= "
            f"SOUND={sound} JANUS_CFLAGS=-I/opt/janus.builds/desired/include/janus"
        )
        digests.add(device.sh(f"sha256sum <{folder}/build/{PLUGIN}"))
        device.sh(f"rm -rf {folder}")
    assert len(digests) == 1

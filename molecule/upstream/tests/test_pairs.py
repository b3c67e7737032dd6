# SPDX-License-Identifier: MIT
"""Every pair of uStreamer, plugin and Janus streams, or is refused: as roles/ustreamer's data says."""

import pytest
import yaml

from tests.support import ROOT
from tests.support.ansible import play
from tests.support.device import Device

# Of Debian 13.
DEVICE = Device("kvm-upstream")
USTREAMERS = {
    "v5.4": "3d4e9fbb1aada922330c3519f3633189210ed647",
    "v6.36": "271724858176074b5f94dfe2bbb066f1f6db38aa",
    "v6.47": "12cf4492bd6889ff074ca1178713fa1a380a6f1d",
    "v6.62": "b5e12a841270fedea75aa03b05de8fda15a3745e",
}
# By version: the source it comes from.
JANUSES = {"1.1.2": "debian", "1.4.1": "upstream"}
NEWEST_JANUS = list(JANUSES)[-1]
KNOWN = yaml.safe_load((ROOT / "roles/ustreamer/vars/main/compatibility.yml").read_text())


def number(version):
    return tuple(int(part) for part in version.lstrip("v").split("."))


def is_possible(ustreamer, plugin, janus):
    rows = KNOWN["__ustreamer_known_versions"]
    row = [row for row in rows if number(row["since"]) <= number(ustreamer)][-1]
    return plugin == "bundled" or number(janus) >= number(row["janus_minimum"])


# The software encoder writes the sink that uStreamer's version has, and that version's plugin reads it: each pair of
# these two is tried. Janus, which sees neither, is the newest, with which each pair is possible: with the other one too
# there would be eight more plays, to show what those with the chip have shown.
@pytest.mark.parametrize(
    ("janus", "encoder"),
    [*((janus, "auto") for janus in JANUSES), (NEWEST_JANUS, "software")],
)
@pytest.mark.parametrize("ustreamer", USTREAMERS)
@pytest.mark.parametrize("plugin", ["bundled", "upstream"])
def test_pair(janus, encoder, ustreamer, plugin):
    played = play(
        DEVICE,
        variables={
            # A virtual Pi's own is the emulated chip.
            "ustreamer_h264_encoder": encoder,
            "janus_source": JANUSES[janus],
            "ustreamer_plugin": plugin,
            "ustreamer_upstream_version": ustreamer,
            "ustreamer_upstream_commit": USTREAMERS[ustreamer],
        },
    )
    if not is_possible(ustreamer, plugin, janus):
        assert played.code != 0 and played.changed == 0, played.printed
        assert f"the plugin of uStreamer {ustreamer[1:]} needs Janus" in played.output
        return
    assert played.code == 0, played.printed
    assert f"{DEVICE.name}: video flows, 1280x720" in played.output
    assert DEVICE.is_active("ustreamer-encoder") == (encoder == "software")
    assert DEVICE.sh("/opt/ustreamer/bin/ustreamer --version").strip() == ustreamer[1:]
    told = DEVICE.sh("/opt/janus/bin/janus --version; true")
    assert f"Janus version: {janus.split('.')[0]}" in told
    build = DEVICE.sh("readlink /opt/ustreamer")
    assert build.startswith(f"ustreamer.builds/{ustreamer[1:]}-{plugin}-")

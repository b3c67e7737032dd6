# SPDX-License-Identifier: MIT
"""What is known of uStreamer's versions is what the plugin's source says."""

import re
from pathlib import Path

import yaml

ROLE = Path(__file__).parents[2] / "roles/ustreamer"
KNOWN = yaml.safe_load((ROLE / "vars/main/compatibility.yml").read_text())
PLUGIN = ROLE / "files/janus_plugin"


def layouts_of_the_plugin():
    table = re.search(
        r"layouts\[\] = \{\n(.*?)\n\};", (PLUGIN / "memsink.c").read_text(), re.DOTALL
    )
    return {int(number) for number in re.findall(r"^ +\{(\d+),", table[1], re.MULTILINE)}


def test_the_plugin_reads_what_the_data_says():
    assert set(KNOWN["__ustreamer_plugin_layouts"]) == layouts_of_the_plugin()


def test_it_reads_each_layout_of_a_known_version_and_no_other():
    written = {row["memsink_layout"] for row in KNOWN["__ustreamer_known_versions"]}
    assert written == layouts_of_the_plugin()


def test_it_tells_people_the_same():
    words = re.search(r'MEMSINK_KNOWN_VERSIONS "(.*)"', (PLUGIN / "memsink.h").read_text())[1]
    told = set()
    for part in re.split(r", | and ", words):
        first, _, last = part.partition("-")
        told |= set(range(int(first), int(last or first) + 1))
    assert told == layouts_of_the_plugin()


def test_a_newer_row_is_of_a_newer_version():
    """The row of a version is the last that is not above it."""
    since = [
        tuple(map(int, row["since"].split("."))) for row in KNOWN["__ustreamer_known_versions"]
    ]
    assert since == sorted(set(since))
    assert KNOWN["__ustreamer_newest_known"] == KNOWN["__ustreamer_known_versions"][-1]["since"]

# SPDX-License-Identifier: MIT
"""fetch_source.sh says which of the things that a mirror may lack it lacks. apt is a stand-in here."""

import os
import stat
import subprocess

import pytest

from tests.support import ROOT

SCRIPT = ROOT / "roles/janus/files/fetch_source.sh"
APT_GET = """#!/bin/sh
case "$*" in
    indextargets*) echo "$MIRROR" ;;
    *update) exit "$UPDATE" ;;
    *source*) [ "$DELIVERS" = yes ] && echo tarball >janus_1.1.2.orig.tar.gz ;;
esac
"""
APT_CACHE = '#!/bin/sh\nfor version in $VERSIONS; do echo "Version: $version"; done\n'


@pytest.fixture
def fetch(tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {"apt-get": APT_GET, "apt-cache": APT_CACHE, "chown": "#!/bin/sh\n"}.items():
        program = programs / name
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    folder = tmp_path / "source"
    folder.mkdir()

    def run(mirror="http://mirror.example/debian", update=0, versions="1.1.2-1", delivers="yes"):
        ended = subprocess.run(
            ["sh", SCRIPT, "janus", "1.1.2-1", "bookworm"],
            cwd=folder,
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "MIRROR": mirror,
                "UPDATE": str(update),
                "VERSIONS": versions,
                "DELIVERS": delivers,
            },
            capture_output=True,
            text=True,
            timeout=20,
        )
        return ended.returncode, ended.stderr.strip(), sorted(p.name for p in folder.iterdir())

    return run


def test_a_tarball_that_comes_is_there(fetch):
    code, said, files = fetch()
    assert (code, said) == (0, "")
    assert "janus_1.1.2.orig.tar.gz" in files and "download" not in files


@pytest.mark.parametrize(
    ("lacks", "sentence"),
    [
        ({"mirror": ""}, "name no Debian mirror"),
        ({"update": 100}, "can't be reached"),
        ({"delivers": "no", "versions": "1.1.1-2 1.1.3-1"}, "it has: 1.1.1-2 1.1.3-1."),
        ({"delivers": "no", "versions": ""}, "it has: none."),
        # A version whose name begins like the one that is asked for.
        ({"delivers": "no", "versions": "1.1.2-10"}, "it has: 1.1.2-10."),
        (
            {"delivers": "no", "versions": "1.1.1-2 1.1.2-1"},
            "lists the source of janus 1.1.2-1, but",
        ),
    ],
)
def test_what_a_mirror_lacks_is_said(fetch, lacks, sentence):
    code, said, files = fetch(**lacks)
    assert code == 1
    assert len(said.splitlines()) == 1 and sentence in said
    assert not any(name.endswith(".tar.gz") for name in files)

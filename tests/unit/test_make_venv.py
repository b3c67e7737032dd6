# SPDX-License-Identifier: MIT
"""The virtual environment comes from where the operator's pip is told to look, and holds what the lock file says."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = """\
ansible-core==2.19.14 \\
    --hash=sha256:aa
uv==0.13.9 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
yarl==1.0 \\
    --hash=sha256:dd
"""


@pytest.fixture
def make(tmp_path):
    """Makes one with a stand-in for Python: make(index of pip.conf, UV_...=...) returns what pip and uv were asked."""
    (tmp_path / "requirements.txt").write_text(LOCK)
    asked = tmp_path / "asked"
    programs = {
        "python3": 'case "$2" in venv) mkdir -p "$3/bin" && cp pip uv "$3/bin/" ;; esac',
        "pip": 'shift\n[ "$*" != "config get global.index-url" ] || { [ "$INDEX" ] && echo "$INDEX"; exit; }\n'
        '[ "$1" != config ] || exit 1\necho "pip $*" >> asked\n'
        'echo "$PIP_USER ${PIP_TARGET-here}" >> where\n'
        'for last; do :; done; cp "$last" installed',
        "uv": 'echo "uv $* from ${UV_DEFAULT_INDEX-}" >> asked\n'
        '[ ! -e uv-fails ] || { echo "no such index" >&2; exit 1; }',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def run(index="", **environment):
        done = subprocess.run(
            ["sh", ROOT / "tools/make_venv.sh", "./python3", "venv"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "INDEX": index, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return asked.read_text().splitlines(), done.stdout

    return run


def test_uv_itself_is_installed_by_its_hash(make, tmp_path):
    asked, _ = make()
    assert asked[0].startswith("pip install --quiet --require-hashes")
    assert (tmp_path / "installed").read_text() == "".join(LOCK.splitlines(True)[2:5])
    assert len(asked) == 2


def test_pip_installs_into_the_environment_whatever_it_does_elsewhere(make, tmp_path):
    """In one pip refuses to install for a user, as many have it in their pip.conf."""
    make(PIP_USER="1", PIP_TARGET="/elsewhere")
    assert (tmp_path / "where").read_text() == "0 here\n"


@pytest.mark.parametrize(
    ("environment", "index"),
    [
        ({}, "https://index.example/simple"),
        # Of uv's own settings none is overridden.
        ({"UV_DEFAULT_INDEX": "https://other.example/simple"}, "https://other.example/simple"),
        ({"UV_INDEX_URL": "https://other.example/simple"}, ""),
    ],
)
def test_uv_looks_where_pip_is_told_to_look(make, environment, index):
    asked, _ = make("https://index.example/simple", **environment)
    assert asked[1].endswith(f"--require-hashes requirements.txt from {index}")


def test_without_an_index_of_the_operators_uv_has_its_own(make):
    assert make()[0][1].endswith("requirements.txt from ")


def test_what_uv_can_not_do_pip_does_by_the_same_hashes(make, tmp_path):
    (tmp_path / "uv-fails").touch()
    asked, said = make("https://index.example/simple")
    assert asked[2] == "pip install --quiet --require-hashes --requirement requirements.txt"
    assert "uv can't install the lock file (no such index)" in said

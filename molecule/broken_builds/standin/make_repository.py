#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the git repository of a stand-in for uStreamer, with a known defect per commit.

    make_repository.py FOLDER

The tags are versions that the ustreamer role knows and whose options Debian's uStreamer 5.4 understands, which the
stand-in runs. The work tree is left dirty: what is not committed must not be built.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Tag -> what is wrong with the commit (see ustreamer.c and Makefile).
DEFECTS = {
    "v5.4": "none",
    "v5.4.1": "none",
    "v5.4.2": "crashing",
    "v5.4.3": "hanging",
    "v5.4.4": "frameless",
    "v5.4.5": "sinkless",
    "v5.4.6": "blind",
    "v5.4.7": "uncompilable",
    "v5.4.8": "voiceless",
    "v5.4.9": "endless",
    "v5.4.10": "greedy",
    "v5.4.11": "library",
}


def git(folder, *arguments):
    """The output of git; the maker of commits is nobody in particular, whoever runs this."""
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Stand-in"), ("EMAIL", "stand-in@example.org"))
    }
    return subprocess.run(
        ["git", "-C", str(folder), "-c", "commit.gpgsign=false", *arguments],
        env={**os.environ, **identity},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def commit_of(folder, tag):
    return git(folder, "rev-parse", f"{tag}^{{commit}}")


def make(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=master")
    for name in ("Makefile", "ustreamer.c"):
        shutil.copy(HERE / name, folder)
    for tag, defect in DEFECTS.items():
        (folder / "defect.mk").write_text(f"# {tag}\nDEFECT = {defect}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", f"--message=Stand-in {tag}: {defect}")
        git(folder, "tag", tag)
    (folder / "ustreamer.c").write_text("#error this was never committed\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))

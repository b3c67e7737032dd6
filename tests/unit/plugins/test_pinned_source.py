# SPDX-License-Identifier: MIT
"""The commit that was asked for, complete, or a sentence: with a repository that git makes here."""

import os
import subprocess

import pytest

from plugins.modules import pinned_source
from plugins.modules.pinned_source import Repository, fetch

UNKNOWN = "0123456789012345678901234567890123456789"
UNTOUCHED = " Nothing was built, and what runs is untouched."


class Upstream:
    """A repository of somebody else with a commit on a branch for each tag, and one more without a tag."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.git("init", "--quiet", "--initial-branch=main", self.folder)
        self.commits = {}
        for tag in ("v1", "v2", ""):
            (folder / "program.c").write_text(f"int version; /* {tag} */\n")
            self.git("add", ".")
            self.git("commit", "--quiet", f"--message=Version {tag}")
            self.commits[tag] = self.git("rev-parse", "HEAD")
            if tag:
                self.git("tag", tag)

    def git(self, *arguments):
        identity = {
            f"GIT_{who}_{what}": "somebody@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        command = ["git", "-c", "commit.gpgsign=false", "-C", self.folder, *arguments]
        return subprocess.run(
            command,
            env={**os.environ, **identity},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()


class HereRepository(Repository):
    """Runs git as the user who tests, without systemd, and with the configuration that the module wrote."""

    def __init__(self, module, folder):
        super().__init__(module)
        self.cache = self.private = str(folder)
        self.folder, self.config = f"{folder}/repository.git", f"{folder}/gitconfig"
        self.commands = []

    def run(self, *command, options=()):
        self.commands.append(command)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.cache,
            "GIT_CONFIG_GLOBAL": self.config,
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def upstream(tmp_path):
    (tmp_path / "upstream").mkdir()
    return Upstream(tmp_path / "upstream")


@pytest.fixture
def repository(tmp_path, make_module):
    (tmp_path / "cache").mkdir()
    repository = HereRepository(make_module(name="program"), tmp_path / "cache")
    repository.make()
    return repository


def refused(failure, repository, *arguments):
    with pytest.raises(failure) as end:
        fetch(repository, *arguments)
    return end.value.args[0]


def test_a_tag_that_is_the_pinned_commit_is_fetched_alone(repository, upstream):
    fetch(repository, upstream.folder, "v1", upstream.commits["v1"])
    assert repository.has(upstream.commits["v1"])
    assert not repository.has(upstream.commits["v2"])
    assert repository.git("rev-list", "--all", "--count")[1].strip() == "1"


def test_what_is_there_needs_no_network(repository, upstream):
    fetch(repository, upstream.folder, "v1", upstream.commits["v1"])
    repository.commands.clear()
    assert repository.has(upstream.commits["v1"])
    assert not [command for command in repository.commands if "fetch" in command]


def test_a_commit_without_a_tag_is_found_in_a_branch(repository, upstream):
    fetch(repository, upstream.folder, "main-of-today", upstream.commits[""])
    assert repository.has(upstream.commits[""])


def test_an_unreachable_repository(repository, failure, tmp_path):
    nothing = f"{tmp_path}/nothing"
    assert refused(failure, repository, nothing, "v1", UNKNOWN) == (
        f"{nothing} can't be fetched (fatal: '{nothing}' does not appear to be a git repository): check the address "
        "and the network, or name a mirror." + UNTOUCHED
    )


def test_a_tag_of_another_commit(repository, upstream, failure):
    assert refused(failure, repository, upstream.folder, "v1", UNKNOWN) == (
        f"Tag v1 of {upstream.folder} is commit {upstream.commits['v1']}, not {UNKNOWN}, which is pinned: the tag was "
        "moved, or version and commit do not belong together." + UNTOUCHED
    )


def test_a_tag_that_moved(repository, upstream, failure):
    upstream.git("tag", "--force", "v1", upstream.commits["v2"])
    assert refused(failure, repository, upstream.folder, "v1", upstream.commits["v1"]).startswith(
        f"Tag v1 of {upstream.folder} is commit {upstream.commits['v2']}, not {upstream.commits['v1']}, which is pinned"
    )


def test_an_unknown_commit(repository, upstream, failure):
    assert refused(failure, repository, upstream.folder, "v9", UNKNOWN) == (
        f"{upstream.folder} has no commit {UNKNOWN}, and no tag v9." + UNTOUCHED
    )


def test_an_annotated_tag_stands_for_its_commit(repository, upstream):
    upstream.git("tag", "--annotate", "--message=release", "v3", upstream.commits["v2"])
    fetch(repository, upstream.folder, "v3", upstream.commits["v2"])
    assert repository.has(upstream.commits["v2"])


def test_a_fetch_that_was_killed_is_not_taken_for_complete(repository, upstream):
    fetch(repository, upstream.folder, "v1", upstream.commits["v1"])
    blob = repository.git("rev-parse", "v1:program.c")[1].strip()
    path = f"{repository.folder}/objects/{blob[:2]}/{blob[2:]}"
    os.chmod(path, 0o600)
    os.truncate(path, 0)
    assert not repository.has(upstream.commits["v1"])
    # It is made anew, not mended.
    repository.make()
    fetch(repository, upstream.folder, "v1", upstream.commits["v1"])
    assert repository.has(upstream.commits["v1"])


def test_git_works_for_the_build_alone(make_module):
    """As a user that can write nowhere else, for a limited time."""
    module = make_module(name="program", answers={"systemd-run": (0, "", "")})
    Repository(module).fetch("address")
    [command] = module.commands
    assert command.index("--unit=program-fetch.service") < command.index("git")
    for property in ("DynamicUser=yes", "ProtectHome=yes", "NoNewPrivileges=yes"):
        assert f"--property={property}" in command
    assert "--property=RuntimeMaxSec=900" in command
    assert "--setenv=GIT_TERMINAL_PROMPT=0" in command


# --- The module whole ---


@pytest.fixture
def run_pinned(run_module, monkeypatch, tmp_path, upstream):
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(
        pinned_source, "Repository", lambda module: HereRepository(module, tmp_path / "cache")
    )

    def run(check_mode=False, without="", **params):
        given = {
            "name": "program",
            "repository": upstream.folder,
            "version": "v1",
            "commit": upstream.commits["v1"],
            **params,
        }
        given = {name: value for name, value in given.items() if name != without}
        return run_module(pinned_source, check_mode, **given)

    return run


def test_a_commit_is_fetched_once(run_pinned, upstream):
    for changed in (True, False):
        answer = run_pinned()
        assert (answer["changed"], answer["commit"]) == (changed, upstream.commits["v1"])
        # One that an interrupted play left behind would hold the repository.
        assert answer["commands"] == ["systemctl stop program-fetch.service"]


def test_check_mode_fetches_nothing(run_pinned, tmp_path):
    answer = run_pinned(True)
    assert (answer["changed"], answer["commands"]) == (True, [])
    assert os.listdir(tmp_path / "cache") == []


@pytest.mark.parametrize("name", ["name", "repository", "version", "commit"])
def test_what_the_module_has_to_be_given(run_pinned, name):
    assert run_pinned(without=name)["msg"] == f"missing required arguments: {name}"


def test_without_git_nothing_is_there(repository, upstream, monkeypatch):
    fetch(repository, upstream.folder, "v1", upstream.commits["v1"])
    monkeypatch.setattr("shutil.which", lambda _: None)
    repository.commands.clear()
    assert not repository.has(upstream.commits["v1"])
    assert repository.commands == []


def test_a_repository_that_can_not_be_made(repository, failure, tmp_path):
    (tmp_path / "cache/gitconfig.lock").touch()
    with pytest.raises(failure) as end:
        repository.make()
    assert end.value.args[0].startswith(f"No repository can be made in {tmp_path}/cache: error: ")


@pytest.mark.parametrize(
    ("complaints", "line"),
    [
        ("", "no reason was given"),
        (" \n", "no reason was given"),
        ("hint: do so\n  something is wrong \n", "something is wrong"),
        ("warning: a\nerror: b\nfatal: c\n", "error: b"),
    ],
)
def test_of_what_git_says_the_reason_is_shown(complaints, line):
    assert pinned_source.reason(complaints) == line


def test_a_repository_that_lacks_a_part(repository, upstream, failure, monkeypatch):
    monkeypatch.setattr(HereRepository, "is_complete", lambda *_: False)
    assert refused(failure, repository, upstream.folder, "v1", upstream.commits["v1"]) == (
        f"{upstream.folder} is incomplete: parts of commit {upstream.commits['v1']} are missing in it."
        + UNTOUCHED
    )

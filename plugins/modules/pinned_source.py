#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Have a pinned commit of a git repository on the host, complete and the very one that was asked for."""

import shutil

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: pinned_source
short_description: Have a pinned commit of a git repository on the host
description:
  - Fetches one commit into a bare repository below the cache folder of a build (M(kvm.appliance.native_build)), as a
    user that exists for this alone and can write nowhere else. There is no work tree, so nothing in it can be changed.
  - A tag that is not the pinned commit is refused, so a tag that was moved can't bring in other code. Without network
    when the commit is there already, and complete.
options:
  name:
    description: Name of the build.
    type: str
    required: true
  repository:
    description: Address of the repository, or a folder on the host.
    type: str
    required: true
  version:
    description: Tag of the commit. When the repository has no such tag, the commit is looked for in its branches.
    type: str
    required: true
  commit:
    description: The commit, 40 hexadecimal digits.
    type: str
    required: true
"""

RETURN = r"""
commit:
  description: The commit.
  type: str
  returned: always
"""

FETCH_SECONDS = 900


class Repository:
    def __init__(self, module):
        self.module = module
        self.name = module.params["name"]
        self.cache = f"/var/cache/{self.name}-build"
        self.folder = f"{self.cache}/repository.git"
        self.config = f"{self.cache}/gitconfig"
        self.unit = f"{self.name}-fetch.service"

    def run(self, *command, options=()):
        """Exit code, standard output, standard error of a command as the build's user."""
        return self.module.run_command(
            [
                "systemd-run",
                "--quiet",
                "--wait",
                "--pipe",
                "--collect",
                *options,
                "--property=DynamicUser=yes",
                f"--property=User={self.name}-build",
                f"--property=CacheDirectory={self.name}-build",
                "--property=ProtectHome=yes",
                "--property=NoNewPrivileges=yes",
                f"--property=RuntimeMaxSec={FETCH_SECONDS}",
                f"--setenv=HOME={self.cache}",
                # The only way to tell git's other end that a repository of somebody else is meant.
                f"--setenv=GIT_CONFIG_GLOBAL={self.config}",
                "--setenv=GIT_TERMINAL_PROMPT=0",
                "--setenv=LC_ALL=C.UTF-8",
                *command,
            ]
        )

    def git(self, *arguments):
        return self.run("git", f"--git-dir={self.folder}", *arguments)

    def fetch(self, *arguments):
        """In a unit of a known name, so that one which an interrupted play left behind can be ended."""
        return self.run(
            "git",
            f"--git-dir={self.folder}",
            "fetch",
            "--quiet",
            "--no-tags",
            *arguments,
            options=[f"--unit={self.unit}"],
        )

    def resolve(self, name):
        """The commit that `name` stands for; empty when there is none."""
        code, out, _ = self.git("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
        return out.strip() if code == 0 else ""

    def is_complete(self, commit):
        """Whether everything the commit consists of can be read: a fetch may have been killed, the power lost."""
        return self.git("archive", "--format=tar", "--output=/dev/null", commit)[0] == 0

    def make(self):
        shutil.rmtree(f"/var/cache/private/{self.name}-build/repository.git", ignore_errors=True)
        for command in (
            ("git", "config", "--file", self.config, "safe.directory", "*"),
            # A server that says nothing any more is given up.
            ("git", "config", "--file", self.config, "http.lowSpeedLimit", "1000"),
            ("git", "config", "--file", self.config, "http.lowSpeedTime", "30"),
            ("git", "init", "--quiet", "--bare", self.folder),
        ):
            code, _, err = self.run(*command)
            if code:
                self.fail(f"No repository can be made in {self.cache}: {reason(err)}")

    def fail(self, text):
        self.module.fail_json(msg=f"{text} Nothing was built, and what runs is untouched.")


def reason(complaints):
    """The line that says what is wrong: git's own come first, advice follows them."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    return next(
        (line for line in lines if line.startswith(("fatal:", "error:"))),
        (lines or ["no reason was given"])[-1],
    )


def fetch(repository, address, version, commit):
    """Brings the commit in, or fails with a sentence."""
    code, _, err = repository.fetch(
        "--depth=1", address, f"+refs/tags/{version}:refs/tags/{version}"
    )
    if code == 0:
        found = repository.resolve(f"refs/tags/{version}")
        if found != commit:
            repository.fail(
                f"Tag {version} of {address} is commit {found}, not {commit}, which is pinned: the tag was moved, or "
                "version and commit do not belong together."
            )
    elif "couldn't find remote ref" in err:
        code, _, err = repository.fetch(address, "+refs/heads/*:refs/remotes/origin/*")
    if code:
        repository.fail(
            f"{address} can't be fetched ({reason(err)}): check the address and the network, or name a mirror."
        )
    if repository.resolve(commit) != commit:
        repository.fail(f"{address} has no commit {commit}, and no tag {version}.")
    if not repository.is_complete(commit):
        repository.fail(f"{address} is incomplete: parts of commit {commit} are missing in it.")


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "repository": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    commit = module.params["commit"]
    repository = Repository(module)
    if not module.check_mode:
        module.run_command(["systemctl", "stop", repository.unit])
    has_git = shutil.which("git")
    if has_git and repository.resolve(commit) == commit and repository.is_complete(commit):
        module.exit_json(changed=False, commit=commit)
    if not module.check_mode:
        repository.make()
        fetch(repository, module.params["repository"], module.params["version"], commit)
    module.exit_json(changed=True, commit=commit)


if __name__ == "__main__":
    main()

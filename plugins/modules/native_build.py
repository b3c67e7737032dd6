#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Compile a program on the host, beside the one that runs."""

import hashlib
import json
import os
import re
import shutil

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.builds import STAMP, BuildsFolder
from ..module_utils.prebuilt import Refused, files_checksum, library_packages, read

DOCUMENTATION = r"""
module: native_build
short_description: Compile a program on the host, beside the one that runs
description:
  - Builds live side by side in C(LINK.builds); C(LINK.builds/desired) points to the one that was asked for last.
    Which one runs is decided by M(kvm.appliance.active_build) alone, so a build that fails, or is interrupted, changes
    nothing.
  - A build is there when its inputs, the compiler and the names of the library packages (which change with the ABI)
    are the same, every object finds its libraries, and the program answers. What can't be known, because the compiler
    was removed after the build, counts as unchanged.
  - The script runs as a user that exists for this alone, without network, with the lowest priority. It finds an empty
    C($CACHE_DIRECTORY/tree) and puts what is to be kept into C($CACHE_DIRECTORY/stage).
  - With O(prebuilt) nothing is compiled. The tarball of M(kvm.appliance.packed_build) is checked on the controller in
    each state, and is put where a build of the same inputs would be put.
options:
  state:
    description:
      - C(inspected) tells whether a build is needed, C(begun) starts one, C(finished) tells how far it is and keeps it
        when it is through (call it until RV(done)).
      - C(checked) only checks O(prebuilt), on the controller, and C(brought) puts what is in it among the builds.
    type: str
    choices: [checked, inspected, begun, finished, brought]
    required: true
  name:
    description: Name of the program. The transient unit that builds is C(NAME-build).
    type: str
    required: true
  link:
    description: Path of the link to the active build.
    type: path
    required: true
  label:
    description: How a person calls this build, such as its version.
    type: str
    required: true
  inputs:
    description: What the build is made from. A change of any value leads to a new build.
    type: dict
    required: true
  trees:
    description: Folders whose content belongs to the inputs.
    type: list
    elements: path
    default: []
  packages:
    description: Debian packages with the headers of the libraries it is linked with.
    type: list
    elements: str
    required: true
  objects:
    description: Programs and libraries, relative to the build, that have to be loadable.
    type: list
    elements: str
    required: true
  program:
    description: Program, relative to the build, that has to answer C(--version).
    type: str
    required: true
  script:
    description: Shell script that builds.
    type: str
    default: ""
  environment:
    description: Environment of the script.
    type: dict
    default: {}
  free_mib:
    description: Space, in MiB, that a build needs.
    type: int
    default: 0
  prebuilt:
    description: Tarball on the controller with a build that was made elsewhere. Empty means to compile.
    type: path
    default: ""
  links:
    description: Links of the build that lead out of it, by relative path. A tarball may have no other.
    type: dict
    default: {}
  sources:
    description:
      - Where the controller finds what will be in O(trees) when a build is made, so that a tarball that was made from
        something else is refused before anything is changed.
      - By the folder in O(trees), a C(folder) of the controller with what to C(exclude), or a C(folder) within the
        tarball C(prebuilt_file); where that is empty, only the device knows.
    type: dict
    default: {}
  stamp:
    description: Filled in by the action. What the tarball says that it was made from.
    type: dict
    default: {}
"""

RETURN = r"""
needed:
  description: Whether there is no such build.
  type: bool
  returned: always
why:
  description: Why one is needed.
  type: str
  returned: when needed
settled:
  description: Whether there is such a build, and it is the desired one already.
  type: bool
  returned: when state is inspected
done:
  description: Whether the build is finished.
  type: bool
  returned: when state is finished
progress:
  description: The last line that the build wrote.
  type: str
  returned: when state is finished
packages:
  description: Debian packages of the libraries that the build in O(prebuilt) is linked with.
  type: list
  elements: str
  returned: when state is inspected, with O(prebuilt)
"""

OPTIONS = {
    "state": {
        "type": "str",
        "choices": ["checked", "inspected", "begun", "finished", "brought"],
        "required": True,
    },
    "name": {"type": "str", "required": True},
    "link": {"type": "path", "required": True},
    "label": {"type": "str", "required": True},
    "inputs": {"type": "dict", "required": True},
    "trees": {"type": "list", "elements": "path", "default": []},
    "packages": {"type": "list", "elements": "str", "required": True},
    "objects": {"type": "list", "elements": "str", "required": True},
    "program": {"type": "str", "required": True},
    "script": {"type": "str", "default": ""},
    "environment": {"type": "dict", "default": {}},
    "free_mib": {"type": "int", "default": 0},
    "prebuilt": {"type": "path", "default": ""},
    "links": {"type": "dict", "default": {}},
    "sources": {"type": "dict", "default": {}},
    "stamp": {"type": "dict", "default": {}},
}
UNTOUCHED = "What ran before still runs, untouched."


def tree_checksum(folder):
    """SHA-256 over names and contents of all files below `folder`; empty when there is none."""
    digests = {}
    for path, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(path, name), "rb") as file:
                digest = hashlib.sha256(file.read()).digest()
            digests[os.path.relpath(os.path.join(path, name), folder)] = digest
    return files_checksum(digests)


def last_line(text):
    return text.strip().rpartition("\n")[2].strip()


class Build:
    def __init__(self, module):
        self.module, self.wish = module, module.params
        self.name = self.wish["name"]
        self.unit = f"{self.name}-build.service"
        self.cache = f"/var/cache/private/{self.name}-build"
        self.script = f"/run/{self.name}-build.sh"
        self.builds = BuildsFolder(self.wish["link"], module.check_mode)

    # --- The host ---

    def run(self, *command):
        return self.module.run_command(list(command))

    def run_as_nobody(self, *command):
        return self.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command)

    def fail(self, text, **more):
        self.module.fail_json(msg=f"{text} {UNTOUCHED}", **more)

    def compiler(self):
        """Version of the compiler; empty without one."""
        return self.run("gcc", "-dumpfullversion")[1].strip() if shutil.which("gcc") else ""

    def libraries(self):
        """Names of the library packages that the headers in place belong to; empty when headers are missing."""
        code, out, _ = self.run(
            "dpkg-query",
            "--show",
            "--showformat=${db:Status-Status} ${Depends}\\n",
            *self.wish["packages"],
        )
        lines = out.splitlines()
        if code or not all(line.startswith("installed ") for line in lines):
            return ""
        return " ".join(sorted(set(re.findall(r"\blib[\w.+-]+", out)) - set(self.wish["packages"])))

    # --- What is there ---

    def inputs(self):
        trees = {folder: tree_checksum(folder) for folder in self.wish["trees"]}
        return {key: str(value) for key, value in {**self.wish["inputs"], **trees}.items()}

    def description(self):
        """What tells the unit of this build from that of another."""
        digest = hashlib.sha256(json.dumps(self.inputs(), sort_keys=True).encode()).hexdigest()
        return f"{self.name} {self.wish['label']} {digest[:8]}"

    def defect(self, build):
        """Why the build can't run here, or nothing."""
        for name in self.wish["objects"]:
            path = os.path.join(build, name)
            if not os.path.exists(path):
                return f"{name} is missing"
            code, out, err = self.run_as_nobody("ldd", path)
            lost = re.findall(r"(\S+) => not found", out)
            if lost:
                return f"{name} needs {lost[0]}, which is gone"
            # As in a build of a device whose packages are newer.
            old = re.findall(r"(\S+): version `(\S+)' not found", out + err)
            if old:
                return f"{name} needs {old[0][1]} of {old[0][0]}, which is too old for it"
            if code:
                return f"{name} is damaged ({last_line(err or out)})"
        path = os.path.join(build, self.wish["program"])
        code, out, err = self.run_as_nobody("timeout", "10", path, "--version")
        if code and not out:
            return f"{self.wish['program']} does not start ({last_line(err) or code})"
        return ""

    def difference(self, name, inputs):
        """What the build was made from that is different now, in words; nothing when all is the same."""
        stamp = self.builds.stamp(name) if name else {}
        if not stamp:
            return "nothing is built yet"
        now = {**inputs, "compiler": self.compiler(), "libraries": self.libraries()}
        was = {**stamp["inputs"], "compiler": stamp["compiler"], "libraries": stamp["libraries"]}
        for key in sorted({*now, *was}):
            if key in ("compiler", "libraries") and not now[key]:
                continue
            if now.get(key) != was.get(key):
                return f"{key} changed"
        return self.defect(self.builds.build(name))

    def inspect(self):
        """Name of the build that was asked for, or why there is none."""
        inputs = self.inputs()
        parent = os.path.dirname(self.wish["link"])
        while not os.path.exists(parent):
            parent = os.path.dirname(parent)
        if os.path.exists(self.wish["link"]) and not os.path.islink(self.wish["link"]):
            self.fail(
                f"{self.wish['link']} is there and no link to a build: name another path for {self.name}, or move it "
                "away."
            )
        if not os.access(parent, os.W_OK):
            self.fail(
                f"{parent} can't be written to, and {self.wish['link']} is to be made in it: name another path for "
                f"{self.name}, or mount it for writing."
            )
        if self.wish["stamp"]:
            return self.inspect_prebuilt(inputs)
        for name in self.builds.names():
            if self.builds.stamp(name) and not self.difference(name, inputs):
                return name, ""
        return "", self.difference(self.builds.active(), inputs)

    def inspect_prebuilt(self, inputs):
        """The same for a build that was made elsewhere: the very one, because it knows what it was compiled with."""
        stamp, why = self.wish["stamp"], "it is not there yet"
        for folder in self.wish["trees"]:
            # What is not there yet, or never, can't be compared.
            if inputs[folder] and inputs[folder] != stamp["inputs"].get(folder):
                self.fail(
                    f"{self.name}_prebuilt is no build of what this device has in {folder}: make it again with "
                    "playbooks/prebuilt.yml, from a device that has the same."
                )
        for name in self.builds.names():
            if self.builds.stamp(name) == stamp:
                why = self.defect(self.builds.build(name))
                if not why:
                    return name, ""
        return "", why

    # --- Building ---

    def begin(self):
        free = shutil.disk_usage("/var/cache").free // 2**20
        if free < self.wish["free_mib"]:
            self.fail(
                f"{free} MiB are free on /var/cache, and building {self.name} needs {self.wish['free_mib']} MiB: make "
                "room, then run the play again."
            )
        # One that an interrupted play left behind.
        self.run("systemctl", "stop", self.unit)
        self.run("systemctl", "reset-failed", self.unit)
        self.clear()
        with open(self.script, "w") as file:
            file.write(self.wish["script"])
        code, _, err = self.run(
            "systemd-run",
            "--quiet",
            f"--unit={self.unit}",
            f"--description={self.description()}",
            "--remain-after-exit",
            "--property=DynamicUser=yes",
            f"--property=User={self.name}-build",
            f"--property=CacheDirectory={self.name}-build",
            "--property=PrivateNetwork=yes",
            "--property=ProtectHome=yes",
            "--property=NoNewPrivileges=yes",
            # The picture goes on while this runs, and a board of 1 GB survives it.
            "--property=Nice=19",
            "--property=CPUWeight=20",
            "--property=IOWeight=20",
            "--property=MemoryMax=75%",
            "--setenv=LC_ALL=C.UTF-8",
            *(f"--setenv={key}={value}" for key, value in self.wish["environment"].items()),
            "/bin/sh",
            self.script,
        )
        if code:
            self.fail(f"The build of {self.name} can't be started: {err.strip()}")

    def state(self):
        out = self.run(
            "systemctl",
            "show",
            "--timestamp=unix",
            "--property=ActiveState,SubState,Result,InactiveExitTimestamp,LoadState,Description",
            self.unit,
        )[1]
        return dict(line.split("=", 1) for line in out.splitlines())

    def log(self, state):
        """What the build said. Not found by its invocation: the last words of a process that has ended lack it."""
        began = state["InactiveExitTimestamp"]
        if not began:
            return []
        return self.run(
            "journalctl",
            "--output=cat",
            "--lines=40",
            f"--since={began}",
            f"_SYSTEMD_UNIT={self.unit}",
        )[1].splitlines()

    def finish(self):
        """Whether the build is through, and its last line. Fails with a sentence when the build did."""
        state = self.state()
        if state["LoadState"] != "not-found" and state["Description"] != self.description():
            self.fail(
                f"Another play builds {state['Description']} on this device: run this one again when that is through."
            )
        log = self.log(state)
        if state["ActiveState"] in ("activating", "active") and state["SubState"] != "exited":
            return False, log[-1] if log else ""
        if state["LoadState"] == "not-found":
            self.fail(
                f"The build of {self.name} was ended before it was through: run the play again."
            )
        if state["Result"] != "success":
            # Its last words may be on their way still.
            self.run("journalctl", "--sync")
            self.explain(state, self.log(state))
        try:
            self.keep()
        finally:
            self.clear()
            self.run("systemctl", "stop", self.unit)
        return True, log[-1] if log else ""

    def explain(self, state, log):
        self.run("systemctl", "reset-failed", self.unit)
        # It may be what fills the disk.
        self.clear()
        text = "\n".join(log)
        if "No space left on device" in text:
            self.fail(
                f"The disk ran full while {self.name} was compiled: make room on /var, then run the play again."
            )
        if state["Result"] in ("signal", "oom-kill") or "Killed" in text:
            self.fail(
                f"The build of {self.name} was killed ({state['Result']}), most likely for lack of memory: end other "
                "programs on the device, then run the play again."
            )
        reason = next(
            (line for line in log if re.search(r"\berror\b|\*\*\*", line)),
            log[-1] if log else "no output",
        )
        self.fail(
            f"{self.name} {self.wish['label']} can't be compiled ({reason.strip()}): `journalctl -u {self.unit}` has "
            "the whole story.",
            stdout_lines=log[-20:],
        )

    def keep(self):
        """Keeps the finished build."""
        stage = os.path.join(self.cache, "stage")
        stamp = {
            "inputs": self.inputs(),
            "compiler": self.compiler(),
            "libraries": self.libraries(),
        }
        self.put(stamp, lambda build: shutil.copytree(stage, build, symlinks=True), "was compiled")

    def bring(self):
        """Keeps the build that was made elsewhere."""
        try:
            build = read(self.wish["prebuilt"], self.name, self.wish["links"])
        except Refused as error:
            self.fail(f"{self.name}_prebuilt did not come as it was sent: {error}")
        else:
            self.put(build.stamp, build.unpack, "was brought")

    def put(self, stamp, fill, how):
        """Puts a build beside the others, as root's, and makes it the desired one. fill: makes its folder."""
        digest = hashlib.sha256(json.dumps(stamp, sort_keys=True).encode()).hexdigest()
        name = f"{self.wish['label']}-{digest[:8]}"
        build = self.builds.build(name)
        for left in (build + ".new", build + ".old"):
            shutil.rmtree(left, ignore_errors=True)
        try:
            os.makedirs(self.builds.path, mode=0o755, exist_ok=True)
            fill(build + ".new")
            for folder, _, files in os.walk(build + ".new"):
                for path in (os.path.join(folder, name) for name in ["", *files]):
                    if not os.path.islink(path):
                        # Nothing of what its maker set but whether it can be executed: no setuid bit gets through.
                        os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
            with open(os.path.join(build + ".new", STAMP), "w") as file:
                json.dump(stamp, file, indent=1, sort_keys=True)
        except OSError as error:
            shutil.rmtree(build + ".new", ignore_errors=True)
            # copytree gathers what went wrong with each file.
            reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error
            self.fail(
                f"{self.name} can't be put into {self.builds.path} ({reason}): make room or repair it."
            )
        defect = self.defect(build + ".new")
        if defect:
            shutil.rmtree(build + ".new", ignore_errors=True)
            self.fail(f"{self.name} {self.wish['label']} {how}, but {defect}.")
        self.hold_libraries(build + ".new")
        if os.path.exists(build):
            # It could not run any more.
            self.builds.forget_known_good(name)
            os.rename(build, build + ".old")
        # A power cut must not leave the name of a build with empty files behind it.
        os.sync()
        os.rename(build + ".new", build)
        shutil.rmtree(build + ".old", ignore_errors=True)
        self.builds.set_desired(name)

    def clear(self):
        """Removes what the script left in the cache folder."""
        for left in ("tree", "stage", "destination"):
            shutil.rmtree(os.path.join(self.cache, left), ignore_errors=True)

    def hold_libraries(self, build):
        """Marks the packages of the libraries as installed by hand: apt sees no program that needs them, and would
        remove them together with their headers."""
        objects = [os.path.join(build, name) for name in self.wish["objects"]]
        packages = library_packages(self.run, objects)
        if packages:
            self.run("apt-mark", "manual", *packages)


def main():
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    # Services and the user that builds read what is made here, whatever the operator's own umask is.
    os.umask(0o022)
    build, state = Build(module), module.params["state"]
    if state == "inspected":
        changed = build.builds.take_over()
        there, why = build.inspect()
        if there:
            changed = build.builds.set_desired(there) or changed
        module.exit_json(
            changed=changed, needed=not there, why=why, settled=bool(there) and not changed
        )
    if state == "begun":
        if not module.check_mode:
            build.begin()
        module.exit_json(changed=True, needed=True)
    if state == "brought":
        if not module.check_mode:
            build.bring()
        module.exit_json(changed=True, needed=False)
    if module.check_mode:
        module.exit_json(changed=True, needed=False, done=True, progress="")
    done, progress = build.finish()
    module.exit_json(changed=done, needed=not done, done=done, progress=progress)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""`make appliance` on bare systems of those that README names: to its end, again without any change, and `make stop`.

    bare_hosts.py [SUITE ...]     all, or those that are named; `make test-hosts`

A system is a folder, made by mmdebstrap, with what README asks for (Python, make, root) and nothing else. What is
committed of this checkout is copied into it. Processes, mounts and network there are namespaces of their own, so the
Docker engine that `make appliance` installs shares nothing with this machine's but the kernel and its control groups,
and all of it ends with the first process. No init runs there. Nothing is left here, also after a failure or a signal.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SYSTEMS = ROOT / "build/hosts"
UBUNTU_KEYS = SYSTEMS / "keys/usr/share/keyrings/ubuntu-archive-keyring.gpg"
# Suite -> further options of mmdebstrap.
SUITES = {
    "trixie": (),
    "bookworm": (),
    "noble": ("--components=main,universe", f"--keyring={UBUNTU_KEYS}"),
}
# Not each machine reaches Ubuntu's archive.
OPTIONAL = ("noble",)
ASKED_FOR = "python3,make"
# As in playbooks/virtual.yml.
MMDEBSTRAP = ("mmdebstrap", "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg")
OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Far more than each takes.
SYSTEM_SECONDS, APPLIANCE_SECONDS = 900, 2700

# Makes the folder $1 the root of this namespace, with the further folders, and runs the rest.
ENTER = """
set -eu
system=$1 program=$2; shift 2
mount --bind "$system" "$system"
cd "$system"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
for folder; do
    mkdir -p ".$folder"
    mount --bind "$folder" ".$folder"
done
pivot_root . mnt
umount --lazy /mnt
# As an init leaves it.
mount --make-rshared /
cd /root/checkout
exec sh -euc "$program"
"""
TRY = """
make appliance
echo "=== again"
make appliance
changed=$(sed -n 's/^ *"changed": \\([0-9]*\\).*/\\1/p' build/appliance.json)
[ "$changed" = 0 ] || { echo "The second \\`make appliance\\` changed something ($changed)." >&2; exit 1; }
make stop
left=$(docker ps --all --quiet; docker network ls --quiet --filter name=kvm)
[ -z "$left" ] || { echo "\\`make stop\\` left something: $left" >&2; exit 1; }
"""

LINK, HERE, THERE = "kvm-test-hosts", "198.18.0.1", "198.18.0.2"
# What makes a network namespace that has its way out through this machine, and what undoes it.
NETWORK = (
    (f"ip netns add {LINK}", f"ip netns delete {LINK}"),
    (f"ip link add {LINK} type veth peer name eth0 netns {LINK}", f"ip link delete {LINK}"),
    (f"ip address add {HERE}/30 dev {LINK}", ""),
    (f"ip link set {LINK} up", ""),
    (f"ip -netns {LINK} link set lo up", ""),
    (f"ip -netns {LINK} address add {THERE}/30 dev eth0", ""),
    (f"ip -netns {LINK} link set eth0 up", ""),
    (f"ip -netns {LINK} route add default via {HERE}", ""),
    *(
        (f"iptables --insert {rule}", f"iptables --delete {rule}")
        for rule in (
            f"FORWARD --in-interface {LINK} --jump ACCEPT",
            f"FORWARD --out-interface {LINK} --jump ACCEPT",
            f"POSTROUTING --table nat --source {THERE} --jump MASQUERADE",
        )
    ),
)
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class Failed(Exception):
    """In a sentence."""


class Skipped(Exception):
    """The same, of what is nobody's fault."""


def undo_network() -> None:
    for _, undo in reversed(NETWORK):
        if undo:
            subprocess.run(undo.split(), capture_output=True, check=False)


@contextlib.contextmanager
def network() -> Iterator[Path]:
    forwarding = FORWARDING.read_text()
    # A run that was ended by force may have left one.
    undo_network()
    try:
        FORWARDING.write_text("1")
        for do, _ in NETWORK:
            subprocess.run(do.split(), check=True)
        yield Path("/run/netns", LINK)
    finally:
        undo_network()
        FORWARDING.write_text(forwarding)


def package_index(listed: str, environment: dict[str, str]) -> dict[str, str]:
    """Where this machine gets Python packages, as environment: `listed` is what `pip config list` says."""
    settings = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2].replace("-", "_").upper()
        settings[f"PIP_{option}"] = " ".join(ast.literal_eval(value).split())
    own = re.compile(r"(PIP|UV)_.*|SSL_CERT_FILE|(https?|no)_proxy", re.IGNORECASE)
    return settings | {name: value for name, value in environment.items() if own.fullmatch(name)}


def places(settings: Iterable[str]) -> list[Path]:
    """Files and folders of this machine that settings name."""
    named = re.findall(r"(?:^|(?<=\s)|(?<=file://))/\S+", "\n".join(settings), re.MULTILINE)
    # An index links to the files beside it.
    paths = {path.parent if path.name == "simple" else path for path in map(Path, named)}
    return sorted(path for path in paths - {Path("/")} if path.exists())


def run(seconds: float, *command: str | Path, network: Path | None = None, **options) -> None:
    """Runs a command whose processes and mounts all end with it."""
    unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    enter = ("nsenter", f"--net={network}") if network else ()
    process = subprocess.Popen(
        [*enter, *unshare, *command], start_new_session=True, stdin=subprocess.DEVNULL, **options
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"it did not end within {seconds:.0f} s") from None
    finally:
        # unshare ends when its child has ended, and that does when all in its namespace have.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in children.read_text().split():
                    os.kill(int(child), signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    if code:
        raise Failed(f"exit code {code}")


def look_for_archive(suite: str) -> None:
    # Debian vouches for Ubuntu's keys.
    keys = ("--variant=extract", "--include=ubuntu-keyring", "trixie", UBUNTU_KEYS.parents[3])
    run(SYSTEM_SECONDS, *MMDEBSTRAP, "--quiet", *keys)
    command = (*MMDEBSTRAP, "--simulate", "--variant=minbase", *SUITES[suite], suite, "/dev/null")
    try:
        run(SYSTEM_SECONDS, *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except Failed as failure:
        raise Skipped(f"its archive can't be read here (mmdebstrap: {failure})") from None


def make_system(suite: str, system: Path) -> None:
    options = ("--variant=minbase", f"--include={ASKED_FOR}", *SUITES[suite])
    run(SYSTEM_SECONDS, *MMDEBSTRAP, "--quiet", *options, suite, system)
    # What an installed system has. A name server of this machine's own would not answer in another network.
    servers = Path("/run/systemd/resolve/resolv.conf")
    servers = servers if servers.exists() else Path("/etc/resolv.conf")
    (system / "etc/resolv.conf").write_text(servers.read_text())
    (system / "etc/hosts").write_text("127.0.0.1 localhost\n")
    checkout = system / "root/checkout"
    checkout.mkdir()
    git = ("git", "-c", f"safe.directory={ROOT}", "archive", "HEAD")
    archive = subprocess.run(git, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "--extract"], cwd=checkout, input=archive, check=True)


def remove_systems() -> None:
    # Of a container that was killed its control groups are left.
    for container in SYSTEMS.glob("*/var/lib/docker/containers/*"):
        group = f"*/docker/{container.name}*"
        command = ("find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", group)
        subprocess.run([*command, "-exec", "rmdir", "{}", "+"], capture_output=True, check=False)
    subprocess.run(["rm", "--recursive", "--force", "--one-file-system", SYSTEMS], check=True)


def try_appliance(system: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    index = package_index(listed, dict(os.environ))
    folders = [path for path in places(index.values()) if path.is_dir()]
    for path in places(index.values()):
        if path.is_file():
            copy = system / path.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    # The package ca-certificates, which comes with python3-venv, makes its file anew of these and its own.
    if OWN_CERTIFICATES.exists():
        shutil.copytree(OWN_CERTIFICATES, system / OWN_CERTIFICATES.relative_to("/"))
    environment = {"PATH": PATH, "HOME": "/root", **index}
    with network() as namespace:
        command = ("sh", "-c", ENTER, "sh", system, TRY, *folders)
        run(APPLIANCE_SECONDS, *command, network=namespace, env=environment)


def try_suite(suite: str) -> None:
    # A run that was ended by force may have left some.
    remove_systems()
    SYSTEMS.mkdir(parents=True)
    try:
        if suite in OPTIONAL:
            look_for_archive(suite)
        make_system(suite, SYSTEMS / suite)
        try_appliance(SYSTEMS / suite)
    finally:
        remove_systems()


def end(signal_number: int, _: object) -> None:
    sys.exit(f"ended by {signal.Signals(signal_number).name}")


def main() -> None:
    suites = sys.argv[1:] or list(SUITES)
    if unknown := set(suites) - SUITES.keys():
        sys.exit(f"There is no {unknown.pop()} here: one of {', '.join(SUITES)}.")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    verdicts = []
    for suite in suites:
        print(f"=== {suite} ...", flush=True)
        began = time.monotonic()
        try:
            try_suite(suite)
            verdict = "passed"
        except Failed as failure:
            verdict = f"failed, {failure}"
        except Skipped as skipped:
            verdict = f"skipped, {skipped}"
        verdicts.append(verdict.partition(",")[0])
        print(f"=== {suite}: {verdict}, {time.monotonic() - began:.0f} s\n", flush=True)
    counts = (f"{verdicts.count(word)} {word}" for word in ("passed", "failed", "skipped"))
    print(", ".join(counts))
    sys.exit(1 if "failed" in verdicts else 0)


if __name__ == "__main__":
    main()

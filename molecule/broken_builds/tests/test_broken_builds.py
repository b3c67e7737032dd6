# SPDX-License-Identifier: MIT
"""From a commit to a picture, and what may go wrong on the way: one sentence each, nothing half done, and the picture
goes on, or comes back without a hand.

In the order of a device's life: each test begins with what the one before left running. What is marked `each_build`
leaves everything as it was, and is left out where one of each kind is enough.
"""

import json
import re
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.support import BUILD, ansible
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.viewers import run, watch
from tests.support.waiting import LONG_POLL_SECONDS, wait_until

DEVICE = Device("kvm-broken-builds")
REPOSITORY = BUILD / "standin"
LINK, BUILDS = "/opt/ustreamer", "/opt/ustreamer.builds"
CACHE = "/var/cache/private/ustreamer-build"
# What a play could have changed: builds, configuration, packages; and whether a service was touched.
FINGERPRINT = f"""
readlink {LINK} {BUILDS}/desired /opt/janus /opt/janus.builds/desired
find /opt /etc /run/systemd/system -type f -exec sha256sum {{}} + | sort -k2
dpkg-query -W | sha256sum
systemctl show --property=MainPID,NRestarts,InvocationID ustreamer janus tinypilot nginx
"""
# A build that shows nothing is known by its silence; one test waits as long as a real device would.
IMPATIENT = {"verify_patience_seconds": 10}
# What a person types who changes uStreamer alone; the proof and what follows from it belong to each play.
OF_USTREAMER = "--tags=ustreamer"
# Far more than a play takes until it does what is waited for.
PLAY_SECONDS = 300


def rev_parse(name):
    command = ["git", "-C", REPOSITORY, "rev-parse", name]
    return subprocess.check_output(command, text=True).strip()


def commit_of(version):
    return rev_parse(f"{version}^{{commit}}")


def wanting(version, variables):
    commit = commit_of(version)
    return {"ustreamer_upstream_version": version, "ustreamer_upstream_commit": commit, **variables}


def begun(version, *arguments, **variables):
    """A play of site.yml that asks for this version of the stand-in. Interrupted at the end of the block, as by a power
    cut, if it is not through by then."""
    return ansible.begun(DEVICE, *arguments, variables=wanting(version, variables))


def end(run):
    """Exit code and output, as one line of text, of a play that has begun."""
    played = run.end()
    return played.code, played.output


def play(version, *arguments, **variables):
    with begun(version, *arguments, **variables) as run:
        return end(run)


def wait_for(look, what, run):
    """Until something has come of a play that goes on."""
    wait_until(
        lambda: look() or run.is_over(),
        what,
        PLAY_SECONDS,
        poll_seconds=LONG_POLL_SECONDS,
    )
    assert not run.is_over(), run.end().printed


def is_building(device):
    return device.is_active("ustreamer-build")


def active(device):
    return device.sh(f"readlink {LINK}").strip().removeprefix("ustreamer.builds/")


def builds(device):
    names = device.sh(f"ls {BUILDS}").split()
    return {name for name in names if name not in ("desired", "known_good")}


def is_left(device, pattern):
    return device.sh(f"find /opt {CACHE} -maxdepth 2 -name '{pattern}'").split()


def forget_source(device):
    """What is fetched already is not fetched again."""
    device.sh(f"rm -rf {CACHE}/repository.git")


@contextmanager
def undisturbed(device):
    """Nothing is changed, nothing half done is left, and the picture flows."""
    before = device.sh(FINGERPRINT)
    yield
    assert device.sh(FINGERPRINT) == before
    assert not is_left(device, "*.new") + is_left(device, "*.old")
    run(watch(device.socket_url, device.cookie(), 3))


@pytest.fixture
def cleanup(device: Device):
    commands = []
    yield commands.append
    for command in reversed(commands):
        device.sh(command)


def test_the_stamp_says_what_was_built(device: Device):
    stamp = json.loads(device.sh(f"cat {LINK}/built-from"))
    assert stamp["inputs"]["source"] == f"upstream {commit_of('v5.4')}"
    assert builds(device) == {active(device)}
    assert active(device).startswith("5.4-bundled-")


def test_the_same_again_changes_and_compiles_nothing(device: Device):
    with undisturbed(device):
        code, output = play("v5.4")
        assert code == 0, output
        assert "changed=0" in output
        assert "Begin to compile" not in output


# --- Refused: one sentence each ---


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        pytest.param(
            "v5.4.7",
            "ustreamer 5.4.7-bundled can't be compiled (ustreamer.c:10:2: error: #error this commit can not be "
            "compiled): `journalctl -u ustreamer-build.service` has the whole story. What ran before still runs, "
            "untouched.",
            id="does not compile",
        ),
        pytest.param(
            "v5.4.8",
            "ustreamer 5.4.8-bundled was compiled, but bin/ustreamer does not start (",
            marks=pytest.mark.each_build,
            id="does not start",
        ),
    ],
)
def test_what_can_not_be_built(device: Device, version, sentence):
    with undisturbed(device):
        code, output = play(version, OF_USTREAMER)
        assert code != 0
        assert sentence in output
    assert not is_left(device, "tree")


def test_a_tag_that_moved(device: Device, cleanup):
    """The pinned commit was v5.4.1, until somebody moved the tag."""
    forget_source(device)
    device.sh("git -C /srv/standin tag --force v5.4.1 v5.4.2")
    cleanup(f"git -C /srv/standin tag --force v5.4.1 {commit_of('v5.4.1')}")
    with undisturbed(device):
        code, output = play("v5.4.1", OF_USTREAMER)
        assert code != 0
        assert (
            f"Tag v5.4.1 of /srv/standin is commit {commit_of('v5.4.2')}, not "
            f"{commit_of('v5.4.1')}, which is pinned: the tag was moved" in output
        )


@pytest.mark.each_build
def test_a_repository_that_is_half_there(device: Device, cleanup):
    blob = rev_parse("v5.4.1:ustreamer.c")
    forget_source(device)
    device.sh("cp -a /srv/standin /srv/half")
    cleanup("rm -r /srv/half")
    device.sh(f"rm -f /srv/half/.git/objects/{blob[:2]}/{blob[2:]}")
    with undisturbed(device):
        code, output = play("v5.4.1", OF_USTREAMER, ustreamer_upstream_repository="/srv/half")
        assert code != 0
        assert "/srv/half can't be fetched (" in output


def test_a_disk_that_runs_full_in_a_build(device: Device, cleanup):
    device.sh(f"mount -t tmpfs -o size=30m tmpfs {CACHE}")
    cleanup(f"umount {CACHE}")
    with undisturbed(device):
        code, output = play("v5.4.10", OF_USTREAMER)
        assert code != 0
        assert (
            "The disk ran full while ustreamer was compiled: make room on /var, then run the play again. What ran "
            "before still runs, untouched." in output
        )
    assert not is_left(device, "tree")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(
            "size=16k",
            "ustreamer can't be put into /opt/other/ustreamer.builds ([Errno 28] No space left on device",
            marks=pytest.mark.each_build,
            id="full",
        ),
        pytest.param(
            "ro",
            "/opt/other can't be written to, and /opt/other/ustreamer is to be made in it",
            id="read-only",
        ),
    ],
)
def test_a_prefix_that_can_not_hold_a_build(device: Device, cleanup, options, sentence):
    device.sh(f"mkdir -p /opt/other && mount -t tmpfs -o {options} tmpfs /opt/other")
    cleanup("umount /opt/other && rmdir /opt/other")
    with undisturbed(device):
        code, output = play("v5.4", OF_USTREAMER, ustreamer_prefix="/opt/other/ustreamer")
        assert code != 0
        assert sentence in output


def test_a_build_that_is_killed(device: Device):
    with undisturbed(device):
        with begun("v5.4.9", OF_USTREAMER) as killed:
            wait_for(lambda: is_building(device), "the build runs", killed)
            device.sh("systemctl kill --signal=KILL ustreamer-build")
            code, output = end(killed)
        assert code != 0
        assert "The build of ustreamer was killed (" in output
    assert not is_left(device, "tree")


@pytest.mark.each_build
def test_a_build_of_another_play_is_not_taken_for_its_own(device: Device):
    with undisturbed(device), begun("v5.4.9", OF_USTREAMER) as first:
        wait_for(lambda: is_building(device), "the build runs", first)
        device.sh(
            "systemctl stop ustreamer-build && systemd-run --quiet --unit=ustreamer-build --remain-after-exit "
            "--description='ustreamer of somebody else' true"
        )
        code, output = end(first)
        assert code != 0
        # The second sentence, if it looked just between the two.
        assert (
            "Another play builds ustreamer of somebody else on this device" in output
            or "was ended before it was through" in output
        )


# --- Interrupted, and then side by side ---


def test_an_interrupted_fetch_and_an_interrupted_build(device: Device, cleanup):
    forget_source(device)
    device.sh(
        "systemd-run --quiet --unit=silent --property=Type=exec python3 -c '"
        'import socket; s = socket.create_server(("127.0.0.1", 9418)); k = []\n'
        "while True: k.append(s.accept())'"
    )
    cleanup("systemctl stop silent")
    silent = {"ustreamer_upstream_repository": "git://127.0.0.1/silent"}
    with undisturbed(device):
        with begun("v5.4.9", OF_USTREAMER, **silent) as fetching:
            wait_for(lambda: device.is_active("ustreamer-fetch"), "the fetch runs", fetching)
        with begun("v5.4.9", OF_USTREAMER) as building:
            wait_for(lambda: is_building(device), "the build runs", building)


def test_an_upgrade_begins_cleanly_and_keeps_the_old_build(device: Device, live: RemoteScreen):
    """After an interrupted build, with damaged objects in the cache, and with what somebody left in the folders."""
    first = active(device)
    blob = rev_parse("v5.4.1:defect.mk")
    cached = f"{CACHE}/repository.git"
    device.sh(
        f"rm -rf {cached} && git init --quiet --bare {cached} && "
        f"git --git-dir={cached} -c safe.directory='*' fetch --quiet /srv/standin tag v5.4.1 && "
        f"truncate --size=0 {cached}/objects/{blob[:2]}/{blob[2:]} && "
        f"mkdir -p {CACHE}/tree {CACHE}/stage/bin && "
        f"cp /bin/false {CACHE}/tree/ustreamer && cp /bin/false {CACHE}/stage/bin/foreign"
    )
    with live.by_itself():
        code, output = play("v5.4.1")
        assert code == 0, output
        live.wait_until_live(captured_after=time.time())
    assert active(device).startswith("5.4.1-bundled-")
    assert builds(device) == {first, active(device)}
    assert device.sh(f"ls {LINK}/bin").split() == ["ustreamer"]
    assert not is_left(device, "tree")


# --- Builds that compile, start, and show nothing ---

# What is said of each defect: a pattern of the whole sentence.
WHY = {
    # Found out when it is started. On a busy machine only by the proof, between two starts.
    "v5.4.2": r"ustreamer\.service (does not stay up; its last words are below|"
    r"is activating: `journalctl -u ustreamer\.service` tells why)\.",
    "v5.4.3": r"uStreamer does not answer on /run/ustreamer/http\.sock \([^)]+\): `journalctl -u ustreamer` tells "
    r"why\.",
    "v5.4.4": r"No new frame came into the sink within 10 s although somebody watches: `journalctl -u ustreamer` tells "
    r"why\.",
    "v5.4.5": r"uStreamer encodes no H\.264, as if it had not been told of a sink: is it another build than `systemctl "
    r"cat ustreamer` was written for\?",
    "v5.4.6": r"uStreamer says that the attached computer sends no picture, and a moment ago it did: was it switched "
    r"off\? The computer sends \d+ x \d+ at 15 Hz, which this device can take\.",
}


def assert_rolled_back(code, output, version, verify_patience_seconds=60):
    """The play says what is wrong, and what was done about it."""
    assert code != 0
    assert re.search(
        rf"kvm-broken-builds: {WHY[version]} (So|No picture within {verify_patience_seconds} s, so) "
        rf"{re.escape(version[1:])}-bundled-\w+ was rolled back: the known good build runs and shows its "
        r"picture\.",
        output,
    ), output


@pytest.mark.parametrize(
    ("version", "arguments", "patience"),
    [
        pytest.param("v5.4.2", [OF_USTREAMER], IMPATIENT, id="crashes"),
        # The whole of it, with a real device's patience.
        pytest.param("v5.4.4", [], {}, marks=pytest.mark.each_build, id="never writes a frame"),
        *(
            pytest.param(version, [OF_USTREAMER], IMPATIENT, marks=pytest.mark.each_build, id=name)
            for version, name in (("v5.4.5", "knows no sink"), ("v5.4.6", "claims no signal"))
        ),
    ],
)
def test_automatic_rollback(device: Device, live: RemoteScreen, version, arguments, patience):
    before = active(device)
    with live.by_itself():
        assert_rolled_back(*play(version, *arguments, **patience), version, **patience)
        live.wait_until_live(captured_after=time.time())
    assert active(device) == before


def test_automatic_rollback_after_an_interrupted_play(device: Device, live: RemoteScreen):
    """The build hangs, and the play dies between the switch and the proof: the next one rolls back."""
    before = active(device)
    with live.by_itself():
        with begun("v5.4.3", OF_USTREAMER, **IMPATIENT) as switching:
            wait_for(lambda: active(device) != before, "the build is switched to", switching)
        assert active(device).startswith("5.4.3-bundled-")
        assert_rolled_back(*play("v5.4.3", OF_USTREAMER, **IMPATIENT), "v5.4.3", **IMPATIENT)
        live.wait_until_live(captured_after=time.time())
    assert active(device) == before


def test_nothing_is_decided_while_the_computer_is_off(device: Device, live: RemoteScreen):
    before = active(device)
    device.control(signal="lost")
    wait_until(lambda: not device.state()["source"]["online"], "uStreamer misses the signal")
    code, output = play("v5.4.4", OF_USTREAMER, **IMPATIENT)
    assert code == 0, output
    assert "the attached computer sends no picture that can be shown" in output
    assert "Nothing comes over the video cable, not even its 5 volts" in output
    assert active(device).startswith("5.4.4-bundled-")

    device.control()
    wait_until(lambda: device.state()["source"]["online"], "uStreamer sees the signal")
    with live.by_itself():
        assert_rolled_back(*play("v5.4.4", OF_USTREAMER, **IMPATIENT), "v5.4.4", **IMPATIENT)
        live.wait_until_live(captured_after=time.time())
    assert active(device) == before


# Tells its version, and ends.
CRASHING = """#include <string.h>
int main(int n, char **words) { return n < 2 || strcmp(words[1], "--version"); }
"""


@pytest.fixture
def crashing_janus(device: Device):
    """A build of Janus, as if of the suite `crashing`."""
    build, desired = "/opt/janus.builds/crashing", "/opt/janus.builds/desired"
    links = device.sh(f"readlink /opt/janus {desired}").split()
    device.sh(
        f"cp --archive {desired}/ {build} && "
        f'sed -i \'s/"suite": ".*"/"suite": "crashing"/\' {build}/built-from && '
        f"gcc -x c -o {build}/bin/janus - <<'END'\n{CRASHING}END"
    )
    yield
    assert device.sh("readlink /opt/janus").strip() == links[0]
    device.sh(f"ln --symbolic --force --no-dereference {links[1]} {desired} && rm -r {build}")


@pytest.mark.usefixtures("crashing_janus")
def test_a_janus_that_crashes_is_left_again(device: Device, live: RemoteScreen):
    with live.by_itself():
        code, output = play("v5.4.1", "--tags=janus", janus_debian_suite="crashing", **IMPATIENT)
        assert code != 0
        assert "Begin to compile Janus" not in output
        assert re.search(
            r"janus\.service (does not stay up; its last words are below|"
            r"is activating: `journalctl -u janus\.service` tells why)\. "
            r"(So|No picture within 10 s, so) crashing was rolled back: the known good build runs and shows "
            r"its picture\.",
            output,
        ), output
        live.wait_until_live(captured_after=time.time())


# --- A library that goes away ---


def install_library(device, number):
    """libstandin of another ABI each time, as an upgrade of the system brings it."""
    device.sh(
        "cd /usr/local/lib && rm -f libstandin.so* && "
        "echo 'int standin(void) { return 0; }' | "
        f"gcc -shared -fPIC -Wl,-soname,libstandin.so.{number} -x c -o libstandin.so.{number} - && "
        f"ln -s libstandin.so.{number} libstandin.so && ldconfig"
    )


def test_a_library_that_goes_away_heals_by_a_rebuild(device: Device, live: RemoteScreen, cleanup):
    install_library(device, 1)
    cleanup("rm -f /usr/local/lib/libstandin.so* && ldconfig")
    code, output = play("v5.4.11", OF_USTREAMER)
    assert code == 0, output
    assert "libstandin.so.1" in device.sh(f"ldd {LINK}/bin/ustreamer")

    with live.by_itself():
        install_library(device, 2)
        code, output = play("v5.4.11", OF_USTREAMER)
        assert code == 0, output
        assert "bin/ustreamer needs libstandin.so.1, which is gone" in output
        live.wait_until_live(captured_after=time.time())
    assert "libstandin.so.2 => /" in device.sh(f"ldd {LINK}/bin/ustreamer")

    # The way back to a build that is there compiles nothing.
    compiled = device.sh(f"stat --format=%Z {BUILDS}/5.4.1-bundled-*/built-from")
    code, output = play("v5.4.1", OF_USTREAMER)
    assert code == 0, output
    assert "Begin to compile" not in output
    assert device.sh(f"stat --format=%Z {LINK}/built-from") == compiled
    # And it is the one to go back to, though another became known good after it was first.
    assert device.sh(f"ls -t {BUILDS}/known_good").split()[0] == active(device)


def test_a_plugin_that_is_damaged_is_built_again(device: Device, cleanup):
    """As by a power cut; how a build takes its place is seen above. The running Janus keeps the one it has loaded."""
    plugin = f"{LINK}/plugins/libjanus_ustreamer.so"
    device.sh(f"cp {plugin} {plugin}.whole && head --bytes=5000 {plugin} > {plugin}.new")
    cleanup(f"mv {plugin}.whole {plugin}")
    device.sh(f"mv {plugin}.new {plugin}")
    code, output = play("v5.4.1", OF_USTREAMER, "--check")
    assert code == 0, output
    assert "Begin to compile: plugins/libjanus_ustreamer.so is damaged (" in output


def test_without_compiler_and_headers_everything_runs_on(device: Device, live: RemoteScreen):
    """apt removes with them what nobody but this product needs: not its libraries."""
    code, output = play(
        "v5.4.1", ustreamer_keep_build_packages=False, janus_keep_build_packages=False
    )
    assert code == 0, output
    assert not device.sh("command -v gcc", check=False)
    with live.by_itself():
        device.sh("systemctl restart janus ustreamer")
        live.wait_until_live(captured_after=time.time())
    # What can't be known any more counts as unchanged.
    # The emulated hardware, which this play leaves out, would have its compiler back.
    code, output = play(
        "v5.4.1",
        "--tags=janus,ustreamer",
        ustreamer_keep_build_packages=False,
        janus_keep_build_packages=False,
    )
    assert code == 0, output
    assert "changed=0" in output

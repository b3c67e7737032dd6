# SPDX-License-Identifier: MIT
"""Which build runs, which one is gone back to, and what an earlier version of the project left."""

import json
import os
import stat

import pytest

from plugins.module_utils.builds import BuildsFolder
from plugins.modules import active_build
from plugins.modules.active_build import ActiveBuild


class Device:
    """The folder of a program's builds, and a configuration that belongs to the active one."""

    def __init__(self, folder):
        self.link = folder / "opt/program"
        self.folder = folder / "opt/program.builds"
        self.folder.mkdir(parents=True)
        self.config = folder / "program.conf"

    def add(self, name, **inputs):
        (self.folder / name).mkdir()
        stamp = {"inputs": inputs, "compiler": "14.2.0", "libraries": "libc6"}
        (self.folder / name / "built-from").write_text(json.dumps(stamp))

    def switch_to(self, name, config):
        builds = self.builds()
        if name not in builds.names():
            self.add(name)
        builds.set_desired(name)
        self.config.write_text(config)
        return self.active_build().activate()

    def builds(self, check_mode=False):
        return BuildsFolder(str(self.link), check_mode)

    def active_build(self, check_mode=False):
        return ActiveBuild(self.builds(check_mode), [str(self.config)])

    def tree(self):
        return {path: os.lstat(path).st_ctime_ns for path in self.folder.parent.rglob("*")}


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def test_the_desired_build_is_switched_to_once(device):
    assert device.switch_to("1", "first")
    assert os.readlink(device.link) == "program.builds/1"
    assert device.builds().active() == "1"
    assert not device.switch_to("1", "first")


def test_without_builds_there_is_nothing_to_switch_to(device):
    assert not device.active_build().activate()
    assert device.active_build(check_mode=True).activate()
    assert not device.active_build().mark_known_good()
    assert device.active_build().go_back() == ""


def test_a_build_is_known_good_with_its_configuration(device):
    assert not device.active_build().is_known_good()
    device.switch_to("1", "first")
    assert not device.active_build().is_known_good()
    device.active_build().mark_known_good()
    assert device.active_build().is_known_good()
    device.config.write_text("changed by hand")
    assert not device.active_build().is_known_good()


def test_a_build_that_another_followed_is_not_the_last_known_good(device):
    for name in ("1", "2"):
        device.switch_to(name, "same")
        device.active_build().mark_known_good()
        past = device.folder / "known_good" / name
        os.utime(past, (int(name), int(name)))
    device.switch_to("1", "same")
    assert not device.active_build().is_known_good()


def test_a_bad_build_is_left_with_its_configuration(device):
    device.switch_to("1", "first")
    device.config.chmod(0o640)
    device.active_build().mark_known_good()
    device.switch_to("2", "second")
    assert device.active_build().go_back() == "2"
    assert device.builds().active() == "1"
    assert device.config.read_text() == "first"
    assert stat.S_IMODE(device.config.stat().st_mode) == 0o640
    # The inventory asks for it still.
    assert device.builds().desired() == "2"


def test_a_bad_build_that_is_asked_for_again_is_left_again(device):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    for _ in range(2):
        assert device.switch_to("2", "second")
        assert device.active_build().go_back() == "2"
        assert (device.builds().active(), device.config.read_text()) == ("1", "first")
    # It can be tried once more without being compiled.
    assert device.builds().names() == ["1", "2"]


def test_a_build_that_is_known_good_is_not_left(device):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    device.config.write_text("changed by hand")
    assert device.active_build().go_back() == ""
    assert device.config.read_text() == "changed by hand"


def test_the_first_build_of_all_is_not_left(device):
    device.switch_to("1", "first")
    assert device.active_build().go_back() == ""
    assert device.builds().active() == "1"


def test_a_file_that_was_not_kept_stays(device):
    """A newer version of the role has a file more."""
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    device.switch_to("2", "second")
    os.remove(device.builds().kept("1", str(device.config)))
    assert device.active_build().go_back() == "2"
    assert device.config.read_text() == "second"


def test_the_build_that_ran_last_is_gone_back_to(device):
    """Also when another became known good after it was first."""
    for name in ("1", "2", "1"):
        device.switch_to(name, name)
        assert device.active_build().mark_known_good()
        # The clock of a device may be coarse.
        for age, known_good in enumerate(device.builds().known_good()[1:], 1):
            path = device.folder / "known_good" / known_good
            os.utime(path, (path.stat().st_mtime - age, path.stat().st_mtime - age))
    device.switch_to("3", "3")
    assert device.active_build().go_back() == "3"
    assert (device.builds().active(), device.config.read_text()) == ("1", "1")


def test_of_the_other_builds_the_one_that_would_be_gone_back_to_stays(device):
    for name in ("1", "2"):
        device.switch_to(name, name)
        device.active_build().mark_known_good()
        past = device.folder / "known_good" / name
        os.utime(past, (int(name), int(name)))
    device.add("bad")
    device.switch_to("3", "3")
    device.active_build().mark_known_good()
    assert device.builds().names() == ["2", "3"]
    assert device.builds().known_good() == ["3", "2"]
    assert sorted(os.listdir(device.folder / "known_good")) == ["2", "3"]


def test_a_build_that_is_known_good_is_marked_once(device):
    device.switch_to("1", "first")
    assert device.active_build().mark_known_good()
    # One that is being made, or waits to be switched to.
    device.add("2")
    before = device.tree()
    assert not device.active_build().mark_known_good()
    assert device.tree() == before


def test_a_changed_configuration_is_kept_anew(device):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    device.config.write_text("better")
    device.add("2")
    assert device.active_build().mark_known_good()
    # It may be on its way.
    assert device.builds().names() == ["1", "2"]
    device.switch_to("2", "second")
    device.active_build().go_back()
    assert device.config.read_text() == "better"


def test_a_configuration_that_a_build_does_not_have_is_not_kept(device):
    """As the unit of a second program, which only one way to encode needs."""
    device.switch_to("1", "first")
    device.config.unlink()
    assert device.active_build().mark_known_good()
    assert device.active_build().is_known_good()
    assert not device.active_build().mark_known_good()
    device.config.write_text("it has one now")
    assert device.active_build().mark_known_good()
    device.config.unlink()
    assert not device.active_build().is_known_good()
    assert device.active_build().mark_known_good()
    assert device.active_build().is_known_good()


def test_kept_configurations_may_be_secret(device):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    assert stat.S_IMODE((device.folder / "known_good").stat().st_mode) == 0o700


def test_a_build_that_is_gone_is_not_gone_back_to(device):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    device.switch_to("2", "second")
    (device.folder / "1/built-from").unlink()
    (device.folder / "1").rmdir()
    assert device.active_build().go_back() == ""


@pytest.mark.parametrize("act", ["activate", "mark_known_good", "go_back"])
def test_check_mode_says_what_would_be_done_and_does_nothing(device, act):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    device.switch_to("2", "second")
    if act == "activate":
        device.add("3")
        device.builds().set_desired("3")
    before = device.tree()
    assert getattr(device.active_build(check_mode=True), act)()
    assert device.tree() == before
    assert device.config.read_text() == "second"


def test_which_of_several_is_the_latest_is_seen_once_too(device):
    for age, name in enumerate(("1", "2")):
        device.switch_to(name, name)
        device.active_build().mark_known_good()
        os.utime(device.folder / "known_good" / name, (1000 + age, 1000 + age))
    assert not device.active_build().mark_known_good()


def test_check_mode_knows_what_there_is_to_remember(device):
    device.switch_to("1", "first")
    device.active_build().mark_known_good()
    assert not device.active_build(check_mode=True).mark_known_good()
    device.config.write_text("better")
    assert device.active_build(check_mode=True).mark_known_good()
    device.active_build().mark_known_good()
    # Another was known good later.
    device.add("2")
    device.builds().mark_known_good("2")
    os.utime(device.folder / "known_good/1", (1000, 1000))
    assert device.active_build(check_mode=True).mark_known_good()


def test_a_build_that_is_gone_can_be_removed(device):
    device.builds().remove("absent")
    assert device.builds().names() == []


# --- Names that an earlier version gave ---


@pytest.fixture
def former(device):
    """As the version before left a device: a build that was rolled back from, and the one that runs."""
    headers = "/opt/janus.builds/wanted/include/janus"
    device.add("1", plugin="bundled", **{headers: "4f"})
    device.add("2", plugin="bundled", **{headers: "5a"})
    device.link.symlink_to("program.builds/1")
    (device.folder / "wanted").symlink_to("2")
    kept = device.folder / "proven/1" / str(device.config).strip("/").replace("/", "%")
    kept.parent.mkdir(parents=True)
    kept.write_text("first")
    os.utime(kept.parent, (1000, 1000))
    device.config.write_text("first")
    return device


def test_former_names_are_taken_over(former):
    assert former.builds().take_over()
    assert sorted(os.listdir(former.folder)) == ["1", "2", "desired", "known_good"]
    builds = former.builds()
    assert (builds.active(), builds.desired(), builds.known_good()) == ("1", "2", ["1"])
    assert former.active_build().activate()
    former.config.write_text("second")
    assert former.active_build().go_back() == "2"
    assert former.config.read_text() == "first"


def test_a_build_made_from_a_former_name_is_not_made_again(former):
    former.builds().take_over()
    assert former.builds().stamp("1")["inputs"] == {
        "plugin": "bundled",
        "/opt/janus.builds/desired/include/janus": "4f",
    }
    assert stat.S_IMODE((former.folder / "1/built-from").stat().st_mode) == 0o644


def test_nothing_is_taken_over_twice(former):
    former.builds().take_over()
    before = former.tree()
    assert not former.builds().take_over()
    assert former.tree() == before


def test_check_mode_takes_nothing_over(former):
    before = former.tree()
    assert former.builds(check_mode=True).take_over()
    assert former.tree() == before


def test_former_names_alone_would_be_taken_over(device):
    (device.folder / "wanted").symlink_to("1")
    assert device.builds(check_mode=True).take_over()


def test_an_interrupted_takeover_is_completed(former, monkeypatch):
    def pull_the_plug(source, target):
        raise KeyboardInterrupt(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.rename", pull_the_plug)
        with pytest.raises(KeyboardInterrupt):
            former.builds().take_over()
    assert former.builds().take_over()
    assert sorted(os.listdir(former.folder)) == ["1", "2", "desired", "known_good"]


def test_what_an_earlier_version_left_after_this_one_counts(former):
    """Somebody went back to it for a while."""
    former.builds().mark_known_good("2")
    former.builds().set_desired("1")
    assert former.builds().take_over()
    assert (former.builds().desired(), former.builds().known_good()) == ("2", ["1"])


def test_without_builds_there_is_nothing_to_take_over(tmp_path):
    assert not BuildsFolder(str(tmp_path / "none")).take_over()


# --- The module whole ---


@pytest.fixture
def run_active(run_module, device):
    def run(state, check_mode=False, **params):
        link, files = str(device.link), [str(device.config)]
        return run_module(
            active_build, check_mode, **{"state": state, "link": link, "files": files, **params}
        )

    return run


def test_the_module_switches_remembers_and_goes_back(run_active, device):
    device.config.write_text("first")
    for name in ("1", "2"):
        device.add(name)
    device.builds().set_desired("1")
    for state in ("active", "known_good"):
        for changed in (True, False):
            answer = run_active(state)
            assert (answer["changed"], answer["build"]) == (changed, "1")
    # Whatever the operator's own umask is.
    assert stat.S_IMODE((device.folder / "known_good/1").stat().st_mode) == 0o755
    device.switch_to("2", "second")
    for changed, left in ((True, "2"), (False, "")):
        answer = run_active("rolled_back")
        assert (answer["changed"], answer["build"]) == (changed, "1")
        assert answer["instead_of"] == left
    assert device.config.read_text() == "first"


def test_check_mode_switches_nothing(run_active, device):
    device.add("1")
    device.builds().set_desired("1")
    assert run_active("active", True)["changed"]
    assert device.builds().active() == ""


@pytest.mark.parametrize("state", ["active", "known_good", "rolled_back"])
def test_the_module_takes_former_names_over(run_active, former, state):
    assert run_active(state)["changed"]
    assert former.builds().desired() == "2"


def test_a_folder_in_the_place_of_the_link(run_active, device):
    device.link.mkdir()
    assert run_active("active")["msg"] == (
        f"{device.link} is a folder, not a link to a build: move it away, then run the play again."
    )


@pytest.mark.parametrize("name", ["state", "link"])
def test_what_the_module_has_to_be_given(run_module, device, name):
    given = {"state": "active", "link": str(device.link)}
    del given[name]
    assert run_module(active_build, **given)["msg"] == f"missing required arguments: {name}"


def test_a_program_may_have_no_file_of_its_own(run_module, device):
    device.add("1")
    device.builds().set_desired("1")
    assert run_module(active_build, state="active", link=str(device.link))["changed"]

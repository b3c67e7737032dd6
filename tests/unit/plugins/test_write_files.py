# SPDX-License-Identifier: MIT
"""The module that writes a role's folders and files."""

import os
import re
import stat
from types import SimpleNamespace

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from plugins.action import write_files as action_write_files
from plugins.modules import write_files


@pytest.fixture
def make_writer(make_module, monkeypatch):
    monkeypatch.setattr(write_files.Writer, "ids", lambda *_: [os.geteuid(), os.getegid()])
    return lambda **options: write_files.Writer(make_module(**options))


def test_a_file_is_written_once(tmp_path, make_writer):
    entry = {"dest": str(tmp_path / "unit"), "content": "[Unit]\n", "mode": "0640"}
    writer = make_writer()
    writer.file(entry)
    assert writer.written == [entry["dest"]]
    assert (tmp_path / "unit").read_text() == "[Unit]\n"
    assert stat.S_IMODE((tmp_path / "unit").stat().st_mode) == 0o640
    assert writer.diffs[0]["after"] == "[Unit]\n"
    again = make_writer()
    again.file(entry)
    assert again.written == []


def test_a_mode_alone_is_set(tmp_path, make_writer):
    (tmp_path / "unit").write_text("same")
    writer = make_writer()
    writer.file({"dest": str(tmp_path / "unit"), "content": "same", "mode": "0600"})
    assert writer.written
    assert stat.S_IMODE((tmp_path / "unit").stat().st_mode) == 0o600


def test_a_secret_is_in_no_diff(tmp_path, make_writer):
    writer = make_writer()
    writer.file({"dest": str(tmp_path / "key"), "content": "secret", "secret": True})
    assert writer.written and writer.diffs == []


def test_a_generated_file_is_made_once_and_shown_to_nobody(tmp_path, make_writer):
    entry = {"dest": str(tmp_path / "token"), "generate": 'secret = "%s"\n', "mode": "0640"}
    writer = make_writer()
    writer.file(entry)
    made = (tmp_path / "token").read_text()
    assert re.fullmatch(r'secret = "[0-9a-f]{64}"\n', made) and writer.diffs == []
    again = make_writer()
    again.file(entry)
    assert again.written == [] and (tmp_path / "token").read_text() == made
    (tmp_path / "token").chmod(0o644)
    again.file(entry)
    assert again.written == [entry["dest"]] and (tmp_path / "token").read_text() == made
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o640


def test_a_generated_file_that_lost_its_content_is_made_again(tmp_path, make_writer):
    """As a power cut can leave it."""
    (tmp_path / "token").touch()
    make_writer().file({"dest": str(tmp_path / "token"), "generate": "%s"})
    assert len((tmp_path / "token").read_text()) == 64


def test_two_generated_files_differ(tmp_path, make_writer):
    for name in ("one", "other"):
        make_writer().file({"dest": str(tmp_path / name), "generate": "%s"})
    assert (tmp_path / "one").read_text() != (tmp_path / "other").read_text()


def test_what_is_not_wanted_is_passed_over():
    entries = [{"wanted": True}, {"wanted": "false"}, {"wanted": False}, {}]
    assert [write_files.is_wanted(entry) for entry in entries] == [True, False, False, True]


def test_what_its_own_program_refuses_replaces_nothing(tmp_path, make_writer, failure):
    (tmp_path / "site.conf").write_text("good")
    entry = {
        "dest": str(tmp_path / "site.conf"),
        "content": "bad",
        # The copy has the suffix of the file: some checkers look at it.
        "validate": "sh -c 'case %s in *.conf) cat %s >&2; exit 1; esac'",
    }
    with pytest.raises(failure) as end:
        make_writer().file(entry)
    assert end.value.args[0] == (
        f"{tmp_path}/site.conf is not written, because its own program refuses it: bad"
    )
    assert (tmp_path / "site.conf").read_text() == "good"
    assert os.listdir(tmp_path) == ["site.conf"]


def test_what_its_own_program_accepts_is_written(tmp_path, make_writer):
    entry = {"dest": str(tmp_path / "a"), "content": "good", "validate": "grep -q good %s"}
    make_writer().file(entry)
    assert (tmp_path / "a").read_text() == "good"


def test_folders_are_made_once(tmp_path, make_writer):
    entry = {"path": str(tmp_path / "a/b"), "mode": "2750"}
    writer = make_writer()
    writer.folder(entry)
    assert writer.written == [entry["path"]]
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o2750
    again = make_writer()
    again.folder(entry)
    assert again.written == []


@pytest.fixture
def former(tmp_path):
    """A folder of an earlier version, with a key, and a link that leads to it."""
    folder = tmp_path / "private/former"
    folder.mkdir(parents=True)
    folder.chmod(0o750)
    (folder / "ca.key").write_text("key")
    (folder / "ca.key").chmod(0o600)
    (tmp_path / "former").symlink_to(folder)
    return tmp_path / "former"


@pytest.mark.parametrize("through_link", [False, True])
def test_a_folder_is_copied_once_with_its_modes(tmp_path, former, make_writer, through_link):
    source = former if through_link else former.resolve()
    entry = {"from": str(source), "to": str(tmp_path / "etc/kvm/tls")}
    # Half of it, of a play that was killed.
    (tmp_path / "etc/kvm/tls.new").mkdir(parents=True)
    (tmp_path / "etc/kvm/tls.new/half").touch()
    writer = make_writer()
    writer.copy(entry)
    assert writer.written == [entry["to"]]
    copy = tmp_path / "etc/kvm/tls"
    assert not copy.is_symlink()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o750
    assert stat.S_IMODE((copy / "ca.key").stat().st_mode) == 0o600
    assert os.listdir(copy.parent) == ["tls"]
    assert os.listdir(copy) == ["ca.key"]
    # What runs from there goes on.
    assert (former / "ca.key").read_text() == "key"
    (copy / "ca.key").write_text("renewed")
    again = make_writer()
    again.copy(entry)
    assert again.written == []
    assert (copy / "ca.key").read_text() == "renewed"


def test_where_nothing_is_to_be_copied_nothing_is_made(tmp_path, make_writer):
    writer = make_writer()
    writer.copy({"from": str(tmp_path / "former"), "to": str(tmp_path / "etc/tls")})
    assert writer.written == []
    assert os.listdir(tmp_path) == []


def test_a_folder_that_can_not_be_copied_is_an_error(tmp_path, former, make_writer, failure):
    entry = {"from": str(former), "to": str(tmp_path / "tls")}
    full = {"cp": (1, "", "cp: No space left on device")}
    with pytest.raises(failure, match=r"former can't be copied to .*/tls: cp: No space left"):
        make_writer(answers=full).copy(entry)
    assert not (tmp_path / "tls").exists()


def test_check_mode_copies_nothing(tmp_path, former, make_writer):
    writer = make_writer(check_mode=True)
    writer.copy({"from": str(former), "to": str(tmp_path / "etc/tls")})
    assert writer.written == [f"{tmp_path}/etc/tls"]
    assert not (tmp_path / "etc").exists()


def test_check_mode_writes_nothing(tmp_path, make_writer):
    writer = make_writer(check_mode=True)
    writer.folder({"path": str(tmp_path / "folder")})
    writer.file({"dest": str(tmp_path / "file"), "content": "text"})
    assert writer.written == [f"{tmp_path}/folder", f"{tmp_path}/file"]
    assert os.listdir(tmp_path) == []


def test_an_owner_who_is_not_there_is_named(make_module, failure):
    entry = {"dest": "/etc/file", "owner": "nobody-of-this-name"}
    with pytest.raises(failure, match=r"There is no owner nobody-of-this-name for /etc/file\."):
        write_files.Writer(make_module()).ids(entry)
    # The first run on a bare host makes the user later.
    assert write_files.Writer(make_module(check_mode=True)).ids(entry) == [None, 0]


@pytest.fixture
def accounts(tmp_path, monkeypatch, make_writer):
    """Writes the accounts of a role where systemd-sysusers does and says this; returns the writer."""
    (tmp_path / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    monkeypatch.setattr(write_files, "ACCOUNT_FILES", (str(tmp_path / "passwd"),))
    entry = {"dest": str(tmp_path / "sysusers.d/janus.conf"), "content": "u janus -\n"}

    def write(does="true", **options):
        program = tmp_path / "systemd-sysusers"
        program.write_text(f"#!/bin/sh\n{does.format(passwd=tmp_path / 'passwd')}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        writer = make_writer(**options)
        writer.accounts(entry)
        return writer

    return write


def test_accounts_that_are_there_change_nothing(accounts, tmp_path):
    accounts()
    assert accounts().written == []
    assert (tmp_path / "sysusers.d/janus.conf").read_text() == "u janus -\n"


def test_an_account_that_somebody_removed_is_made_again(accounts, tmp_path):
    accounts()
    assert accounts("grep -q janus $1 && echo janus >>{passwd}").written == [
        str(tmp_path / "passwd")
    ]


def test_accounts_that_would_be_made_are_a_change_in_check_mode(accounts, tmp_path):
    accounts()
    answer = 'test "$1 $2" = "--dry-run -" && grep -q janus && echo "Would write /etc/passwd" >&2'
    assert accounts(answer, check_mode=True).written == [str(tmp_path / "passwd")]
    assert "janus" not in (tmp_path / "passwd").read_text()


def test_memberships_that_are_there_are_no_change_in_check_mode(monkeypatch):
    """systemd-sysusers would write them, if it were only asked."""
    members = {"kvm-sink": ["janus"], "video": []}
    monkeypatch.setattr(
        write_files.grp, "getgrnam", lambda name: SimpleNamespace(gr_mem=members[name])
    )
    missing = "u janus -\nm janus video\nm janus not-there\nm\tother kvm-sink\n"
    assert write_files.without_members(f"# m\n\nm janus kvm-sink\n{missing}") == f"# m\n\n{missing}"


def test_accounts_that_are_refused_are_an_error(accounts, failure):
    with pytest.raises(failure, match=r"systemd-sysusers refuses .*janus\.conf: Invalid name"):
        accounts("echo Invalid name >&2; exit 1")


# --- The module whole, and the controller's half ---


@pytest.fixture
def as_me(monkeypatch):
    """On a device everything is root's."""
    monkeypatch.setattr(write_files.Writer, "ids", lambda *_: [os.geteuid(), os.getegid()])


def test_accounts_come_before_folders_and_folders_before_files(as_me, run_module, tmp_path):
    answer = run_module(
        write_files,
        accounts={"dest": str(tmp_path / "etc/sysusers.d/a.conf"), "content": "u a -\n"},
        folders=[{"path": str(tmp_path / "etc/a")}],
        files=[{"dest": str(tmp_path / "etc/a/a.conf"), "content": "a\n"}],
    )
    folder, accounts, *rest = answer["written"]
    assert folder == str(tmp_path / "etc/sysusers.d")
    assert accounts == str(tmp_path / "etc/sysusers.d/a.conf")
    assert rest == [str(tmp_path / "etc/a"), str(tmp_path / "etc/a/a.conf")]
    assert answer["commands"] == [f"systemd-sysusers {accounts}"]
    assert answer["changed"]
    assert [each["after"] for each in answer["diff"]] == ["u a -\n", "a\n"]
    # Also of a folder that nobody has named, whatever the operator's umask is.
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) == 0o755


def test_where_all_is_as_it_should_be_nothing_changed(as_me, run_module, tmp_path):
    entry = {"dest": str(tmp_path / "a.conf"), "content": "a\n"}
    assert run_module(write_files, files=[entry])["changed"]
    answer = run_module(write_files, files=[entry])
    assert (answer["changed"], answer["written"], answer["diff"]) == (False, [], [])
    assert not run_module(write_files)["changed"]


def test_check_mode_gets_through(as_me, run_module, tmp_path):
    entry = {"dest": str(tmp_path / "a.conf"), "content": "a\n"}
    assert run_module(write_files, True, files=[entry])["changed"]
    assert os.listdir(tmp_path) == []


def test_the_diff_is_of_what_was_there(tmp_path, make_writer):
    (tmp_path / "a").write_bytes(b"old \xff")
    writer = make_writer()
    writer.file({"dest": str(tmp_path / "a"), "content": "new"})
    assert writer.diffs == [
        {
            "before": "old \ufffd",
            "after": "new",
            "before_header": str(tmp_path / "a"),
            "after_header": str(tmp_path / "a"),
        }
    ]


def test_templates_are_rendered_with_the_variables_of_the_task(tmp_path, monkeypatch):
    (tmp_path / "unit.j2").write_text("# {{ ansible_managed }}\nName={{ name + '\\t' }}\\n\n")
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {"of": "Ansible"})
    action = object.__new__(action_write_files.ActionModule)
    action._task = SimpleNamespace(
        args={
            "files": [
                {"dest": "/etc/unit", "template": "unit", "mode": "0640"},
                {"dest": "/etc/text", "content": "{{ as it is }}"},
            ],
            "accounts": {"dest": "/etc/sysusers.d/a.conf", "template": "unit"},
        }
    )
    action._find_needle = lambda folder, name: {"templates": str(tmp_path / name)}[folder]
    action._templar = Templar(DataLoader())
    handed_over = []
    monkeypatch.setitem(
        action_write_files.looking,
        "run_module",
        lambda action, arguments, task_vars: (
            handed_over.append(arguments) or {"changed": True, "invocation": "long, and secret"}
        ),
    )
    assert action.run(None, {"name": "rack"}) == {"of": "Ansible", "changed": True}
    text = f"# {action_write_files.MANAGED}\nName=rack\t\\n\n"
    assert handed_over == [
        {
            "files": [
                {"dest": "/etc/unit", "mode": "0640", "content": text},
                {"dest": "/etc/text", "content": "{{ as it is }}"},
            ],
            "accounts": {"dest": "/etc/sysusers.d/a.conf", "content": text},
        }
    ]
    # The task runs once for each host, with the same arguments.
    assert "template" in action._task.args["files"][0]


def test_a_role_without_accounts_and_files_hands_over_none(monkeypatch):
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {})
    action = object.__new__(action_write_files.ActionModule)
    action._task = SimpleNamespace(args={"folders": []})
    monkeypatch.setitem(
        action_write_files.looking, "run_module", lambda _, arguments, __: {"got": arguments}
    )
    assert action.run() == {"got": {"folders": [], "files": []}}

# SPDX-License-Identifier: MIT
"""Wake-on-LAN: addresses as people bring them, who may do what, and the packet."""

import contextlib
import json
import socket
import subprocess
import sys
import threading

import pytest
from tinypilot.errors import ApiError
from tinypilot.power import machines, wake

MAC = "00:1b:63:84:45:e6"
NEW = {"name": "rack 3", "mac": MAC, "broadcast": "", "interface": ""}


@pytest.mark.parametrize(
    "brought",
    [
        MAC,
        "00:1B:63:84:45:E6",
        "00-1b-63-84-45-e6",
        "001b.6384.45e6",
        "001b-6384-45e6",
        "001b63-8445e6",
        "001b638445e6",
        " \t001B638445E6\n",
        "\N{NO-BREAK SPACE}00:1b:63:84:45:e6\N{ZERO WIDTH SPACE}",
        "00 1b 63 84 45 e6",
        "00 : 1b : 63 : 84 : 45 : e6",
        "0:1b:63:84:45:e6",
        "00\N{NON-BREAKING HYPHEN}1b\N{EN DASH}63-84-45-e6",
        "\N{FULLWIDTH DIGIT ZERO}\N{FULLWIDTH DIGIT ZERO}:1b:63:84:45:e6",
    ],
)
def test_a_mac_address_is_taken_as_people_bring_it(brought):
    assert machines.normalized_mac(brought) == MAC


@pytest.mark.parametrize(
    ("brought", "said"),
    [
        (" ", "This has 0."),
        ("00:1b:63:84:45", "This has 10."),
        ("001b638445e", "This has 11."),
        ("00:1b:63:84:45:e6:00", "This has 14."),
        ("00:1b:63:84:45:e6:00:00", "This has 16."),
        ("00:1b:63:84:45:g6", "other characters"),
        ("00:1b:63:84:45:\N{CYRILLIC SMALL LETTER IE}6", "other characters"),
        ("192.168.1.20", "This has 9."),
        ("00:1b:63:84:4:5e6", "This has 13."),
        ("001b:63:84:45:e6", "equal length"),
        ("00:00:00:00:00:00", "all zeros"),
        ("ff:ff:ff:ff:ff:ff", "of all machines"),
        ("01:00:5e:00:00:fb", "multicast"),
        ("33:33:00:00:00:01", "multicast"),
    ],
)
def test_what_is_no_machines_mac_address_is_refused_in_a_sentence(brought, said):
    with pytest.raises(ApiError, match=r".*\.$") as refusal:
        machines.normalized_mac(brought)
    assert (refusal.value.status, said in str(refusal.value)) == (400, True), refusal.value


@pytest.mark.parametrize(
    ("brought", "kept"),
    [("", ""), (" 192.168.7.255 ", "192.168.7.255"), ("255.255.255.255", "")],
)
def test_a_broadcast_address_of_a_private_network_is_taken(brought, kept):
    assert machines.normalized_broadcast(brought) == kept


@pytest.mark.parametrize(
    "brought",
    [
        *("8.8.8.255", "127.0.0.1", "224.0.0.1", "0.0.0.0", "fe80::1", "ff02::1"),
        *("192.168.1", "192.168.1.256", "192.168.1.0/24", "router.example", "192.168.1.255:9"),
    ],
)
def test_another_address_is_refused(brought):
    with pytest.raises(ApiError, match=r"no IPv4 address of a private network"):
        machines.normalized_broadcast(brought)


@pytest.mark.parametrize("brought", ["eth0", "enp0s31f6", "br-lan", "eth0.7", ""])
def test_an_interface_is_taken(brought):
    assert machines.normalized_interface(f" {brought} ") == brought


@pytest.mark.parametrize("brought", ["../eth0", "eth 0", "eth0:1", "a" * 16, "..", "ethä"])
def test_what_is_no_interface_is_refused(brought):
    with pytest.raises(ApiError, match="no name of a network interface"):
        machines.normalized_interface(brought)


# --- The list ---


def add(admin, **other):
    answer = admin.ask("POST", "/api/wake-on-lan", {**NEW, **other})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()["number"]


def listed(person):
    return person.ask("GET", "/api/wake-on-lan").get_json()["machines"]


def test_admins_edit_the_list_and_operators_see_it(logged_in):
    admin = logged_in("admin")
    number = add(admin, name="  rack   3 ", mac="\t001B.6384.45E6\N{ZERO WIDTH SPACE}\n")
    assert listed(logged_in("operator")) == [{**NEW, "number": number}]
    change = {**NEW, "name": "RACK 3", "broadcast": "10.1.255.255", "interface": "eth1"}
    assert admin.ask("PATCH", f"/api/wake-on-lan/{number}", change).status_code == 200
    assert listed(admin) == [{**change, "number": number}]
    assert admin.ask("DELETE", f"/api/wake-on-lan/{number}").status_code == 200
    assert listed(admin) == []


def test_machines_are_listed_by_name(logged_in):
    admin = logged_in("admin")
    for name in ("beta", "Alpha", "gamma"):
        add(admin, name=name)
    assert [machine["name"] for machine in listed(admin)] == ["Alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    "wrong",
    [{"name": " "}, {"name": "x" * 65}, {"mac": "00:1b"}, {"broadcast": "x"}, {"interface": "/"}],
)
def test_a_wrong_machine_changes_nothing(logged_in, wrong):
    admin = logged_in("admin")
    number = add(admin)
    for method, path in (("POST", ""), ("PATCH", f"/{number}")):
        answer = admin.ask(method, f"/api/wake-on-lan{path}", {**NEW, "name": "other", **wrong})
        assert (answer.status_code, answer.get_json()["error"][-1]) == (400, ".")
    assert listed(admin) == [{**NEW, "number": number}]


def test_a_name_is_there_once(logged_in):
    admin = logged_in("admin")
    add(admin)
    number = add(admin, name="other")
    again = {**NEW, "name": "RACK 3"}
    assert admin.ask("POST", "/api/wake-on-lan", again).status_code == 409
    assert admin.ask("PATCH", f"/api/wake-on-lan/{number}", again).status_code == 409


def test_the_list_has_a_bound(logged_in, monkeypatch):
    monkeypatch.setattr(machines, "MACHINES_MAX", 1)
    admin = logged_in("admin")
    add(admin)
    assert admin.ask("POST", "/api/wake-on-lan", {**NEW, "name": "2"}).status_code == 409


def test_what_is_not_there_is_said(logged_in):
    admin = logged_in("admin")
    for method, path, json_ in (
        ("PATCH", "7", NEW),
        ("DELETE", "7", None),
        ("POST", "7/wake", {}),
    ):
        answer = admin.ask(method, f"/api/wake-on-lan/{path}", json_)
        assert (answer.status_code, answer.get_json()["error"]) == (
            404,
            "There is no such machine.",
        )


def test_changes_are_audited(logged_in, audited):
    admin = logged_in("admin")
    number = add(admin)
    admin.ask("PATCH", f"/api/wake-on-lan/{number}", NEW)
    admin.ask("DELETE", f"/api/wake-on-lan/{number}")
    events = [event for event, _ in audited if event.startswith("machine")]
    assert events == ["machine_added", "machine_changed", "machine_removed"]


def test_who_is_no_admin_any_more_edits_nothing(auth, admin, tmp_path):
    """Since the request came."""
    known = machines.Machines(auth.store, tmp_path)
    number = known.add(admin, **NEW)
    auth.sessions.log_out(admin)
    for edit in (
        lambda: known.add(admin, **{**NEW, "name": "other"}),
        lambda: known.change(number, admin, **{**NEW, "name": "other"}),
        lambda: known.remove(number, admin),
    ):
        with pytest.raises(ApiError, match="Log in first"):
            edit()
    assert known.all() == [{**NEW, "number": number}]


# --- Waking ---


@contextlib.contextmanager
def wake_service(path, answer):
    """Stands in for the service; yields what it was asked."""
    asked = []

    def serve():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as lines:
            asked.append(json.loads(lines.readline()))
            lines.write(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join(timeout=10)


@pytest.fixture
def wake_socket(config):
    object.__setattr__(config, "wake_socket", config.settings_socket.with_name("wake.sock"))
    return config.wake_socket


def test_an_operator_wakes_a_machine(logged_in, wake_socket, audited):
    number = add(logged_in("admin"), interface="eth1")
    with wake_service(wake_socket, b'{"sent": ["eth1"], "failed": {}}\n') as asked:
        answer = logged_in("operator").ask("POST", f"/api/wake-on-lan/{number}/wake", {})
    assert (answer.status_code, answer.get_json()) == (200, {"sent": ["eth1"]})
    assert asked == [{"mac": MAC, "broadcast": "", "interface": "eth1"}]
    assert audited[-1][0] == "machine_woken"
    assert MAC in audited[-1][1]["sentence"]


@pytest.mark.parametrize(
    ("told", "interface", "status", "said"),
    [
        (b'{"sent": [], "failed": {}}\n', "eth7", 409, "eth7 is not there"),
        (b'{"sent": [], "failed": {}}\n', "", 409, "no network interface of this device is up"),
        (b'{"sent": [], "failed": {"eth0": "No buffer"}}\n', "", 409, "eth0: No buffer"),
        (b"", "", 503, "does not answer"),
        (b"[]\n", "", 503, "does not answer"),
        (b'{"sent": 1}\n', "", 503, "does not answer"),
    ],
)
def test_what_was_not_sent_is_said(logged_in, wake_socket, audited, told, interface, status, said):
    number = add(logged_in("admin"), interface=interface)
    with wake_service(wake_socket, told):
        answer = logged_in("operator").ask("POST", f"/api/wake-on-lan/{number}/wake", {})
    assert (answer.status_code, said in answer.get_json()["error"]) == (status, True)
    assert audited[-1][0] != "machine_woken"


# --- The packet ---


def test_the_packet_is_magic():
    packet = wake.magic_packet(MAC)
    assert packet == b"\xff" * 6 + b"\x00\x1b\x63\x84\x45\xe6" * 16
    assert len(packet) == 102


@pytest.fixture
def interfaces(tmp_path):
    """As the kernel shows them."""
    folder = tmp_path / "net"
    for name, flags in {
        "lo": "0x9",
        "eth0": "0x1003",
        "eth1": "0x1002",  # down
        "wg0": "0x91",  # no broadcasts
        "wlan0": "0x1003",
    }.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "flags").write_text(f"{flags}\n")
    (folder / "bonding_masters").write_text("\n")  # a file among the folders
    return folder


@pytest.fixture
def sent(monkeypatch):
    calls = []
    monkeypatch.setattr(wake, "_send", lambda packet, address, on: calls.append((address, on)))
    return calls


@pytest.mark.parametrize(
    ("broadcast", "interface", "packets", "told"),
    [
        ("", "", [("255.255.255.255", "eth0"), ("255.255.255.255", "wlan0")], ["eth0", "wlan0"]),
        ("", "wlan0", [("255.255.255.255", "wlan0")], ["wlan0"]),
        ("10.0.0.255", "eth0", [("10.0.0.255", "eth0")], ["eth0"]),
        ("10.0.0.255", "", [("10.0.0.255", "")], ["route"]),
        ("", "eth1", [], []),
        ("", "lo", [], []),
        ("", "eth9", [], []),
    ],
)
def test_the_packet_goes_out_where_it_should(interfaces, sent, broadcast, interface, packets, told):
    assert wake.wake(MAC, broadcast, interface, interfaces) == {"sent": told, "failed": {}}
    assert sent == packets


def test_an_interface_that_fails_keeps_no_other_from_it(interfaces, monkeypatch):
    def send(packet, address, on):
        if on == "eth0":
            raise OSError(101, "x")

    monkeypatch.setattr(wake, "_send", send)
    told = wake.wake(MAC, "", "", interfaces)
    assert told == {"sent": ["wlan0"], "failed": {"eth0": "Network is unreachable"}}


def test_the_program_answers_in_a_line():
    """Of an interface that is not there nothing is sent."""
    request = json.dumps({"mac": MAC, "broadcast": "", "interface": "nothing"})
    done = subprocess.run(
        [sys.executable, "-m", "tinypilot.power.wake"],
        input=request + "\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=wake.__file__.rpartition("/tinypilot/")[0],
    )
    assert json.loads(done.stdout) == {"sent": [], "failed": {}}

# SPDX-License-Identifier: MIT
"""Clients that others wrote drive the device by Redfish: OpenStack's sushy, and Ansible's redfish_command and
redfish_info. The attached computer goes off and on by its buttons, and an image is in its drive."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support.clients import Client
from tests.support.device import Device
from tests.support.simulated_computer import FOLDER as COMPUTER
from tests.support.simulated_computer import SimulatedComputer
from tests.support.waiting import wait_until

from .test_programs import done, token_of

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

IMAGE = "redfish-test.iso"
CONTENT = bytes(64 * 1024)
LUN = "/run/emulated-drives/lun.0"


@pytest.fixture(autouse=True)
def no_other_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would win over what a test says of the device's certificate."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def token(device: Device, computer: SimulatedComputer) -> Iterator[str]:
    with token_of(device, "operator") as (program, _):
        yield str(program.http.headers["Authorization"]).removeprefix("Bearer ")


@pytest.fixture
def image(device: Device) -> Iterator[str]:
    """On the device."""
    admin = Client(device, device.cookie("admin"))

    def remove() -> None:
        admin.change("POST", "/api/media/drives/0/eject", {"is_forced": False})
        admin.change("DELETE", f"/api/media/images/{IMAGE}")
        admin.change("DELETE", f"/api/media/uploads/{IMAGE}")

    remove()
    asked = {"name": IMAGE, "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    done(admin.change("POST", "/api/media/uploads", asked))
    csrf = admin.ask("GET", "/api/session").json()["csrf"]
    url = f"{device.url}api/media/uploads/{IMAGE}/0"
    headers = {"X-CSRF-Token": csrf}
    done(admin.http.put(url, data=CONTENT, headers=headers, verify=False, timeout=20))
    yield IMAGE
    remove()


def is_on(device: Device) -> bool:
    return bool(Client(device, device.cookie("operator")).ask("GET", "/api/atx").json()["power"])


def edges(device: Device) -> int:
    """How often the level of a button has changed."""
    return len(device.sh(f"cat {COMPUTER}/edges").splitlines())


def in_drive(device: Device) -> str:
    return Path(device.sh(f"cat {LUN}/file").strip()).name


def test_sushy_switches_the_computer_off_and_on_and_puts_an_image_in(
    device: Device, token: str, image: str
):
    import sushy

    root = sushy.Sushy(
        f"{device.url}redfish/v1", auth=sushy.auth.SessionAuth("any", token), verify=False
    )
    system = root.get_system()
    assert system.power_state is sushy.PowerState.ON
    before = edges(device)
    system.reset_system(sushy.ResetType.FORCE_OFF)
    wait_until(lambda: not is_on(device), "the computer is off")
    assert edges(device) == before + 2
    system.refresh(force=True)
    assert system.power_state is sushy.PowerState.OFF
    system.reset_system(sushy.ResetType.ON)
    wait_until(lambda: is_on(device), "the computer is on")
    # It is on already: no button is touched.
    before = edges(device)
    system.reset_system(sushy.ResetType.ON)
    assert edges(device) == before
    (manager,) = root.get_manager_collection().get_members()
    drive = next(
        each
        for each in manager.virtual_media.get_members()
        if sushy.VirtualMediaType.CD in each.media_types
    )
    drive.insert_media(image)
    assert in_drive(device) == image
    drive.refresh(force=True)
    assert (drive.inserted, drive.image_name, drive.write_protected) == (True, image, True)
    drive.eject_media()
    assert in_drive(device) in ("", ".")
    with pytest.raises(sushy.exceptions.HTTPError, match="not found"):
        drive.insert_media("nothing.iso")


@pytest.fixture
def ansible(device: Device, tmp_path: Path) -> Callable[..., dict]:
    """Runs a module here, in the environment of the tests: what it answers."""
    settings = tmp_path / "ansible.cfg"
    settings.touch()

    def run(module: str, **options: object) -> dict:
        arguments = {"baseuri": device.url.removeprefix("https://").rstrip("/"), **options}
        ran = subprocess.run(
            [
                Path(sys.executable).with_name("ansible"),
                *("localhost", "--inventory=localhost,", "--connection=local"),
                f"--extra-vars=ansible_python_interpreter={sys.executable}",
                f"--module-name=community.general.{module}",
                f"--args={json.dumps(arguments)}",
            ],
            env={**os.environ, "ANSIBLE_CONFIG": str(settings)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        found = re.search(r"localhost \| \S+ => (\{.*\})", ran.stdout, re.DOTALL)
        assert found, ran.stdout + ran.stderr
        return json.loads(found[1])

    return run


def test_ansible_switches_the_computer_off_and_on_and_puts_an_image_in(
    device: Device, token: str, image: str, ansible: Callable[..., dict]
):
    who = {"username": "any", "password": token, "timeout": 30}

    def command(category: str, name: str, **options: object) -> dict:
        return ansible("redfish_command", category=category, command=name, **who, **options)

    def state() -> str:
        told = ansible("redfish_info", category="Systems", command="GetSystemInventory", **who)
        ((_, system),) = told["redfish_facts"]["system"]["entries"]
        return system["PowerState"]

    assert state() == "On"
    assert command("Systems", "PowerForceOff")["changed"] is True
    wait_until(lambda: not is_on(device), "the computer is off")
    assert state() == "Off"
    assert command("Systems", "PowerForceOff")["changed"] is False
    assert command("Systems", "PowerOn")["changed"] is True
    wait_until(lambda: is_on(device), "the computer is on")
    refused = command("Systems", "PowerCycle")
    assert "PowerCycle for the parameter ResetType" in refused["msg"]
    media = {"image_url": image, "media_types": ["CD"]}
    put_in = command("Manager", "VirtualMediaInsert", virtual_media=media)
    assert put_in["changed"] is True, put_in
    assert in_drive(device) == image
    assert command("Manager", "VirtualMediaInsert", virtual_media=media)["changed"] is False
    told = ansible("redfish_info", category="Manager", command="GetVirtualMedia", **who)
    assert image in json.dumps(told["redfish_facts"]["virtual_media"])
    taken = command("Manager", "VirtualMediaEject", virtual_media={"image_url": image})
    assert taken["changed"] is True
    assert in_drive(device) in ("", ".")
    session = command("Sessions", "CreateSession")["session"]
    assert session["uri"] == "/redfish/v1/SessionService/Sessions/token"


def test_nothing_of_it_answers_a_stranger_or_a_foreign_page(device: Device, token: str):
    def ask(method: str, path: str, **headers: str) -> requests.Response:
        return requests.request(
            method, f"{device.url}{path}", headers=headers, verify=False, timeout=10
        )

    assert ask("GET", "redfish/v1/").json()["RedfishVersion"]
    for path in ("redfish/v1/Systems", "redfish/v1/Systems/1", "redfish/v1/nothing"):
        answer = ask("GET", path)
        assert answer.status_code == 401
        assert answer.json()["error"]["@Message.ExtendedInfo"]
    # A page's session is none here.
    assert ask("GET", "redfish/v1/Systems", Cookie=device.cookie("admin")).status_code == 401
    answer = ask(
        "POST",
        "redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
        Origin="https://other.example",
        **{"X-Auth-Token": token},
    )
    assert answer.status_code == 403

# SPDX-License-Identifier: MIT
"""Whatever dies comes back, and the picture on an open page with it: nobody touches anything."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.support.device import SINK, Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import wait_until


def kill_and_wait_for_successor(device: Device, service: str) -> tuple[float, float]:
    """SIGKILL; the wall clock in seconds before it, and after another process took the place."""
    process = device.main_pid(service)
    killed = time.time()
    device.kill(service)
    wait_until(lambda: device.main_pid(service) not in (0, process), f"{service} is started again")
    return killed, time.time()


def test_page_waits_for_the_first_picture(screen: RemoteScreen, device: Device):
    device.sh(f"systemctl stop ustreamer.service && rm -f {SINK}")
    screen.open().wait_for_state("waiting")
    assert "Waiting for the first picture" in screen.notice()
    if device.has_upstreams_plugin:
        # It makes an offer without a picture behind it: that is no proof of video for the page.
        screen.wait_until(lambda: screen.peer_connections, "the offer is answered")
        assert screen.state == "waiting"
    else:
        screen.wait_until(lambda: screen.plugin_errors()[2:], "the page asks again and again")
        assert set(screen.plugin_errors()) == {503}

    with screen.by_itself():
        device.sh("systemctl start ustreamer.service")
        screen.wait_until_live()
    assert len({message["handle_id"] for message in screen.requests_to_plugin("watch")}) == 1
    assert screen.peer_connections == 1


@pytest.mark.parametrize("script", ["/static/video/connection.js", "/vendor/janus.js"])
def test_page_whose_scripts_did_not_arrive_loads_again(screen: RemoteScreen, script: str):
    """As when the device restarts, or the network changes, while the page is being loaded."""
    refused = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    screen.page.route(f"**{script}*", refuse_once)
    screen.open().wait_until_live()
    assert refused


@pytest.mark.parametrize("service", ["ustreamer", "janus"])
def test_picture_returns_after_sigkill(live: RemoteScreen, device: Device, service: str):
    with live.by_itself():
        _, restarted = kill_and_wait_for_successor(device, service)
        live.wait_until_live(captured_after=restarted)


def test_a_restart_waits_for_nobody(live: RemoteScreen, device: Device):
    """A service that must be killed because somebody watches makes each reboot longer."""
    # With their sockets: a page that comes back would start them again.
    device.sh("systemctl stop " + " ".join(f"'{service}.*'" for service in device.services))
    results = {
        service: device.sh(f"systemctl show -P Result {service}").strip()
        for service in device.services
    }
    assert set(results.values()) == {"success"}, results
    with live.by_itself():
        device.restore()
        live.wait_until_live(captured_after=time.time())


@pytest.mark.parametrize("service", ["tinypilot", "tinypilot-hid", "tinypilot-relay", "nginx"])
def test_sigkill_costs_the_picture_nothing(live: RemoteScreen, device: Device, service: str):
    connections, watched = live.peer_connections, len(live.requests_to_plugin("watch"))
    live.wait_for_control("watching")
    input_socket = f"wss://{device.address}/api/hid"
    input_sockets = live.requests.count(input_socket)
    with live.by_itself():
        killed, restarted = kill_and_wait_for_successor(device, service)
        live.wait_until_live(captured_after=restarted)
        # Without a picture being lost, the page can again be heard by Janus, and have the controls.
        if service in ("tinypilot-relay", "nginx"):
            live.wait_until(
                lambda: live.janus_did("claim"), "Janus gives the page its session back"
            )
        if service in ("tinypilot-hid", "nginx"):
            live.wait_until(
                lambda: live.requests.count(input_socket) > input_sockets,
                "the page connects to keyboard and mouse again",
            )
            live.wait_for_control("watching")
    # The media went on as it was: nothing was made anew or asked for again. That each frame was shown
    # can't be demanded: on a busy machine frames are missed without anything being killed.
    assert live.peer_connections == connections
    assert [name for at, name in live.connection_events() if at > killed] == []
    assert len(live.requests_to_plugin("watch")) == watched


def test_picture_returns_after_reboot(live: RemoteScreen, device: Device):
    with live.by_itself():
        device.restart()
        live.wait_until_live()


def test_picture_returns_with_a_sink_created_anew(live: RemoteScreen, device: Device):
    inode = device.sh(f"stat -c %i {SINK}")
    with live.by_itself():
        device.sh(f"rm {SINK} && systemctl restart ustreamer.service")
        live.wait_until_live()
    assert device.sh(f"stat -c %i {SINK}") != inode


@pytest.mark.parametrize(
    ("lose", "find"),
    [(Device.unplug, Device.plug_in), (Device.freeze, Device.thaw)],
    ids=["unplugged", "frozen"],
)
def test_picture_returns_when_the_device_is_reached_again(
    live: RemoteScreen,
    device: Device,
    lose: Callable[[Device], None],
    find: Callable[[Device], None],
):
    with live.by_itself():
        lose(device)
        live.wait_for_state("unreachable")
        assert "Device unreachable" in live.notice()
        find(device)
        live.wait_until_live()

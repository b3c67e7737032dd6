# SPDX-License-Identifier: MIT
"""What a browser that was never here before has to fetch until it shows the picture."""

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.support import BUILD
from tests.support.clients import Client, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

MOST_BYTES = 150_000


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_first_load_is_small_and_the_devices_own(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device, language: str
):
    """Login and remote screen together, as they come over the wire; compressed, headers too."""
    screen = new_screen(role=None, locale=language)
    network = screen.page.context.new_cdp_session(screen.page)
    network.send("Network.enable")
    fetched: dict[str, str] = {}
    sizes: dict[str, int] = {}
    network.on(
        "Network.requestWillBeSent",
        lambda event: fetched.update({event["requestId"]: event["request"]["url"]}),
    )
    network.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    screen.open()
    log_in(screen, "ada")
    screen.wait_until_live()
    assert {urlsplit(url).hostname for url in fetched.values()} == {device.address}
    # Also what it asks again and again: the state of the source.
    total = sum(sizes.values())
    note = {"language": language, "bytes": total, "requests": len(fetched)}
    (BUILD / f"first-load-{language}.json").write_text(json.dumps(note) + "\n")
    assert len(sizes) > 20
    assert total <= MOST_BYTES, note

# SPDX-License-Identifier: MIT
"""What browsers do to a page: links from elsewhere, blocked or damaged site data, sleep, an upgrade meanwhile."""

import functools
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route

from tests.support.clients import Client, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

# Functions of a page.
LINK = """(url) => {
  const link = document.createElement('a');
  Object.assign(link, { href: url, textContent: 'the KVM' });
  document.body.append(link);
}"""
# As where a person forbids site data: each use throws, and nothing is kept.
BLOCK_SITE_DATA = """for (const name of ['localStorage', 'sessionStorage']) {
  Object.defineProperty(globalThis, name, {
    get() {
      throw new DOMException('The operation is insecure.', 'SecurityError');
    },
  });
}"""
# What a page that was closed, another version or a person may have left behind.
DAMAGE_SITE_DATA = """for (const name of [%s]) {
  localStorage.setItem(name, '{');
  sessionStorage.setItem(name, '{');
}
document.cookie = '__Host-tinypilot-language=%%{"; Path=/; Secure';
document.cookie = 'odd={"a": 1, "b": [2]}; Path=/';"""
NAMES = (
    "'picture-view', 'picture-transport', 'paste-layout', 'paste-pace', 'combinations', "
    "'reload-pause-ms'"
)
AS_OF_ANOTHER_VERSION = "document.documentElement.dataset.version = 'another'"
OF_THIS_VERSION = "html[data-version]:not([data-version=another])"


def freeze(page: Page, state: str) -> None:
    """A tab in the background that the browser has put to sleep ('frozen'), or woken ('active')."""
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": state})
    session.detach()


def lose_files_once(page: Page) -> None:
    """As a browser whose network changes: all files that the next page is made of are given up."""
    pages = 0

    def answer(route: Route) -> None:
        nonlocal pages
        pages += route.request.resource_type == "document"
        if route.request.resource_type in ("script", "stylesheet") and pages == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/*", answer)


def test_a_page_whose_files_were_lost_loads_itself_again(new_screen):
    screen = new_screen()
    lose_files_once(screen.page)
    screen.open().wait_until_live()


def test_so_does_the_login(new_screen, ada: Client):
    screen = new_screen(role=None)
    lose_files_once(screen.page)
    log_in(screen.open(), "ada")
    screen.wait_until_live()


def test_a_link_survives_the_login(new_screen, ada: Client, device: Device):
    screen = new_screen(role=None)
    screen.open("settings")
    log_in(screen, "ada")
    screen.page.wait_for_url(f"{device.url}settings")
    screen.page.get_by_role("heading", level=1).first.wait_for()


def test_a_link_of_another_site_leads_in(
    new_screen, ada: Client, device: Device, foreign_page: str
):
    """The cookie is SameSite=Strict: the browser does not send it with the first request."""
    screen = new_screen(role=None).open()
    log_in(screen, "ada")
    screen.wait_until_live()
    page = screen.page

    def follow(url: str) -> None:
        page.goto(foreign_page)
        page.evaluate(LINK, url)
        page.get_by_text("the KVM").click()
        page.wait_for_url(url)

    for path, arrived in (("", "html[data-state=live]"), ("account", "#log-out")):
        screen.navigate(functools.partial(follow, f"{device.url}{path}"))
        screen.wait_for(arrived)


def test_the_page_starts_without_site_data(new_screen, device: Device):
    screen = new_screen()
    screen.page.add_init_script(BLOCK_SITE_DATA)
    screen.open().wait_until_live()
    assert not [line for line in screen.console if line.startswith("error")]


def test_the_page_starts_with_damaged_site_data(new_screen, device: Device):
    screen = new_screen()
    screen.page.add_init_script(DAMAGE_SITE_DATA % NAMES)
    screen.open().wait_until_live()
    screen.wait_for_control("watching")
    assert not [line for line in screen.console if line.startswith("error")]


def test_a_tab_that_slept_is_back_by_itself(new_person, device: Device):
    """Meanwhile all that it was connected with is gone: its timers did not run, and Janus forgot its session."""
    screen = new_person()
    page = screen.page
    freeze(page, "frozen")
    for service in ("tinypilot-relay", "tinypilot-hid", "janus"):
        device.sh(f"systemctl restart {service}")
    freeze(page, "active")
    newest = screen.newest.number
    screen.wait_until(lambda: screen.newest.number > newest + 10, "frames come again")
    screen.wait_for_state("live")
    screen.wait_for_control("free")


def test_a_page_that_comes_back_from_the_browsers_memory_is_live(live: RemoteScreen):
    live.open("account")
    live.page.go_back()
    live.wait_until_live()


@pytest.fixture
def stale(new_person: Callable[..., RemoteScreen]) -> Iterator[RemoteScreen]:
    """A page of another version than the device's, which has not noticed yet."""
    screen = new_person()
    screen.page.evaluate(AS_OF_ANOTHER_VERSION)
    yield screen


def test_a_page_of_an_earlier_version_is_loaded_anew_once(stale: RemoteScreen, device: Device):
    device.sh("systemctl restart tinypilot-hid")
    stale.wait_for(OF_THIS_VERSION)
    stale.wait_until_live()
    stale.wait_for_control("free")
    assert stale.navigations.count(stale.url) == 2


def test_a_text_to_be_typed_survives_an_upgrade(stale: RemoteScreen, device: Device):
    page = stale.page
    page.locator("#control-ask").click()
    stale.wait_for_control("mine")
    page.locator("#open-paste").click()
    page.locator("#paste-text").fill("a long text")
    device.sh("systemctl restart tinypilot-hid")
    note = page.get_by_text("The device was updated")
    note.wait_for()
    assert page.locator("#paste-text").input_value() == "a long text"
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Reload the page").click()
    stale.wait_for(OF_THIS_VERSION)

# SPDX-License-Identifier: MIT
"""The web app of the tinypilot role, without nginx."""

import base64
import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tinypilot import version
from tinypilot.config import Config, ConfigError
from tinypilot.version import page_version

STATIC = Path(__file__).parents[2] / "roles/tinypilot/files/app/tinypilot/static"


@pytest.fixture
def client(logged_in):
    return logged_in("admin")


class Page(HTMLParser):
    """All elements of a page as (tag, attributes), and what stands in `<script>` and `<style>`."""

    def __init__(self, response):
        super().__init__()
        self.headers = response.headers
        self.elements = []
        self.inline = []
        self._inside = None
        self.feed(response.get_data(as_text=True))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag if tag in ("script", "style") else None

    def handle_data(self, data):
        if self._inside and data.strip():
            self.inline.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def files(self):
        """The addresses of its scripts, style sheets and the like."""
        named = [a.get("src") or a.get("href") for a in self.of("script") + self.of("link")]
        return [address for address in named if address]


@pytest.fixture
def page(client):
    response = client.ask("GET", "/")
    assert response.status_code == 200
    return Page(response)


def test_page_says_whose_screen_it_is(client):
    text = client.ask("GET", "/").get_data(as_text=True)
    assert "<title>rack &lt;3&gt;" in text


def test_page_begins_with_the_state_connecting(page):
    assert page.of("html")[0]["data-state"] == "connecting"


def test_page_names_every_module_it_needs(page):
    """Else the picture waits for as many round trips as imports lead one into the other. What import() loads comes when
    it is needed."""
    named = [link["href"] for link in page.of("link") if link["rel"] == "modulepreload"]
    assert len(named) == len(set(named)) > 20
    imports = re.compile(r"""\b(?:from|import)\s*["'](\.[^"']+)["']""")
    scripts = {STATIC / "pages/main.js", *(STATIC.parent / url.lstrip("/") for url in named)}
    needed = {
        (script.parent / name).resolve()
        for script in scripts
        for name in imports.findall(script.read_text())
    }
    assert {script.resolve() for script in scripts} == {
        *needed,
        (STATIC / "pages/main.js").resolve(),
    }


@pytest.mark.parametrize(
    ("wanted", "given"), [("de-CH,de;q=0.9,en;q=0.5", "de"), ("ja", "ja"), ("fr, en;q=0.3", "en")]
)
def test_page_is_in_the_language_of_the_browser(client, wanted, given):
    answer = client.ask("GET", "/", headers={"Accept-Language": wanted})
    assert Page(answer).of("html")[0]["lang"] == given


@pytest.fixture(params=["/", "/account", "/settings", "/login", "/setup"])
def each_page(client, request):
    response = client.ask("GET", request.param)
    assert response.status_code == 200
    return Page(response)


def test_pages_have_one_script_inline_and_name_its_hash(each_page):
    page = each_page
    (script,) = page.inline
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert page.headers["X-Inline-Script"] == f"'sha256-{digest}'"
    for tag, attributes in page.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_pages_load_from_the_device_alone(each_page):
    for tag, attributes in each_page.elements:
        for name in ("src", "href"):
            # Two slashes begin the name of another host.
            assert re.match(r"/(?!/)", attributes.get(name, "/")), (tag, attributes)


def test_pages_name_only_static_files_that_exist(each_page):
    static = [
        path.removeprefix("/static/") for path in each_page.files() if path.startswith("/static/")
    ]
    assert static
    for path in static:
        assert (STATIC / path).is_file(), path


def test_each_field_has_a_label(each_page):
    labelled = {attributes["for"] for attributes in each_page.of("label")}
    fields = each_page.of("input") + each_page.of("select")
    assert {attributes["id"] for attributes in fields} <= labelled


def test_who_has_not_logged_in_can_load_all_that_the_login_needs(browser, ada):
    for path in ("/login", "/setup"):
        page = Page(browser().ask("GET", path))
        assert all(path.startswith(("/static/common/", "/static/login/")) for path in page.files())
    folders = [STATIC / "common", STATIC / "login"]
    for module in [module for folder in folders for module in folder.glob("*.js")]:
        for name in re.findall(r"from '([^']+)'", module.read_text()):
            assert (module.parent / name).resolve().parent in folders, f"{module.name}: {name}"


def test_modules_import_only_modules_that_exist():
    modules = list(STATIC.rglob("*.js"))
    assert {module.parent.name for module in modules} >= {"common", "hid", "video", "pages"}
    for module in modules:
        for name in re.findall(r"from '([^']+)'", module.read_text()):
            file = (
                STATIC / name.removeprefix("/static/") if name[0] == "/" else module.parent / name
            )
            assert file.is_file(), f"{module.name} imports {name}"


def test_video_can_start_without_a_click(page):
    (video,) = page.of("video")
    assert video["id"] == "remote-screen"
    assert {"autoplay", "muted", "playsinline"} <= video.keys()


def test_state_is_announced(page):
    assert any(a.get("role") == "status" and a["aria-live"] == "polite" for a in page.of("p"))


def test_first_load_stays_small(page):
    """As nginx sends it. janus.js and the adapter, which this machine does not have, add about 46 kB, and what is left
    up to the 150 kB of tests/e2e/test_first_load.py is for words, layouts and headers."""
    files = {
        STATIC / path.removeprefix("/static/")
        for path in page.files()
        if path.startswith("/static/")
    }
    assert len(files) > 30
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 56_000


def test_health_is_ok(client):
    assert client.ask("GET", "/api/health").get_json()["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/static/pages/main.js", 404), ("POST", "/", 405)],
)
def test_errors_are_plain_text(logged_in, method, path, status):
    response = logged_in().ask(method, path)
    assert response.status_code == status
    assert response.content_type.startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/api/health", "/nothing"])
def test_nothing_dynamic_is_cached(client, path):
    assert client.ask("GET", path).headers["Cache-Control"] == "no-store"


def test_config_is_read_from_its_file(tmp_path, monkeypatch):
    file = tmp_path / "web.json"
    file.write_text('{"name": "rack", "settings_dir": "/run/settings"}')
    monkeypatch.setenv("TINYPILOT_CONFIG", str(file))
    config = Config.from_environment()
    assert config == Config(name="rack", settings_dir=Path("/run/settings"))
    assert config.idle_minutes == 60


def test_config_without_a_name_takes_the_host_name(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "kvm7")
    assert Config.from_values({"name": ""}).name == "kvm7"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"idle_minutes": 0}', '{"idle_minutes": true}'],
)
def test_bad_config_is_refused(tmp_path, text):
    file = tmp_path / "web.json"
    file.write_text(text)
    with pytest.raises(ConfigError):
        Config.from_file(file)


def test_missing_config_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="absent"):
        Config.from_file(tmp_path / "absent.json")


def test_the_page_says_of_which_version_it_is(logged_in):
    page = logged_in().ask("GET", "/").get_data(as_text=True)
    assert f'data-version="{page_version()}"' in page


def test_another_page_is_another_version(tmp_path, monkeypatch):
    """A script that is changed, one that is renamed, and one that goes."""
    monkeypatch.setattr(version, "APP", tmp_path)
    (tmp_path / "static").mkdir()
    first, second = tmp_path / "static/one.js", tmp_path / "static/two.js"
    found = []
    for change in (
        lambda: first.write_text("one"),
        lambda: first.write_text("another"),
        lambda: first.rename(second),
        second.unlink,
    ):
        change()
        found.append(page_version.__wrapped__())
    assert len(set(found)) == 4

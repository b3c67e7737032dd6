# SPDX-License-Identifier: MIT
"""The words of the page: each is in each catalogue, and what a person sees went through one."""

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tinypilot import i18n
from tinypilot.errors import ApiError
from tinypilot.i18n import CATALOGUES, LANGUAGES
from tinypilot.routes.pages import modules_of

APP = Path(i18n.__file__).parent
TRANSLATED = [language for language in LANGUAGES if language != "en"]
# What is said of a text when it is asked for in JavaScript or a template: t('...'), t("...")
ASKED = re.compile(
    r"""(?<!function )\bt\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(.{0,40}))"""
)
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def texts_of_page(file):
    for single, double, other in ASKED.findall(file.read_text(encoding="utf-8")):
        assert single or double, f"{file.name}: t({other}... can't be looked up in a catalogue"
        yield (single or double).replace("\\'", "'").replace('\\"', '"')


def texts_of_program(file):
    """The sentences of ApiError and its kind, and of t(), which is given others' sentences only in http.py."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if name == "t" and file.name != "http.py":
            yield ast.literal_eval(node.args[0])
        elif name in ("ApiError", "UnpackingError") and len(node.args) > 1:
            yield ast.literal_eval(node.args[1])


@pytest.fixture(scope="module")
def used():
    pages = [*APP.glob("templates/*.html"), *APP.glob("static/**/*.js")]
    assert len(pages) > 20
    programs = APP.glob("**/*.py")
    texts = {text for file in pages for text in texts_of_page(file)}
    return texts | {text for file in programs for text in texts_of_program(file)}


@pytest.fixture(params=TRANSLATED)
def catalogue(request):
    return i18n.catalogue(request.param)


def test_each_catalogue_has_a_language_and_each_language_a_catalogue():
    assert sorted(file.stem for file in CATALOGUES.glob("*.json")) == sorted(TRANSLATED)


def test_each_text_is_in_each_catalogue(catalogue, used):
    assert used - catalogue.keys() == set()


PAGES = ("index.html", "login.html", "setup.html", "settings.html", "account.html")
ENTRIES = re.compile(r"/static/[\w/-]+\.js")


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_carries_what_its_scripts_ask_for_and_little_else(language, page):
    templates = (page,) if page == "index.html" else (page, "base.html")
    text = "".join((APP / "templates" / each).read_text("utf-8") for each in templates)
    entries = ENTRIES.findall(text)
    scripts = {module for entry in entries for module in (entry, *modules_of(entry))}
    carried = i18n.words_of_scripts(language, *entries)
    asked = {text for script in scripts for text in texts_of_page(APP / script.lstrip("/"))}
    assert asked <= carried.keys()
    assert len(carried) < len(i18n.catalogue(language)) / 2


@pytest.mark.parametrize("language", TRANSLATED)
def test_each_script_has_its_words(language):
    """By the page, or fetched with it."""
    carried = {text for dialog in i18n.DIALOGS for text in i18n.words_of_dialog(language, dialog)}
    for page in PAGES:
        text = "".join(
            (APP / "templates" / each).read_text("utf-8") for each in (page, "base.html")
        )
        carried |= i18n.words_of_scripts(language, *ENTRIES.findall(text)).keys()
    asked = {text for file in APP.glob("static/**/*.js") for text in texts_of_page(file)}
    assert asked <= carried


def test_catalogues_have_nothing_that_nobody_asks_for(catalogue, used):
    assert catalogue.keys() - used == set()


def test_translations_say_something_and_have_the_same_values(catalogue):
    for text, translation in catalogue.items():
        assert translation.strip(), text
        assert sorted(PLACEHOLDER.findall(translation)) == sorted(PLACEHOLDER.findall(text)), text


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogues_are_sorted_one_line_an_entry(language):
    text = (CATALOGUES / f"{language}.json").read_text(encoding="utf-8")
    entries = json.loads(text)
    in_order = dict(sorted(entries.items()))
    assert text == json.dumps(in_order, ensure_ascii=False, indent=2) + "\n"


class Seen(HTMLParser):
    """What a person reads or hears of a page."""

    def __init__(self, page):
        super().__init__()
        self.texts = []
        self._is_code = False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._is_code = tag in ("script", "style")
        self.texts += [
            value for name, value in attributes if name in ("aria-label", "title", "placeholder")
        ]

    def handle_data(self, data):
        if data.strip() and not self._is_code:
            self.texts.append(data.strip())


@pytest.mark.parametrize("path", ["/", "/account", "/settings", "/login", "/setup"])
def test_pages_show_nothing_that_is_not_in_a_catalogue(logged_in, monkeypatch, path):
    everything = dict.fromkeys(i18n.catalogue("de"), "«»")
    monkeypatch.setattr(i18n, "catalogue", lambda language: everything)
    monkeypatch.setattr(i18n, "words_of_scripts", lambda language, *scripts: everything)
    # The roles' declarations have translations of their own.
    monkeypatch.setattr(i18n, "in_language", lambda text: "«»")
    page = logged_in("admin").ask("GET", path).get_data(as_text=True)
    names = {"rack <3>", "ada", *LANGUAGES.values()}
    for text in Seen(page).texts:
        # Words: sizes of pictures and other numbers are the same in all languages.
        if re.search(r"[^\W\d_]{3}", text):
            assert "«»" in text or text in names or text == "rack <3> · TinyPilot", text


# Words that only this project would use for these things, in the languages of the page. The role called operator is
# somebody else than who provisions the device.
PRIVATE_WORDS = {
    "en": r"\bplays?\b|\bdoor\b|(the|an) operator|of an? app\b|way of the picture|comes? in\b|let in\b",
    "de": r"Betreiber|Playbook|Tür\b|Weg des Bildes|Codes einer App",
    "ja": r"運用者|プレイブック|映像の経路|ドア",
}


@pytest.mark.parametrize("path", ["/", "/account", "/settings", "/login", "/setup"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_use_the_words_of_the_field(logged_in, language, path):
    page = logged_in("admin").ask("GET", path, headers={"Accept-Language": language})
    texts = Seen(page.get_data(as_text=True)).texts
    assert len(texts) > 5
    for text in texts:
        assert not re.search(PRIVATE_WORDS[language], text, re.IGNORECASE), text


def test_sentences_and_their_translations_use_the_words_of_the_field(used):
    translated = {language: i18n.catalogue(language).values() for language in TRANSLATED}
    for language, texts in {"en": used, **translated}.items():
        for text in texts:
            assert not re.search(PRIVATE_WORDS[language], text, re.IGNORECASE), text


def test_the_description_of_the_api_uses_the_words_of_the_field(logged_in):
    description = json.dumps(logged_in().ask("GET", "/api/openapi.json").get_json())
    assert not re.search(PRIVATE_WORDS["en"], description, re.IGNORECASE)


def test_the_devices_sentences_are_in_the_language_of_the_page(browser, ada):
    stranger = browser()
    wrong = {"name": "ada", "password": "wrong", "code": ""}
    german = {"Accept-Language": "de"}
    answer = stranger.ask("POST", "/api/login", wrong, headers=german)
    assert answer.get_json()["error"] == "Der Name oder das Passwort ist falsch."
    stranger.client.set_cookie(i18n.COOKIE, "ja", domain="kvm.example", secure=True)
    answer = stranger.ask("POST", "/api/login", wrong, headers=german)
    assert answer.get_json()["error"] == i18n.catalogue("ja")["The name or the password is wrong."]


@pytest.mark.parametrize(
    ("chosen", "given"), [("ja", "ja"), ("en", "en"), ("xx", "de"), ("../en", "de")]
)
def test_a_language_that_was_chosen_wins(browser, chosen, given):
    client = browser()
    client.client.set_cookie(i18n.COOKIE, chosen, domain="kvm.example", secure=True)
    page = client.ask("GET", "/setup", headers={"Accept-Language": "de"}).get_data(as_text=True)
    assert f'<html lang="{given}"' in page


def test_a_refusal_is_english_where_nobody_reads_a_page():
    refusal = ApiError(409, "The user {name} already exists.", name="{bob}")
    assert str(refusal) == "The user {bob} already exists."

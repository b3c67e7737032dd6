# SPDX-License-Identifier: MIT
"""The words of the page in the reader's language. English is in the code; the other languages are catalogues
(locale/LANGUAGE.json) from the English text to its translation."""

import functools
import json
import re
from pathlib import Path

from flask import request

CATALOGUES = Path(__file__).with_name("locale")
SCRIPTS = Path(__file__).resolve().with_name("static")
# Whose words are not in the page.
DIALOGS = ("media", "power")
# That a script imports, at once or when it is needed.
MODULE = re.compile(r"'(\.\.?/[\w./-]+\.js)'")
# Each by the name that its readers give it.
LANGUAGES = {"en": "English", "de": "Deutsch", "ja": "日本語"}
# Set by static/login/language.js.
COOKIE = "__Host-tinypilot-language"


@functools.cache
def catalogue(language: str) -> dict[str, str]:
    """Empty for English."""
    file = CATALOGUES / f"{language}.json"
    return json.loads(file.read_text(encoding="utf-8")) if language != "en" else {}


@functools.cache
def words_of_scripts(language: str, *scripts: str) -> dict[str, str]:
    """Of the catalogue, what these scripts of a page may ask for, and what they load. Half of it is said by the web app
    alone."""
    return _words_of(language, _with_what_they_load(scripts))


@functools.cache
def words_of_dialog(language: str, folder: str) -> dict[str, str]:
    """What the scripts of a dialog ask for that few people open: the page fetches them with it."""
    return _words_of(language, set((SCRIPTS / folder).glob("*.js")))


def _with_what_they_load(scripts: tuple[str, ...]) -> set[Path]:
    found = [SCRIPTS.parent / script.lstrip("/") for script in scripts]
    for file in found:
        for name in MODULE.findall(file.read_text(encoding="utf-8")):
            module = (file.parent / name).resolve()
            if module.parent.name not in DIALOGS and module not in found:
                found.append(module)
    return set(found)


def _words_of(language: str, files: set[Path]) -> dict[str, str]:
    scripts = "".join(file.read_text(encoding="utf-8") for file in sorted(files))
    return {text: word for text, word in catalogue(language).items() if text in scripts}


def language() -> str:
    """What was chosen in this browser, or else what it prefers of the languages there are."""
    chosen = request.cookies.get(COOKIE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")


def t(text: str, /, **values: object) -> str:
    """`text` in the reader's language, its {names} filled in with `values`."""
    translated = catalogue(language()).get(text, text)
    return translated.format(**values) if values else translated


def in_language(text: str | dict[str, str]) -> str:
    """A text that a role declares: the same in all languages, or {language: text}."""
    return text if isinstance(text, str) else text.get(language(), text["en"])


def for_templates() -> dict[str, object]:
    """What `words_of` the page's scripts returns goes into it for them (static/common/i18n.js)."""
    return {
        "t": t,
        "in_language": in_language,
        "language": language(),
        "languages": LANGUAGES,
        "words_of": functools.partial(words_of_scripts, language()),
    }

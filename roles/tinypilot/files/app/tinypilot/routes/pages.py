# SPDX-License-Identifier: MIT
"""What a person opens in a browser."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode, urljoin

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request
from markupsafe import Markup

from tinypilot import notices
from tinypilot.auth.http import (
    LONGEST_LINK,
    auth,
    comes_from_another_site,
    public,
    require_role,
    session,
)
from tinypilot.i18n import DIALOGS, language, words_of_dialog
from tinypilot.routes.settings import settings
from tinypilot.version import page_version
from tinypilot.video.ice import IceServers

blueprint = Blueprint("pages", __name__)

APP = Path(__file__).parents[1]
IMPORT = re.compile(r"^(?:import|export)\b[^']* from '([^']+)'", re.MULTILINE)
# It stands in each page, and the gateway's policy lets it run by this hash.
RELOAD_ON_ERROR = (APP / "static/common/reload-on-error.js").read_text(encoding="utf-8")
RELOAD_ON_ERROR_HASH = f"'sha256-{b64encode(sha256(RELOAD_ON_ERROR.encode()).digest()).decode()}'"


@blueprint.context_processor
def for_templates() -> dict[str, Markup]:
    # Not input: a file of this program.
    return {"reload_on_error": Markup(RELOAD_ON_ERROR)}


@blueprint.after_request
def name_inline_script(response: Response) -> Response:
    response.headers["X-Inline-Script"] = RELOAD_ON_ERROR_HASH
    return response


@cache
def modules_of(script: str) -> list[str]:
    """The URLs of all modules that a script of the page needs, each after one that imports it.

    A page that names them has them all after one round trip. Left alone, a browser finds them import by import.
    """
    found = [script]
    for url in found:
        for name in IMPORT.findall((APP / url.lstrip("/")).read_text(encoding="utf-8")):
            if (imported := urljoin(url, name)) not in found:
                found.append(imported)
    return found[1:]


@blueprint.get("/")
def remote_screen():
    config = current_app.config["TINYPILOT"]
    # Those of the picture first: it does not wait for the others.
    modules = list(
        dict.fromkeys(modules_of("/static/pages/screen.js") + modules_of("/static/pages/main.js"))
    )
    return render_template(
        "index.html",
        name=config.name,
        user=session().user,
        may_control=session().may("operator"),
        # An attribute that is there without a value, or not.
        has_atx="" if config.atx else None,
        modules=modules,
        version=page_version(),
        ice_servers=_servers_without_secrets(),
        has_sound=config.has_sound,
        may_insert_media=session().may("operator"),
        notices=_notices(),
    )


@blueprint.get("/words/<dialog>")
@require_role("operator")
def words(dialog: str) -> dict:
    """What the dialog says, for a page that is not in English and was loaded without it."""
    return words_of_dialog(language(), dialog) if dialog in DIALOGS else abort(404)


def _notices() -> list[str]:
    config = current_app.config["TINYPILOT"]
    return notices.of(config.auth_file) if session().may("admin") else []


def _servers_without_secrets() -> list[dict] | None:
    """For the page's first connection, which then waits for no answer. The page is sent compressed and so holds no
    secret (nginx.conf): where there are credentials it asks for them."""
    servers = IceServers.from_settings(settings().effective()).for_session(session().number)
    return None if any("credential" in server for server in servers) else servers


@blueprint.get("/login")
@public
def login():
    if not auth().users.exist():
        wanted = request.args.get("next", "")[:LONGEST_LINK]
        return redirect(f"/setup?{urlencode({'next': wanted})}" if wanted else "/setup", 303)
    return render_template(
        "login.html",
        name=current_app.config["TINYPILOT"].name,
        # login.js finds out first whether the person is logged in.
        is_hidden=comes_from_another_site(),
    )


@blueprint.get("/setup")
@public
def setup():
    """Also where there are users: a code from the device brings back who forgot the password."""
    return render_template("setup.html", name=current_app.config["TINYPILOT"].name)


@blueprint.get("/account")
def account():
    return render_template(
        "account.html",
        name=current_app.config["TINYPILOT"].name,
        session=session(),
        has_totp=any(
            user["has_totp"] for user in auth().users.all() if user["name"] == session().user
        ),
    )


@blueprint.get("/settings")
@require_role("admin")
def settings_page():
    return render_template(
        "settings.html",
        name=current_app.config["TINYPILOT"].name,
        groups=settings().groups(),
        notices=_notices(),
    )

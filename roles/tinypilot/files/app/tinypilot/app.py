# SPDX-License-Identifier: MIT
"""The application factory. Each part of the product is a blueprint of its own."""

import sqlite3

from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tinypilot import i18n, openapi
from tinypilot.auth import copies, stand_in
from tinypilot.auth import http as auth_http
from tinypilot.auth.auth import Auth
from tinypilot.auth.store import make_database
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.routes import (
    account,
    controls,
    device_test,
    health,
    media,
    pages,
    picture,
    power,
    redfish,
    sequences,
    settings,
)
from tinypilot.version import page_version


def create_app(config: Config | None = None) -> Flask:
    app = Flask(__name__, static_folder=None)  # nginx serves the static files
    config = app.config["TINYPILOT"] = config or Config.from_environment()
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    page_version()
    make_database(config.auth_file)
    auth_http.install(app, Auth.from_config(config, stands_in=True))
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(account.blueprint)
    app.register_blueprint(settings.blueprint)
    app.register_blueprint(media.blueprint)
    app.register_blueprint(device_test.blueprint)
    app.register_blueprint(power.blueprint)
    app.register_blueprint(controls.blueprint)
    app.register_blueprint(picture.blueprint)
    sequences.install(app)
    app.register_blueprint(openapi.blueprint)
    if config.redfish:
        redfish.install(app)
    app.context_processor(i18n.for_templates)
    app.register_error_handler(HTTPException, _describe_error)
    app.register_error_handler(sqlite3.DatabaseError, _mend_database)
    app.after_request(_forbid_caching)
    return app


def _mend_database(error: sqlite3.DatabaseError) -> ResponseReturnValue:
    """The next try succeeds if this could be mended: nobody stays locked out."""
    path = current_app.config["TINYPILOT"].auth_file
    if not isinstance(error, sqlite3.OperationalError):
        make_database(path)
        refusal = ApiError(
            503, "The database of users was damaged. It was restored from a copy: try again."
        )
    elif "full" in str(error) and copies.give_reserve(path):
        refusal = ApiError(503, "The device's disk is full. There is room for this now: try again.")
    elif stand_in.is_due_to(error) and stand_in.begin(path):
        refusal = ApiError(
            503,
            "The device's disk is full, defective or read-only. You can go on all the same, in memory: try again.",
        )
    else:
        refusal = ApiError(
            503, "Nothing can be saved: the device's disk is full, defective or read-only."
        )
    current_app.logger.error("%s: %s", path, error)
    return auth_http.describe_refusal(refusal)


def _describe_error(error: HTTPException) -> ResponseReturnValue:
    """Errors in the form that the page's scripts, and people with curl, can read."""
    response = error.get_response()
    if auth_http.asked_redfish():
        return redfish.describe(response.status_code, error)
    if request.path.startswith("/api/"):
        return {"error": f"{error.name}."}, response.status_code
    response.data = f"{error.code} {error.name}\n"
    response.content_type = "text/plain; charset=utf-8"
    return response


def _forbid_caching(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return response

# SPDX-License-Identifier: MIT
"""Authentication over HTTP: cookies, where a request comes from, and what it may do.

Every route needs a session unless it is marked `@public`, and every change comes from a page of this host. A program
shows a token instead of all that, which no foreign page can make a browser do.
"""

import hmac
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, current_app, g, redirect, request
from flask.typing import ResponseReturnValue

from tinypilot import audit
from tinypilot.auth import passwords
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import (
    COOKIE_PREFIX,
    LONGEST_INPUT,
    ClientInfo,
    Session,
    SessionTokens,
    cookie_in,
)
from tinypilot.errors import ApiError
from tinypilot.i18n import t

CSRF_HEADER = "X-CSRF-Token"
LONGEST_LINK = 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def public(view: Callable) -> Callable:
    """Marks a route that answers without login."""
    # A function takes any attribute, and its type has none of them.
    view.is_public = True  # type: ignore[attr-defined]
    return view


def require_role(role: str) -> Callable:
    """Marks a route for this role and those that may more."""

    def mark(view: Callable) -> Callable:
        # As in public().
        view.needed_role = role  # type: ignore[attr-defined]
        return view

    return mark


def auth() -> Auth:
    return current_app.extensions["auth"]


def session() -> Session:
    """For routes that need one."""
    return g.session


def credential() -> str:
    """What the session is known by: that of its cookie, or the program's token. For a service that asks itself whether
    it still holds."""
    return g.credential


def session_if_any() -> Session | None:
    """For public routes."""
    return g.session


def client_info() -> ClientInfo:
    # Only nginx reaches this socket, and it overwrites the header.
    return ClientInfo(
        request.headers.get("X-Forwarded-For", "127.0.0.1"),
        request.headers.get("User-Agent", ""),
        cookie_in(cookies(), browser_cookie(), f"{COOKIE_PREFIX}-browser"),
    )


def cookies() -> str:
    return request.headers.get("Cookie", "")


def browser_cookie() -> str:
    """Says only that this browser was let in before: its attempts are counted apart from those of strangers."""
    return f"{auth().session_cookie}-browser"


def csrf_token() -> str:
    return auth().sessions.csrf_token(auth().token_in(cookies()))


def guard() -> ResponseReturnValue | None:
    """Runs before each request, also before one that leads nowhere: nobody may learn which routes there are."""
    if redfish := asked_redfish():
        return redfish.guard()
    token = _bearer_token()
    if token is None:
        g.credential = auth().token_in(cookies())
        g.session = auth().session_for(g.credential)
    else:
        g.credential = token
        g.session = auth().tokens.session_for(token)
    view = current_app.view_functions.get(request.endpoint or "")
    changes = request.method not in SAFE_METHODS
    if changes and token is None and not is_from_own_page():
        raise _noted(_foreign_request())
    if getattr(view, "is_public", False):
        return None
    if g.session is None:
        if changes or (request.path.startswith("/api/") and not _is_opened_by_a_person()):
            raise ApiError(401, "Log in first.")
        return redirect(_login_page(), 303)
    if changes and token is None and not _has_csrf_token():
        raise _noted(ApiError(403, "Refused: the request has no valid CSRF token."))
    check_role(view)
    return None


def check_role(view: object) -> None:
    """Raises ApiError if this view is for another role than the session's."""
    needed = getattr(view, "needed_role", None)
    if needed and not g.session.may(needed):
        raise ApiError(
            403,
            "This needs the role {needed}. Your role is {role}.",
            needed=needed,
            role=g.session.role,
        )


def asked_redfish() -> Any:
    """What guards and describes the other interface (redfish/access.py), if that is asked, and there is one."""
    is_asked = request.path == "/redfish" or request.path.startswith("/redfish/")
    return current_app.extensions.get("redfish") if is_asked else None


def _is_opened_by_a_person() -> bool:
    """As a page of its own, and not asked for by a script or a program."""
    return request.headers.get("Sec-Fetch-Dest") == "document"


def _login_page() -> str:
    """Leads to where the person wanted to go, see static/common/destination.js."""
    wanted = request.full_path.removesuffix("?")
    # Encoded it is up to three times as long, and nginx takes 4 kB of headers from the web app.
    if wanted == "/" or len(wanted) > LONGEST_LINK:
        return "/login"
    return f"/login?{urlencode({'next': wanted})}"


def comes_from_another_site() -> bool:
    """By a link: the browser keeps back the session's cookie, and whoever is logged in looks like a stranger."""
    return request.headers.get("Sec-Fetch-Site") == "cross-site"


def _bearer_token() -> str | None:
    """Of a program. A cookie beside it counts for nothing: a request has the rights of one or of the other."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _has_csrf_token() -> bool:
    return hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf_token().encode())


def is_from_own_page() -> bool:
    """Browsers name the page's origin with each change. A program must do so, too."""
    # Proxies may name the port that browsers leave out, and write the name as their configuration has it.
    host = request.headers.get("Host", "").lower().removesuffix(":443")
    return request.headers.get("Origin") == f"https://{host}"


def _foreign_request() -> ApiError:
    """Why it is refused. Behind a proxy that changes the request the device's own page is foreign to it: only the
    browser knows better, and nobody is let in for that."""
    origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
    if origin == f"http://{host}":
        return ApiError(
            403, "Refused: the page was opened by http. A proxy must offer it by https."
        )
    if request.headers.get("Sec-Fetch-Site") == "same-origin":
        return ApiError(
            403,
            "Refused: the page is at {origin}, and the request came for {host}. A proxy must pass the Host header on "
            "unchanged, with its port.",
            origin=origin,
            host=host,
        )
    return ApiError(403, "Refused: the request comes from another site.")


def _noted(refusal: ApiError) -> ApiError:
    audit.note("request_refused", str(refusal), refused=True, network=client_info().network)
    return refusal


def read_object() -> dict:
    """The request's JSON object."""
    if request.mimetype != "application/json":
        raise ApiError(415, "The request must be JSON (Content-Type: application/json).")
    try:
        values = request.get_json(silent=True)
    except RecursionError:  # brackets in brackets in brackets
        values = None
    if not isinstance(values, dict):
        raise ApiError(400, "The request must hold one JSON object.")
    return values


def read_json(*fields: str) -> dict[str, str]:
    """The request's JSON object, which must have exactly these fields, all of them texts."""
    values = read_object()
    if values.keys() != set(fields):
        raise ApiError(
            400, "The request must hold {fields}, and nothing else.", fields=", ".join(fields)
        )
    for name in fields:
        value = values[name]
        if not isinstance(value, str):
            raise ApiError(400, "{name} must be of the type {type}.", name=name, type="str")
        # Codes are copied with tabs and no-break spaces, MAC addresses with anything (see power/machines.py).
        shown = {"code": "".join(value.split()), "mac": ""}.get(name, value)
        if len(value) > LONGEST_INPUT or not shown.isprintable():
            raise ApiError(
                400,
                "{name} must have at most {most} characters and no control characters.",
                name=name,
                most=LONGEST_INPUT,
            )
    return values


def set_session_cookies(tokens: SessionTokens, answer: dict) -> Response:
    """The answer to whoever came in."""
    response = current_app.make_response(answer)
    set_cookie = partial(
        response.set_cookie, path="/", secure=True, httponly=True, samesite="Strict"
    )
    set_cookie(auth().session_cookie, tokens.session)
    set_cookie(browser_cookie(), tokens.browser, max_age=180 * 24 * 3600)
    return response


def sentence_of(error: ApiError) -> str:
    """In the reader's language."""
    return t(error.sentence, **error.values)


def describe_refusal(error: ApiError) -> ResponseReturnValue:
    if redfish := asked_redfish():
        return redfish.describe(error)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    answer: dict[str, object] = {"error": sentence_of(error)}
    if error.code_needed:
        answer["code_needed"] = True
    return answer, error.status, headers


def describe_busy(_: passwords.Busy) -> ResponseReturnValue:
    refusal = ApiError(
        503, "The device is busy with other logins. Try again in a moment.", retry_after=1
    )
    return describe_refusal(refusal)


def install(app: Flask, new_auth: Auth) -> None:
    app.extensions["auth"] = new_auth
    app.before_request(guard)
    app.register_error_handler(ApiError, describe_refusal)
    app.register_error_handler(passwords.Busy, describe_busy)

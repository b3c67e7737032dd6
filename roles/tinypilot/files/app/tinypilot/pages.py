# SPDX-License-Identifier: MIT
"""What a person opens in a browser."""

from flask import Blueprint, current_app, render_template

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def remote_screen():
    config = current_app.config["TINYPILOT"]
    return render_template("index.html", name=config.name, ice_servers=config.ice_servers)

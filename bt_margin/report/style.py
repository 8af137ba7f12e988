"""The looks and the workings of the page: style sheet and scripts that travel with the package."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files

from bt_margin.report.series import DASHES

#: Scripts in the order in which they need each other; on the page they are one.
SCRIPTS = (
    "core.js",
    "data.js",
    "view.js",
    "panels.js",
    "chart.js",
    "panel.js",
    "gestures.js",
    "tables.js",
    "app.js",
)
#: Runs before anything is painted: a reader who chose a theme never sees the other one flash by.
EARLY = (
    "document.documentElement.dataset.js='';try{const t=localStorage.getItem('bt_margin.theme');"
    "if(t==='light'||t==='dark')document.documentElement.dataset.theme=t}catch{}"
)


@cache
def asset(name: str) -> str:
    """The text of a file that travels with the package."""
    return files("bt_margin.report").joinpath("assets", name).read_text(encoding="utf-8")


def styles() -> str:
    """The style sheet of the page."""
    return asset("page.css")


@cache
def script() -> str:
    """Everything the page does, as one script that leaves nothing behind in the window."""
    body = "\n".join(asset(name) for name in SCRIPTS)
    return f"(() => {{\n'use strict';\n{body}\n}})();"


@cache
def chart_library() -> str:
    """plotly.js, as the installed plotly package carries it."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def policy(*scripts: str) -> str:
    """A content security policy under which the page can ask for nothing and runs only these scripts.

    >>> "default-src 'none'" in policy("1+1") and "'sha256-" in policy("1+1")
    True
    """
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def document(title: str, own: str, *body: str) -> str:
    """A whole page without scripts of its own: the house's styles, then its ``own``; ``body`` is markup."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy(EARLY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title><link rel='icon' href='data:,'>",
            f"<script>{EARLY}</script><style>{styles()}{own}</style></head><body>",
            *body,
            "</body></html>",
            "",
        ]
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def swatch(number: int) -> str:
    """The sample of a scenario's line, colour and dashes, as SVG."""
    tone = number % len(DASHES)
    return (
        f"<svg class='swatch tone{tone}' viewBox='0 0 28 8' aria-hidden='true'>"
        f"<path d='M0 4H28' stroke-dasharray='{DASHES[tone]}'/></svg>"
    )

"""The report: one HTML file that opens from disk, offline, and follows the reader's light or dark scheme.

Words, headline, waterfall, months and stamp are plain HTML. The charts are one small plotly chart per
quantity, all showing the same span of time, rather than one figure with many panels: only charts on the
screen are drawn again after a zoom, which takes tens of milliseconds instead of seconds. Each is given what
its width can show (the line and the band of every column), worked out from arrays that the page holds once
and unpacks when a chart first needs them.

The page asks for nothing: a content security policy forbids it, and lets run only the scripts written here.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from bt_margin.report import markup, style
from bt_margin.report.encode import encode

if TYPE_CHECKING:
    from bt_margin.report.bundle import Bundle

#: What the scripts need of the meta data besides the rows; everything else is in the HTML already.
SCRIPTED = ("scenarios", "symbols", "currency", "digits", "thresholds", "synthetic")
_NAV = (
    ("headline", "Headline"),
    ("charts", "Charts"),
    ("waterfall", "Difference"),
    ("months", "Months"),
    ("tables", "Trades and events"),
    ("fidelity", "How true this is"),
    ("made", "How it was made"),
)


def page(bundle: Bundle) -> str:
    """The whole page as text, from the verdict to the stamp."""
    meta = bundle.meta
    library, own = style.chart_library(), style.script()
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(library, own)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(meta['title'])}</title><link rel='icon' href='data:,'>",
            f"<script>{style.EARLY}</script><style>{style.styles()}</style></head><body>",
            "<a class='skip' href='#headline'>Skip to the numbers</a><main>",
            *_body(meta),
            "</main><div id='said' role='status' aria-live='polite'></div>",
            *_data(bundle),
            f"<script>{library}</script>",
            f"<script>{own}</script></body></html>",
            "",
        ]
    )


def _policy(library: str, own: str) -> str:
    return style.policy(style.EARLY, library, own)


def _body(meta: Mapping[str, Any]) -> Iterator[str]:
    """The sections from top to bottom."""
    sections = [
        CHARTS,
        markup.waterfalls(meta),
        markup.months(meta),
        "<div id='tables'></div>",
        "<div id='fidelity'>"
        + markup.sentences("true", "How true this is", meta["fidelity"])
        + markup.statements(meta)
        + "</div>",
        markup.stamp(meta),
    ]
    headline = markup.headline(meta)
    yield markup.top(meta)
    yield f"<div class='lead'><div>{markup.verdict(meta)}{_nav(headline + ''.join(sections))}</div>"
    yield f"{headline}</div>"
    yield from sections


def _nav(body: str) -> str:
    """Links to the sections there are."""
    links = "".join(
        f"<a href='#{name}'>{text}</a>" for name, text in _NAV if f"id='{name}'" in body
    )
    return f"<nav aria-label='Sections'>{links}</nav>"


CHARTS = """<section id='charts' aria-label='Charts'>
<noscript><p class='warn'>Charts and long tables need scripts; everything else is complete.</p></noscript>
<p id='trouble' class='warn' role='alert'></p>
<h2>How it went</h2>
<p class='note'>All charts show the same span of time. Where several bars share a pixel, the line is the last
value of each (the worst, for drawdown, margin ratio, leverage and margin) and the band behind it reaches from
the lowest to the highest.</p>
<div class='bar'><div class='bar-row'><div id='clock'><span id='when'></span><span id='where'></span></div>
<div id='tools' role='toolbar' aria-label='Span of time and scenarios'></div></div>
<div id='pinned' hidden><span id='pinned-text'></span>
<button type='button' id='back'>Back to the table</button>
<button type='button' id='unpin'>Let go</button></div></div>
<div class='panels' id='group-equity'></div>
<h2>Prices, fills and liquidation prices</h2>
<p class='note'>✕ liquidation, ▲ bought, ▼ sold; filled marks belong to the first scenario, hollow ones to the
second. The stepped lines are the liquidation prices of each scenario; those far from the price are out of
sight.</p>
<div id='symbols'></div><div class='panels' id='group-price'></div>
<h2>Margin and leverage</h2><div class='panels' id='group-risk'></div>
<h2>What it cost</h2><div class='panels' id='group-costs'></div></section>"""


# -- data --------------------------------------------------------------------------------------------


def _data(bundle: Bundle) -> Iterator[str]:
    """What the scripts read: a little JSON, the rows of the tables and the marks, and every array."""
    meta = bundle.meta
    yield _json_block("meta", {key: meta[key] for key in SCRIPTED})
    rows = {"tables": meta["tables"], "markers": meta["markers"]}
    packed = base64.b64encode(zlib.compress(_json(rows).encode("utf-8"), 6)).decode("ascii")
    yield f"<script type='text/plain' id='rows'>{packed}</script>"
    for name, coded in encode(bundle.arrays, int(meta["digits"])).items():
        yield _json_block(f"array:{name}", coded)


def _json_block(name: str, value: Any) -> str:
    """A block of data that cannot end the element it stands in."""
    text = _json(value).replace("<", "\\u003c")
    return f"<script type='application/json' id='{escape(name, quote=True)}'>{text}</script>"


def _json(value: Any) -> str:
    """JSON as browsers read it: what is no number is nothing."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(one) for one in value]
    return value

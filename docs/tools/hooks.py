"""What the build adds to the pages: tables from the code, and the notes that lie elsewhere in the repository.

MkDocs calls the functions below by their names (`hooks:` in mkdocs.yml).

* `<!-- venues -->` in a page becomes the facts and approximations of every venue, as the code states them.
* A page with `<!-- notebook NAME -->` becomes the cells of docs/notebooks/NAME.ipynb and what they show.
* data/README.md, strategies/README.md and CHANGELOG.md are pages of the book as they are, and links from
  the pages to these files lead there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import bt_margin as btm

sys.path.insert(0, str(Path(__file__).parent))
import notebook

ROOT = Path(__file__).resolve().parents[2]
#: File of the repository -> its page in the book.
ELSEWHERE = {
    "data/README.md": "frames.md",
    "strategies/README.md": "strategies.md",
    "CHANGELOG.md": "changelog.md",
}
#: What a venue has to be told before it can be built.
STATED: dict[str, dict[str, Any]] = {
    "generic": {
        "maintenance_rate": 0.005,
        "taker_fee": 0.0005,
        "maker_fee": 0.0002,
        "liquidation_fee": 0.0,
        "funding_interval": "8h",
        "residual": "trader",
    },
    "dydx_v3": {"taker_fee": 0.0005, "maker_fee": 0.0002},
}
GRADES = {
    "P": "the venue's own page",
    "A": "its API reference",
    "R": "a payload of a real account or market",
    "C": "source code of others",
    "D": "derived by algebra, or stated by you",
    "M": "from memory",
    "N": "looked for and not found: a choice of ours",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the notes that lie elsewhere."""
    from mkdocs.structure.files import File

    for source, page in ELSEWHERE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the markers of a page, and lead its links to the pages of the book."""
    markdown = markdown.replace("<!-- venues -->", venue_tables())
    told = re.search(r"<!-- notebook (\w+) -->", markdown)
    if told:
        markdown = cells_of(told[1])
    up = "../" * page.file.src_uri.count("/")
    for source, target in ELSEWHERE.items():
        markdown = re.sub(rf"\]\((\.\./)+{re.escape(source)}", f"]({up}{target}", markdown)
    return markdown


def venue_tables() -> str:
    """Facts and approximations of every venue, as Markdown."""
    parts = []
    for name in btm.venues():
        venue = btm.venue(name, **STATED.get(name, {}))
        parts += [
            f"## {venue.title} (`{name}`)",
            "",
        ]
        for title, said in (
            ("As on the venue:", venue.exact),
            ("Approximated:", venue.approximations),
            ("Not there:", venue.absent),
        ):
            if said:
                parts += [title, "", *(f"- {plain(text)}" for text in said), ""]
        parts += ["", "| fact | value | source | as of | grade |", "|---|---|---|---|---|"]
        parts += [
            f"| {' | '.join(map(plain, (f.topic, f.value, f.source, f.as_of, f.tag)))} |"
            for f in venue.facts
        ]
        parts.append("")
    grades = "; ".join(f"**{tag}** {words}" for tag, words in GRADES.items())
    return "\n".join([*parts, f"Grades: {grades}."])


def plain(text: str) -> str:
    """Text as it is, where Markdown and tables would read something into it.

    >>> plain("a|b * <c>")
    'a\\\\|b \\\\* &lt;c&gt;'
    """
    text = text.replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([|*_`\[\]])", r"\\\1", text)


def cells_of(name: str) -> str:
    """A notebook as a page: its text, its code in fences, and what each cell shows when it is run."""
    parts = []
    for cell in notebook.run(name):
        parts.append(cell.text if cell.kind == "markdown" else f"```python\n{cell.text}\n```")
        if cell.printed:
            parts.append(f"```text\n{cell.printed.rstrip()}\n```")
        if cell.shown is not None:
            parts.append(shown(cell.shown))
    parts.append(f"To run it yourself: [{name}.ipynb](notebooks/{name}.ipynb).")
    return "\n\n".join(parts)


def shown(value: Any) -> str:
    """A table as a table, anything else as its text."""
    if isinstance(value, pd.Series):
        value = value.to_frame()
    if isinstance(value, pd.DataFrame):
        return str(value.to_html(border=0)).replace(' class="dataframe"', "")
    return f"```text\n{value!r}\n```"

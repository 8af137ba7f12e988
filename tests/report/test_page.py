"""The page as text: one file that asks for nothing, holds every number once and cannot be broken by names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from configparser import ConfigParser
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report.bundles import bundle

from bt_margin.report import markup, style
from bt_margin.report.encode import decode, quantised
from bt_margin.report.headline import standings
from bt_margin.report.numbers import adding_up
from bt_margin.report.page import page
from bt_margin.report.series import DASHES

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "bt_margin" / "report" / "assets"
VOID = {"meta", "link", "br", "img", "input", "path"}


class Tree(HTMLParser):
    """What a browser makes of a page: elements with attributes, texts of blocks, nesting that closes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self.found[-1][1].get("id"):
            self.blocks[str(self.found[-1][1]["id"])] = data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def made() -> Any:
    return bundle(400)


@pytest.fixture(scope="module")
def text(made: Any) -> str:
    return page(made)


@pytest.fixture(scope="module")
def tree(text: str) -> Tree:
    return Tree(text)


def test_every_element_is_closed(tree: Tree) -> None:
    assert tree.open == []


def test_nothing_is_loaded_from_elsewhere(tree: Tree) -> None:
    assert [a for _, a in tree.found if "src" in a] == []
    links = [str(a["href"]) for _, a in tree.found if "href" in a]
    assert [link for link in links if not link.startswith(("#", "data:,"))] == []


def test_links_within_the_page_lead_somewhere(tree: Tree) -> None:
    names = {a.get("id") for _, a in tree.found}
    links = [str(a["href"]) for a in tree.of("a")]
    assert len(links) > 5
    assert {link[1:] for link in links} <= names


def test_only_the_scripts_written_here_may_run(text: str, tree: Tree) -> None:
    (policy,) = [a for a in tree.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    allowed = set(re.findall(r"'sha256-([^']+)'", str(policy["content"])))
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    assert len(scripts) == 3
    assert digests == allowed
    assert "default-src 'none'" in str(policy["content"])
    assert not re.search(r"\son\w+=", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))


def test_every_array_can_be_read_back(made: Any, tree: Tree) -> None:
    names = [name for name in tree.blocks if name.startswith("array:")]
    coded = {name.removeprefix("array:"): json.loads(tree.blocks[name]) for name in names}
    wanted = quantised(made.arrays, made.meta["digits"])
    found = decode(coded)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.array_equal(found[name], values, equal_nan=True), name


def test_rows_and_marks_can_be_read_back(made: Any, tree: Tree) -> None:
    rows = json.loads(zlib.decompress(base64.b64decode(tree.blocks["rows"])))
    assert rows == {"tables": made.meta["tables"], "markers": made.meta["markers"]}


def test_the_same_bundle_gives_the_same_page(made: Any, text: str) -> None:
    assert page(made) == text


def test_what_is_no_number_is_nothing_for_the_browser() -> None:
    made = bundle(50, fills=2)
    made.meta["tables"]["trades"]["rows"][0][3] = float("nan")
    made.meta["markers"][0]["price"] = float("inf")
    rows = json.loads(zlib.decompress(base64.b64decode(Tree(page(made)).blocks["rows"])))
    assert rows["tables"]["trades"]["rows"][0][3] is None
    assert rows["markers"][0]["price"] is None


@pytest.mark.parametrize("evil", ["</script><b>", "<!--<script>", "\"'><i>", "<?x", "]]>"])
def test_names_cannot_break_the_page(evil: str) -> None:
    made = bundle(20, scenarios=(evil, "other"), symbols=(evil,))
    made.meta |= {
        "title": evil,
        "verdict": evil,
        "footnotes": [evil],
        "settings": {evil: {evil: 1}},
    }
    made.meta["stamp"] |= {evil: evil, "command": evil}
    made.meta["waterfalls"][0]["steps"][0] |= {"label": evil, "sentence": evil}
    tree = Tree(page(made))
    usual = {tag for tag, _ in Tree(page(bundle(20))).found}
    assert tree.open == []
    assert {tag for tag, _ in tree.found} == usual
    assert json.loads(tree.blocks["meta"])["symbols"] == [evil]


def test_made_up_data_is_marked(text: str) -> None:
    assert "SYNTHETIC market" not in text
    assert "SYNTHETIC market" in page(bundle(5, synthetic=True))


@pytest.mark.parametrize("seed", range(20))
def test_the_shown_waterfall_adds_up_to_the_last_digit(seed: int) -> None:
    chance = np.random.default_rng(seed)
    values = chance.normal(0.0, 300.0, int(chance.integers(1, 12)))
    start = float(chance.normal(10_000.0, 50.0))
    for digits in (2, 8):
        first, steps, last = adding_up(start, list(values), start + float(values.sum()), digits)
        shown = [round(value * 10**digits) for value in (first, *steps, last)]
        assert sum(shown[:-1]) == shown[-1]
        off = [
            abs(one - value * 10**digits) for one, value in zip(shown[1:-1], values, strict=True)
        ]
        assert max(off) <= 1.0


def test_statistics_that_matter_less_are_there_but_folded(made: Any) -> None:
    row = made.meta["headline"]["rows"][1] | {"compact": False, "label": "skewness"}
    head = made.meta["headline"] | {"rows": [made.meta["headline"]["rows"][0], row]}
    found = markup.headline(made.meta | {"headline": head})
    assert "<tr class='extra'><th scope='row'" in found
    assert "Show all 2 statistics" in found


def test_a_month_without_a_return_is_empty_and_one_of_zero_is_not(made: Any) -> None:
    found = markup.months(made.meta)
    assert "<td></td>" in found
    assert "<td class='' style='--deep:0.00'>0.00&nbsp;%</td>" in found.replace(
        "0.00 %", "0.00&nbsp;%"
    )


def test_sections_without_content_are_left_out() -> None:
    made = bundle(5, scenarios=("isolated",), months={"scenarios": {}}, approximations=[])
    found = page(made)
    assert "id='waterfall'" not in found
    assert "id='months'" not in found
    assert "#waterfall'" not in found


def test_dashes_are_the_same_in_pictures_scripts_and_styles() -> None:
    (listed,) = re.findall(r"const DASHES = (\[.*?\]);", style.asset("core.js"))
    assert json.loads(listed.replace("'", '"')) == list(DASHES)
    assert len(re.findall(r"\.tone(\d)\{", style.styles())) == len(DASHES)


def test_every_asset_is_used_and_travels_with_the_package() -> None:
    names = {file.name for file in ASSETS.iterdir() if file.is_file()}
    assert names == {"page.css", *style.SCRIPTS}
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["bt_margin.report"].split()
    assert all(any(fnmatch(f"assets/{name}", p) for p in patterns) for name in names)


def test_scripts_are_short_files_of_short_functions_and_put_nothing_in_as_markup() -> None:
    for name in style.SCRIPTS:
        text = style.asset(name)
        assert len(text.splitlines()) < 400, name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text
        )
        bodies = re.findall(r"^(?:async )?function .*?^}", text, flags=re.DOTALL | re.MULTILINE)
        assert max(len(body.splitlines()) for body in bodies) < 40, name


def test_the_library_cannot_end_its_script_element() -> None:
    assert "</script" not in style.chart_library().lower()
    assert "</script" not in style.script().lower()


def test_each_venue_says_what_is_exact_approximated_and_absent(made: Any) -> None:
    one = {
        "venue": "Here & there",
        "exact": ["The <price>."],
        "approximated": ["The depth: too cheap."],
        "absent": ["Lending."],
        "stands_for": {"BTC/USDT:USDT": "BTC/USDC:USDC"},
    }
    alone = markup.statements(made.meta | {"statements": [one]})
    assert "Here &amp; there" in alone
    assert "The &lt;price&gt;." in alone
    assert "<h3>Not there</h3>" in alone
    assert "BTC/USDT:USDT as BTC/USDC:USDC" in alone
    assert "<details>" not in alone
    two = markup.statements(made.meta | {"statements": [one, one | {"venue": "Elsewhere"}]})
    assert two.count("<details><summary>") == 2


def test_many_scenarios_are_rows_the_best_first_and_nothing_is_lost() -> None:
    names = tuple(f"venue {n}" for n in range(6))
    made = bundle(20, scenarios=names)
    html = page(made)
    table = made.meta["headline"]
    first, *rows = standings(table)
    assert first[:2] == ["scenario", "final equity"]
    finals = next(row for row in table["rows"] if row["key"] == "final_equity")["values"]
    assert [row[0] for row in rows] == [
        name for _, name in sorted(zip(finals, names, strict=True), key=lambda pair: -pair[0])
    ]
    assert "Every statistic of every scenario" in html
    assert html.count("<details><summary>venue ") >= 1

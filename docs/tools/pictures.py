"""The pictures of the book: `python docs/tools/pictures.py` writes them into docs/img."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from sheet import Scale, Sheet

import bt_margin as btm

FOLDER = Path(__file__).resolve().parents[1] / "img"
ENTRY, LEVERAGE, RATE = 100.0, 10.0, 0.02


def example() -> btm.Account:
    """The account of the examples: long one at 100 with 10 of isolated margin, 2 % maintenance."""
    rules = btm.venue(
        "generic", maintenance_rate=RATE, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.0,
        funding_interval="8h", residual="trader",
    )  # fmt: skip
    account = btm.Account(venue=rules, cash=100.0, margin_mode="isolated", leverage=LEVERAGE)
    account.mark("X", ENTRY)
    account.fill("X", 1.0, ENTRY)
    return account


def pools() -> Sheet:
    """Cross, isolated and both in one account."""
    sheet = Sheet(
        900, 330, "Margin mode is a partition of the account",
        "Cross: one pool holds the wallet and all positions. Isolated: each position is a pool with its "
        "own posted margin, the rest of the wallet is free. Mixed: both in one account.",
    )  # fmt: skip
    _pool_column(sheet, 20, "cross", ["BTC long", "ETH short", "DOGE long"], [])
    _pool_column(sheet, 315, "isolated", [], ["BTC long", "ETH short", "DOGE long"])
    _pool_column(sheet, 610, "mixed", ["BTC long", "ETH short"], ["DOGE long"])
    return sheet


def _pool_column(sheet: Sheet, left: float, name: str, shared: list[str], own: list[str]) -> None:
    sheet.text(left, 34, name, "title")
    height = 74 + 48 * len(shared)
    sheet.box(left, 50, 270, height, "cool")
    words = "wallet, shared by all of these" if shared else "wallet: backs nothing, free"
    sheet.text(left + 14, 78, words, "blue")
    sheet.text(left + 14, 100, "one balance, one margin ratio" if shared else "", "quiet")
    for place, position in enumerate(shared):
        sheet.box(left + 14, 112 + 48 * place, 242, 38)
        sheet.text(left + 28, 136 + 48 * place, position)
    top = 50 + height + 12
    for place, position in enumerate(own):
        at = top + 62 * place
        sheet.box(left, at, 270, 52, "warm")
        sheet.text(left + 14, at + 22, position)
        sheet.text(left + 14, at + 42, "posted margin of its own, own ratio", "quiet")


def bar() -> Sheet:
    """What happens inside one bar, in order."""
    sheet = Sheet(
        900, 400, "The bar contract",
        "Funding due at the open, the gap, then either the fast lane or a walk along three straight legs on "
        "which a stop, a funding stamp or a liquidation happens where the price gets there; the close.",
    )  # fmt: skip
    at = Scale(90, 520, 330 + 89 * 17, 17)
    for x, words in ((30, "1 due"), (90, "2 gap"), (300, "4 walk"), (610, "5 close")):
        sheet.text(x, 34, words, "title")
    path = [at(0, 100), at(0.33, 90), at(0.75, 104), at(1, 98)]
    sheet.line([at(-0.1, 102.5), at(0, 102.5)], "ink")
    sheet.line([at(0, 102.5), at(0, 100)], "badline")
    sheet.line(path, "ink")
    price = example().liquidation_price("X") or 0.0
    sheet.line([at(0, price), at(1.05, price)], "badline")
    sheet.text(*at(1.06, price - 0.3), f"liquidation at {price:.2f}: too late", "bad")
    sheet.line([at(0, 95), at(1.05, 95)], "goodline")
    sheet.text(*at(1.06, 94.7), "stop at 95: comes first, saves", "good")
    sheet.dot(*at(0.33 * 0.5, 95), "good")
    x, y = at(0.54, 97.1)
    sheet.dot(x, y, "blue")
    sheet.text(x + 12, y + 6, "funding stamp inside the bar", "blue")
    names = (
        (0, 100, 14, 4, "open"),
        (0.33, 90, 12, 6, "low"),
        (0.75, 104, -12, -10, "high"),
        (1, 98, 12, 6, "close"),
    )
    for s, level, right, down, words in names:
        x, y = at(s, level)
        sheet.dot(x, y, "quiet", 3.5)
        sheet.text(x + right, y + down, words, "quiet")
    sheet.text(
        30,
        384,
        "3 fast lane, instead of 4: no pool can breach, orders match as in backtrader.",
        "quiet",
    )
    return sheet


def paths() -> Sheet:
    """The same candle in two orders."""
    sheet = Sheet(
        900, 360, "One candle, two paths",
        "Low first: the long is liquidated at 91.84 before its limit. High first: the limit at 103 sells, "
        "and the fall comes after the position is gone.",
    )  # fmt: skip
    price = example().liquidation_price("X") or 0.0
    _one_path(
        sheet,
        30,
        "low first (adverse for a long)",
        [100, 90, 104, 99],
        (100 - price) / 10,
        price,
        True,
    )
    _one_path(sheet, 470, "high first (favourable)", [100, 104, 90, 99], 0.75, 103, False)
    return sheet


def _one_path(
    sheet: Sheet, left: float, title: str, prices: list[float], share: float, end: float, dies: bool
) -> None:
    at = Scale(left + 20, 110, 300 + 89 * 15, 15)
    price = example().liquidation_price("X") or 0.0
    sheet.text(left, 34, title, "title")
    sheet.line([at(0, price), at(3, price)], "badline")
    sheet.line([at(0, 103), at(3, 103)], "goodline")
    sheet.text(*at(1.15 if dies else 1.75, 103.3), "sell limit 103", "good")
    sheet.text(*at(1.9 if dies else 0.1, 92.2), f"liquidation {price:.2f}", "bad")
    sheet.line([at(n, p) for n, p in enumerate(prices)], "ink")
    if dies:
        sheet.cross(*at(share, end))
        sheet.text(left, 346, "liquidated on the first leg; the limit is cancelled", "bad")
    else:
        sheet.dot(*at(share, end), "good", 6)
        sheet.text(left, 346, "sold at 103; the fall finds no position", "good")


def liquidation() -> Sheet:
    """Equity and requirement against the price."""
    sheet = Sheet(
        900, 400, "Where equity meets maintenance",
        "Against the mark price, the equity of an isolated long falls on a straight line and the "
        "maintenance requirement hardly moves. They meet at the liquidation price; at the bankruptcy price "
        "nothing of the margin is left.",
    )  # fmt: skip
    account = example()
    died, broke = account.liquidation_price("X") or 0.0, account.bankruptcy_price("X") or 0.0
    at = Scale(70 - 88 * 55, 55, 300, 20)
    sheet.line([at(88, 0), at(101, 0)])
    sheet.text(*at(101, -2.0), "mark price of X", "quiet", "end")
    sheet.text(70, 40, "long 1 at 100 with a margin of 10", "title")
    sheet.line([at(89, -1), at(101, 11)], "blueline")
    sheet.text(*at(97.0, 9.6), "equity of the pool", "blue", "end")
    sheet.line([at(88, RATE * 88), at(101, RATE * 101)], "orangeline")
    sheet.text(*at(96.2, 2.5), "maintenance: 2 % of the notional", "orange")
    for price in (broke, died, ENTRY):
        sheet.line([at(price, -0.3), at(price, 0.3)], "ink")
    sheet.line([at(died, 0), at(died, 8)], "badline")
    sheet.text(*at(died + 0.1, 8.2), f"liquidation price {died:.2f}: margin ratio 1", "bad")
    sheet.dot(*at(died, RATE * died), "bad")
    sheet.text(*at(broke, -2.0), f"bankruptcy price {broke:.2f}", "quiet", "middle")
    sheet.text(*at(ENTRY, -1.0), "entry 100", "quiet", "end")
    sheet.dot(*at(broke, 0), "quiet")
    return sheet


def tiers() -> Sheet:
    """Maintenance against notional with three tiers."""
    sheet = Sheet(
        900, 360, "Tiers: the larger the position, the steeper the requirement",
        "The maintenance requirement against the notional is a chain of straight pieces. The deduction "
        "of each tier makes the pieces meet, so nothing jumps at an edge.",
    )  # fmt: skip
    rows = [(50, 0.01, 0.0), (150, 0.025, 0.75), (250, 0.05, 4.5)]
    at = Scale(80, 2.9, 300, 28)
    sheet.line([at(0, 9), at(0, 0), at(260, 0)])
    sheet.text(*at(0, 9.4), "maintenance", "quiet")
    sheet.text(*at(258, -0.75), "notional, thousands", "quiet", "end")
    start = 0.0
    for cap, rate, deduction in rows:
        sheet.line(
            [at(start, start * rate - deduction), at(cap, cap * rate - deduction)], "blueline"
        )
        sheet.line([at(cap, 0), at(cap, 9)])
        sheet.text(*at((start + cap) / 2, -0.75), f"to {cap}", "quiet", "middle")
        words = f"{rate:.1%} − {deduction * 1000:,.0f}" if deduction else f"{rate:.1%}"
        sheet.text(*at((start + cap) / 2, 8.4), words, "blue", "middle")
        start = cap
    return sheet


def funding() -> Sheet:
    """Who pays at a settlement."""
    sheet = Sheet(
        900, 270, "Funding is charged at stamps, once",
        "A position that is open at a settlement pays or receives; one that opens after a stamp and "
        "closes before the next has nothing to do with it.",
    )  # fmt: skip
    x = Scale(60, 34).x
    for hour in range(24):
        sheet.box(x(hour) + 2, 196, 30, 18, radius=3)
    for hour in (0, 8, 16, 24):
        sheet.line([(x(hour), 50), (x(hour), 224)], "ink")
        sheet.text(x(hour), 244, f"{hour:02d}:00", "quiet", "middle")
    sheet.text(60, 34, "settlements", "title")
    sheet.box(x(9.5), 74, x(15.5) - x(9.5), 30, "cool")
    sheet.text(x(12.5), 94, "in between: nothing", "blue", "middle")
    sheet.box(x(6), 128, x(20) - x(6), 30, "warm")
    sheet.text(x(8.5), 148, "open at 08:00 and 16:00: twice", "orange")
    for hour in (8, 16):
        sheet.dot(x(hour), 143, "bad", 6)
    return sheet


def orders() -> Sheet:
    """What is free, and an order that fits beside one that does not."""
    sheet = Sheet(
        900, 300, "What is free, and what an order needs",
        "Of an equity of 1,000, positions hold 400 as initial margin and a resting order reserves 150; 450 "
        "is free. An order that needs 300 is accepted, one that needs 600 is refused.",
    )  # fmt: skip
    x = Scale(60, 0.68).x
    sheet.text(60, 34, "equity 1,000", "title")
    parts = (
        (0, 400, "cool", "blue", "initial margin of positions 400"),
        (400, 550, "warm", "orange", "resting 150"),
        (550, 1000, "box", "", "free 450"),
    )
    for start, end, kind, ink, words in parts:
        sheet.box(x(start), 50, x(end) - x(start), 44, kind, radius=3)
        sheet.text(x((start + end) / 2), 77, words, ink, "middle")
    for money in (550, 1000):
        sheet.line([(x(money), 50), (x(money), 240)], "line")
    asked = (
        (300, 128, "goodline", "good", "needs 300: accepted"),
        (600, 196, "badline", "bad", "needs 600: refused"),
    )
    for need, top, line, ink, words in asked:
        left, right = x(550), x(550 + need)
        ends = [(left, top), (right, top), (right, top + 30), (left, top + 30), (left, top)]
        sheet.line(ends, line)
        sheet.text(x(540), top + 20, words, ink, "end")
    sheet.text(
        60,
        276,
        "needed = notional of the opening part / leverage, and its fee where the venue counts it",
        "quiet",
    )
    return sheet


PICTURES: dict[str, Callable[[], Sheet]] = {
    made.__name__: made for made in (pools, bar, paths, liquidation, tiers, funding, orders)
}


def main() -> None:
    """Write every picture."""
    for name, made in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(made().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()

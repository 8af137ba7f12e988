"""GMX in the engine: crash bars, gaps, borrow fees and closings, with every unit of money accounted for.

One BTC at 50,000: a size of 50,000, whatever happens to the price.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest
from plugin.stage import act, bars, kinds
from stories.world import buy, flat, frame, play

import bt_margin as btm
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.errors import LeverageError

HOUR = 3_600_000
START = 1_704_067_200_000
BTC = "BTC/USDC:USDC"
ENTRY = 50_000.0
SIDES = pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])

#: nothing runs while a position is held
STILL: dict[str, dict[str, Any]] = {"gmx_v1": {"utilisation": 0.0}, "gmx_v2": {"usage": 0.0}}


class Desk:
    """An account, one symbol, and bars told as moves against (−) or for (+) the position."""

    def __init__(
        self, name: str, side: int, leverage: float = 10, size: float = 1.0, **options: Any
    ):
        cash = options.pop("cash", 100_000.0)
        slippage = options.pop("liquidation_slippage", 0.0)
        venue = btm.venue(name, **(options or STILL[name]))
        self.account = btm.Account(
            venue=venue, cash=cash, margin_mode="isolated", leverage=leverage, debug=True,
            time=START, liquidation_slippage=slippage,
        )  # fmt: skip
        self.side, self.bars = side, 0
        self.account.fill(BTC, side * size, ENTRY)
        self.stepper, self.quote = Stepper(self.account), Quote(self.account.position(BTC))

    def bar(self, start: float, worst: float, end: float, hours: int = 1) -> None:
        """A bar of moves: its open, its extreme against the position, its close."""
        at = [ENTRY + self.side * move for move in (start, worst, end)]
        time = START + self.bars * HOUR
        prices = (at[0], max(at), min(at), at[2])
        self.quote.set(time, time + hours * HOUR, prices)
        self.stepper.step(time, [self.quote], NoOrders())
        self.bars += hours

    def told(self, *kinds: str) -> list[Any]:
        return [event for event in self.account.events if event.kind in kinds]

    def booked(self, kind: str) -> float:
        return float(self.account.ledger.totals[kind])

    def death(self) -> float:
        """The move at which the position was liquidated."""
        (event,) = self.told("liquidation")
        assert self.account.position(BTC).size == 0
        self.account.audit()
        return (event.price - ENTRY) * self.side

    @property
    def posted(self) -> float:
        return float(self.account.pools[f"isolated:{BTC}"].balance)


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-6)


# -- V2 --------------------------------------------------------------------------------------------


@SIDES
def test_v2_a_crash_bar_liquidates_where_half_a_per_cent_and_the_closing_fee_are_left(
    side: int,
) -> None:
    """5,000 + move = 0.005 · 50,000 + 0.0006 · 50,000 = 280. Fees on the size: 0.26 % = 130."""
    desk = Desk("gmx_v2", side)
    assert desk.account.liquidation_price(BTC) == near(ENTRY - side * 4_720)
    desk.bar(0, -5_500, -4_000)
    assert desk.death() == near(-4_720)
    assert desk.booked("realised") == near(-4_720)
    assert desk.booked("liquidation_fee") == near(-130)
    assert desk.booked("fee") == near(-30)
    assert desk.booked("insurance") == 0
    assert desk.account.wallet() == near(100_000 - 30 - 4_720 - 130)  # 150 of 280 came back


@SIDES
def test_v2_the_requirement_met_exactly_is_safe(side: int) -> None:
    desk = Desk("gmx_v2", side)
    desk.bar(0, -4_719.99, -4_000)
    desk.bar(-4_000, -4_719.999, -4_719.99)
    assert desk.told("breach", "liquidation") == []


@SIDES
def test_v2_a_gap_pays_what_is_left_at_the_open(side: int) -> None:
    """At −4,900 there are 100 left: less than the fees, which take no more than that."""
    desk = Desk("gmx_v2", side)
    desk.bar(-4_800, -4_900, -4_700)
    assert desk.death() == near(-4_800)
    assert desk.booked("liquidation_fee") == near(-130)
    lower = Desk("gmx_v2", side)
    lower.bar(-4_900, -4_950, -4_900)
    assert lower.booked("liquidation_fee") == near(-100)
    assert lower.booked("insurance") == 0
    assert lower.account.wallet() == near(95_000 - 30)


@SIDES
@pytest.mark.parametrize("name", ["gmx_v1", "gmx_v2"])
def test_a_gap_beyond_the_collateral_is_the_loss_of_the_pool(name: str, side: int) -> None:
    desk = Desk(name, side)
    desk.bar(-7_000, -8_000, -7_500)
    assert desk.death() == near(-7_000)
    assert desk.booked("realised") == near(-7_000)
    assert desk.booked("insurance") == near(2_000)
    assert desk.booked("liquidation_fee") == 0
    assert desk.told("shortfall")[0].amount == near(2_000)
    assert desk.account.wallet() == near(95_000 + desk.booked("fee"))


@SIDES
def test_v2_slippage_moves_the_price_and_not_the_fees(side: int) -> None:
    desk = Desk("gmx_v2", side, liquidation_slippage=0.001)
    desk.bar(0, -5_500, -4_000)
    crossing = ENTRY - side * 4_720
    assert desk.death() == near(-4_720 - crossing * 0.001)
    assert desk.booked("liquidation_fee") == near(-130)


@SIDES
def test_v2_a_dollar_keeps_small_positions(side: int) -> None:
    """0.002 BTC, a size of 100: 10 + 0.002 · move = max(0.5, 1) + 0.06."""
    desk = Desk("gmx_v2", side, size=0.002)
    assert desk.account.liquidation_price(BTC) == near(ENTRY - side * 4_470)
    desk.bar(0, -5_500, -4_000)
    assert desk.death() == near(-4_470)


def test_v2_the_most_leverage_that_opens_is_what_the_test_leaves() -> None:
    """1 / (0.5 % + 0.06 %) = 178.6: beyond it the test at opening asks for 280, and nothing is gained."""
    for leverage, posted in ((100, 500), (178, 50_000 / 178), (200, 280)):
        assert Desk("gmx_v2", 1, leverage=leverage).posted == near(posted)
    beyond = btm.Account(venue="gmx_v2", cash=1e6, margin_mode="isolated", leverage=200.5)
    with pytest.raises(LeverageError, match="exceeds 200"):
        beyond.preview(BTC, 1.0, ENTRY)


def test_v2_the_open_interest_of_the_side_raises_the_margin_and_caps_the_size() -> None:
    """(89,950,000 + 50,000) · 6e-11 = 0.54 % of the size, before the 0.56 % of the test; then 95 million."""
    crowded = Desk("gmx_v2", 1, leverage=200, usage=0.0, open_interest=94_900_000)
    assert crowded.posted == near(50_000 * 94_950_000 * 6e-11)
    assert crowded.account.preview(BTC, 1.0, ENTRY).accepted
    refused = crowded.account.preview(BTC, 1.01, ENTRY)
    assert (refused.accepted, refused.reason) == (False, "leverage_cap")


# -- V1 --------------------------------------------------------------------------------------------


@SIDES
def test_v1_between_the_bounds_the_rest_is_returned(side: int) -> None:
    """5,000 + move = 50,000 / 50 = 1,000; the ordinary fee of 50 is all that is kept."""
    desk = Desk("gmx_v1", side)
    assert desk.account.liquidation_price(BTC) == near(ENTRY - side * 4_000)
    desk.bar(0, -5_500, -4_000)
    assert desk.death() == near(-4_000)
    assert desk.booked("liquidation_fee") == near(-50)
    assert desk.told("liquidation")[0].info["settle"] == "sale"
    assert desk.account.wallet() == near(100_000 - 50 - 4_000 - 50)


@SIDES
def test_v1_a_gap_below_fees_and_five_dollars_loses_everything(side: int) -> None:
    """The bound is 50 + 5: at −4,944 there are 56 left and 6 come back, at −4,946 nothing does."""
    above, below = Desk("gmx_v1", side), Desk("gmx_v1", side)
    above.bar(-4_944, -4_960, -4_944)
    assert above.account.wallet() == near(95_000 - 50 + 6)
    below.bar(-4_946, -4_960, -4_946)
    (event,) = below.told("liquidation")
    assert event.info["settle"] == "takeover"
    assert below.booked("realised") == near(-5_000)
    assert below.booked("liquidation_fee") == below.booked("insurance") == 0
    assert below.account.wallet() == near(95_000 - 50)


@SIDES
def test_v1_small_positions_end_at_the_fees_and_lose_everything(side: int) -> None:
    """0.004 BTC, a size of 200: 20 + 0.004 · move = 0.2 + 5, before 200 / 50 = 4."""
    desk = Desk("gmx_v1", side, size=0.004)
    assert desk.account.liquidation_price(BTC) == near(ENTRY - side * 3_700)
    desk.bar(0, -5_500, -4_000)
    (event,) = desk.told("liquidation")
    assert (event.info["settle"], event.found) == ("takeover", near(5.2))
    assert desk.told("breach")[0].info["marks"][BTC] == near(ENTRY - side * 3_700)
    assert desk.account.wallet() == near(100_000 - 0.2 - 20)


def test_v1_fifty_times_opens_and_is_at_its_bound() -> None:
    desk = Desk("gmx_v1", 1, leverage=50)
    assert desk.posted == near(1_000)
    assert desk.account.liquidation_price(BTC) == near(ENTRY)
    desk.bar(0, 0, 0)
    assert desk.told("liquidation") == []
    desk.bar(10, -1, 0)
    assert desk.death() == near(0)
    small = Desk("gmx_v1", 1, leverage=50, size=0.002)
    assert small.posted == near(5.1)  # 2 would be enough for 50x, not for the fees and 5


# -- what runs while a position is held ------------------------------------------------------------


@SIDES
def test_v2_borrow_fees_move_the_liquidation_price_by_the_second(side: int) -> None:
    """Usage 0.9: 0.555 a year on 50,000; ten hours of it come off the collateral."""
    desk = Desk("gmx_v2", side, usage=0.9)
    for _ in range(11):
        desk.bar(0, 0, 0)
    paid = 50_000 * 0.555 * 10 / 8_760
    assert desk.booked("interest") == near(-paid)
    assert desk.posted == near(5_000 - paid)
    price = desk.account.liquidation_price(BTC)
    assert price == near(ENTRY - side * (4_720 - paid))
    desk.bar(0, -5_500, -4_000)
    assert desk.death() == near(-4_720 + paid * 1.1)  # the eleventh hour is due at the open


@SIDES
def test_v2_funding_goes_from_one_side_to_the_other(side: int) -> None:
    desk = Desk("gmx_v2", side, usage=0.0, funding=0.5)
    for _ in range(3):
        desk.bar(0, 0, 0)
    assert desk.booked("interest") == near(-side * 50_000 * 0.5 * 2 / 8_760)
    assert {event.reason for event in desk.told("interest")} == {"funding"}


@SIDES
def test_v2_rates_of_ones_own_replace_those_of_the_usage(side: int) -> None:
    own = {"long": 0.2, "short": -0.1}
    desk = Desk("gmx_v2", side, borrowing=0.3, funding=own)
    desk.bar(0, 0, 0)
    desk.bar(0, 0, 0)
    rate = 0.3 + own["long" if side > 0 else "short"]
    assert desk.booked("interest") == near(-50_000 * rate / 8_760)


def test_v1_has_no_funding_whatever_the_data_say() -> None:
    desk = Desk("gmx_v1", 1)
    desk.account.fund(BTC, 0.01)
    assert desk.told("funding") == []
    assert desk.posted == near(5_000)


@SIDES
def test_v1_borrow_fees_come_hour_by_hour_and_the_leverage_test_does_not_count_them(
    side: int,
) -> None:
    """100 ppm of 50,000 is 5 an hour. The test is on collateral + pnl: still −4,000, until the fees decide.

    After 200 hours 1,000 are due: 5,000 + move = max(1,000, 1,000 + 50 + 5), so −3,945.
    """
    desk = Desk("gmx_v1", side, utilisation=1.0)
    for _ in range(4):
        desk.bar(0, 0, 0)
    settled(desk)
    assert desk.booked("interest") == near(-20)
    assert desk.account.liquidation_price(BTC) == near(ENTRY - side * 4_000)
    desk.bar(0, -5_500, -4_000)
    assert desk.death() == near(-4_000)
    assert desk.account.wallet() == near(100_000 - 50 - 20 - 4_000 - 50)
    later = Desk("gmx_v1", side, utilisation=1.0)
    later.bar(0, 0, 0, hours=200)
    settled(later)
    assert later.account.liquidation_price(BTC) == near(ENTRY - side * 3_945)
    later.bar(0, -5_500, -4_000)
    assert later.told("liquidation")[0].info["settle"] == "takeover"
    assert later.account.wallet() == near(95_000 - 50)


def settled(desk: Desk) -> None:
    """Charge what is due until now, and ask the venue anew."""
    desk.account.clock(START + desk.bars * HOUR)
    desk.account.rejudge(desk.account.position(BTC))


def test_v1_the_whole_run_is_one_charge_per_hour_that_ends() -> None:
    desk = Desk("gmx_v1", 1, utilisation=0.57)
    desk.bar(0, 0, 0, hours=24)
    desk.bar(0, 0, 0)
    assert desk.booked("interest") == near(-24 * 57e-6 * 50_000)


# -- ordinary closings -----------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize(("name", "fee"), [("gmx_v1", 50), ("gmx_v2", 30)])
def test_fees_of_a_closing_are_on_the_size_at_entry(name: str, fee: float, side: int) -> None:
    """Half closed at a profit of 10,000 a coin, the rest at a loss of 2,000: fees never change."""
    desk = Desk(name, side)
    desk.account.fill(BTC, -side * 0.5, ENTRY + side * 10_000)
    assert desk.booked("fee") == near(-1.5 * fee)
    desk.account.fill(BTC, -side * 0.5, ENTRY - side * 2_000)
    assert desk.booked("fee") == near(-2 * fee)
    assert desk.booked("realised") == near(5_000 - 1_000)
    assert desk.account.wallet() == near(100_000 + 4_000 - 2 * fee)


@SIDES
def test_adding_and_reducing_scale_the_requirement(side: int) -> None:
    """1 at 50,000 and 1 at 60,000 are a size of 110,000; half of it 55,000."""
    desk = Desk("gmx_v2", side)
    desk.account.fill(BTC, side, 60_000.0)
    position = desk.account.position(BTC)
    assert position.maintenance() == near(110_000 * 0.0056)
    desk.account.fill(BTC, -side, 60_000.0)
    assert position.maintenance() == near(55_000 * 0.0056)


def test_v2_price_impact_is_paid_at_the_opening_when_asked_for() -> None:
    """9e-11 · 50,000² = 0.225 in an even market, beside the fee of 30."""
    desk = Desk("gmx_v2", 1, usage=0.0, imbalance=0.0)
    assert desk.account.wallet() == near(100_000 - 30 - 0.225)
    assert desk.posted == near(5_000)


@pytest.mark.parametrize(("name", "move", "back"), [("gmx_v1", 4_000, 950), ("gmx_v2", 4_720, 150)])
def test_both_sides_of_a_symbol_stand_alone(name: str, move: float, back: float) -> None:
    """A long and a short at once: a crash takes the long, and the short is what it was."""
    account = btm.Account(
        venue=btm.venue(name, **STILL[name]), cash=100_000, margin_mode="isolated", leverage=10,
        debug=True, time=START,
    )  # fmt: skip
    long, short = f"{BTC} long", f"{BTC} short"
    account.fill(long, 1.0, ENTRY)
    account.fill(short, -1.0, ENTRY)
    assert account.liquidation_price(long) == near(ENTRY - move)
    assert account.liquidation_price(short) == near(ENTRY + move)
    fees = float(account.ledger.totals["fee"])
    account.mark(long, ENTRY - move - 1e-6)
    assert account.position(long).size == 0
    assert (account.position(short).size, account.position(short).unrealised()) == (-1, near(move))
    assert account.wallet() == pytest.approx(100_000 + fees - 5_000 + back, abs=1e-5)
    account.audit()


# -- in backtrader ---------------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize(("name", "move"), [("gmx_v1", 4_000), ("gmx_v2", 4_720)])
def test_a_script_is_liquidated_there_and_told_so(name: str, move: float, side: int) -> None:
    """One contract bought (sold) at 50,000 with 10x, then a bar that falls (rises) by 5,500."""
    worst = ENTRY - side * 5_500
    crash = (ENTRY, max(ENTRY, worst), min(ENTRY, worst), ENTRY - side * 4_000)
    played = play(
        {BTC: frame([flat(ENTRY), flat(ENTRY), crash, flat(ENTRY)])},
        {0: buy(float(side), BTC)},
        mode="isolated",
        cash=100_000,
        venue=btm.venue(name, **STILL[name]),
    )
    assert played.liquidations == [(2, BTC, near(ENTRY - side * move))]
    assert [event.symbol for event in played.strategy.liquidations] == [BTC]
    assert played.size(BTC) == 0
    back = {"gmx_v1": 950, "gmx_v2": 150}[name]
    fee = {"gmx_v1": 50, "gmx_v2": 30}[name]
    assert played.broker.getvalue() == near(95_000 - fee + back)


@SIDES
@pytest.mark.parametrize("held", [0.0, 1.0])
def test_a_preview_of_gmx_v1_owes_no_borrow_fee_of_before_the_fill(side: int, held: float) -> None:
    account = btm.Account(
        btm.venue("gmx_v1", utilisation=1.0), cash=100_000.0, margin_mode="isolated", leverage=10.0,
        time=START, debug=True,
    )  # fmt: skip
    account.mark(BTC, ENTRY)
    if held:
        account.fill(BTC, side * held, ENTRY)
    account.clock(START + 30 * HOUR)
    shown = account.preview(BTC, side * 0.5, ENTRY)
    account.fill(BTC, side * 0.5, ENTRY)
    risk = account.risk(BTC)
    assert shown.maintenance == pytest.approx(risk.maintenance, rel=1e-12)
    assert shown.maintenance == pytest.approx((held + 0.5) * ENTRY / 50)
    assert shown.liquidation_price == pytest.approx(account.liquidation_price(BTC), rel=1e-12)


@SIDES
def test_what_gmx_v1_takes_is_taken_whole_where_no_price_takes_it(side: int) -> None:
    # 3.50 USD of size cannot carry the liquidation fee of 5 USD, and more than its value stands behind it
    desk = Desk("gmx_v1", side, size=0.00007)
    desk.account.charge_interest(0.6535, BTC)
    free = desk.account.cross.balance
    assert desk.account.risk(BTC).equity == pytest.approx(4.35)
    desk.account.mark(BTC, ENTRY - side)
    ends = [e.info["settle"] for e in desk.account.events if e.kind == "liquidation"]
    assert ends == ["takeover"]
    desk.account.audit()
    assert desk.account.cross.balance == free
    assert not desk.account.positions


def test_adding_to_gmx_v1_is_refused_where_the_fee_it_collects_would_end_the_position() -> None:
    # the leverage test counts borrow fees only once a fill has collected them
    account = btm.Account(
        btm.venue("gmx_v1", utilisation=1.0), cash=100_000.0, margin_mode="isolated", leverage=40.0,
        time=START, debug=True,
    )  # fmt: skip
    account.mark(BTC, ENTRY)
    account.fill(BTC, 1.0, ENTRY)
    account.clock(START + 90 * HOUR)  # 800 of 1,250 are left; once the 450 are paid 1,000 are asked
    assert not account.position(BTC).pool.breached()
    shown, said = account.preview(BTC, 0.1), account.verdict(BTC, 0.1, ENTRY)
    assert not shown.accepted
    assert said is not None
    assert said.reason == "margin"
    assert account.fill(BTC, 0.1, ENTRY).refusal is not None
    account.add_margin(BTC, 250.0)
    assert account.preview(BTC, 0.1).accepted
    assert account.fill(BTC, 0.1, ENTRY).refusal is None
    assert not account.position(BTC).pool.breached()


def test_a_top_up_to_what_must_be_kept_anyway_is_none() -> None:
    # brought 0.56 % and a hair, kept 0.56 %: more of the same would be due at every price on the way
    account = btm.Account(
        btm.venue("gmx_v2", usage=0.0), cash=10_000.0, margin_mode="isolated", time=START, debug=True,
        leverage=(1 - 1e-11) / 0.0056, auto_top_up=True,
    )  # fmt: skip
    account.mark(BTC, ENTRY)
    account.fill(BTC, 1.0, ENTRY)
    account.add_margin(BTC, 100.0)
    quote = Quote(account.position(BTC))
    quote.set(START + HOUR, START + 2 * HOUR, (ENTRY, ENTRY, 49_890.0, 49_950.0))
    Stepper(account).step(quote.start, [quote], NoOrders())
    kinds = [event.kind for event in account.events]
    assert kinds.count("liquidation") == 1
    assert kinds.count("top_up") == 0


@pytest.mark.parametrize("name", ["gmx_v1", "gmx_v2"])
@SIDES
def test_closing_most_of_a_position_does_not_leave_a_rest_that_is_liquidated(
    name: str, side: int
) -> None:
    # the least that must remain is a fixed amount: the collateral stays, as it does on the venue
    desk = Desk(name, side, size=0.01)
    before = desk.account.position(BTC).pool.balance
    shown = desk.account.preview(BTC, -side * 0.0099, ENTRY)
    desk.account.fill(BTC, -side * 0.0099, ENTRY)
    pool = desk.account.position(BTC).pool
    fee = 0.0099 * ENTRY * (0.001 if name == "gmx_v1" else 0.0006)
    assert pool.balance == pytest.approx(before - fee)
    assert shown.equity == pytest.approx(pool.equity())
    desk.bar(-1, -1, -1)
    assert [e for e in desk.account.events if e.kind == "liquidation"] == []


# -- parts of orders -----------------------------------------------------------------------------------


def parts(opening: Any, filler: Any = None) -> Any:
    """An opening whose part is no small whole: 1 USD must remain of however little, in a bar that falls."""
    broker = btm.MarginBroker(
        venue="gmx_v2", margin_mode="isolated", leverage=20, cash=1_000.0, debug=True
    )
    broker.p.filler = filler
    prices = [(100.0, 100.5, 99.5, 100.0)] * 3 + [(100.0, 100.5, 98.0, 99.0)] * 2
    return act(broker, {"SOL/USDC:USDC": bars(prices)}, {2: opening})


def test_a_part_that_a_filler_opens_lives_by_what_it_asks_for_itself() -> None:
    s = parts(lambda s: s.buy(size=5.0), bt.broker.fillers.FixedSize(size=0.05))
    first = kinds(s, "fill")[0]
    closed = kinds(s, "liquidation")[0]
    assert (first.size, first.time) == (0.05, closed.time)


def test_the_one_order_of_a_group_that_fills_lives_by_what_it_asks_for_itself() -> None:
    def group(s: Any) -> None:
        small = s.buy(size=0.05)
        s.buy(size=50.0, exectype=bt.Order.Limit, price=99.8, oco=small)

    s = parts(group)
    (first,), (closed,) = kinds(s, "fill"), kinds(s, "liquidation")
    assert (first.size, first.time) == (0.05, closed.time)

"""Traps 42 to 52: who pays whom, when, on which size, and what when a rate is missing."""

from __future__ import annotations

import pandas as pd
import pytest
from stories.world import HOUR, START, A, B, account, buy, flat, frame, lines, near, play, sell

import bt_margin as btm
from bt_margin.core.interest import accrued, started_hours

MODES = ["cross", "isolated"]
NAN = float("nan")


def stamps(*pairs: tuple[float, float]) -> pd.Series:
    """(hours after the start, rate) as a series by UTC time."""
    index = pd.to_datetime([round(START + hours * HOUR) for hours, _ in pairs], unit="ms", utc=True)
    return pd.Series([rate for _, rate in pairs], index=index)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("size", "rate", "change"),
    [(10, 0.001, -1.0), (10, -0.001, 1.0), (-10, 0.001, 1.0), (-10, -0.001, -1.0)],
)
def test_longs_pay_a_positive_rate(mode: str, size: float, rate: float, change: float) -> None:
    """trap 42: the whole matrix of side and sign, on 1,000 notional."""
    one = account(mode)
    one.mark(A, 100)
    one.fill(A, size, 100)
    one.fund(A, rate)
    assert one.equity() == near(1_000 + change)
    assert sum(e.amount for e in one.ledger if e.kind == "funding") == near(change)


def day(step: int, rates: dict[int, float], dense: bool) -> pd.DataFrame:
    """Two days of a flat 100; the rate of each settlement on its own bar, or carried forward."""
    count = 48 * HOUR // step
    column, current = [], NAN
    for i in range(count):
        hour = i * step / HOUR
        own = rates.get(int(hour)) if hour == int(hour) else None
        current = current if own is None else own
        column.append(current if dense else (NAN if own is None else own))
    return frame([flat(100)] * count, step=step, funding_rate=column)


RATES = {0: 0.0, 8: 0.001, 16: -0.0004, 24: 0.0007, 32: 0.0002, 40: 0.0003}


@pytest.mark.parametrize("step", [HOUR // 60, HOUR // 4, HOUR])
@pytest.mark.parametrize("dense", [False, True])
def test_a_rate_carried_forward_is_paid_once(step: int, dense: bool) -> None:
    """trap 43: five settlements after the entry, whatever the bar and the way of writing it."""
    script = {0: buy(10)}
    played = play({A: day(step, RATES, dense)}, script, cash=2_000)
    assert len(played.kinds("funding")) == 5
    assert played.funding == near(-1_000 * sum(RATES.values()))


def test_rates_to_come_do_not_change_the_past() -> None:
    """trap 43: another rate at hour 24 leaves everything before hour 24 as it was."""
    values = []
    for later in (0.0007, 0.05):
        rates = RATES | {24: later}
        played = play({A: day(HOUR, rates, True)}, {0: buy(10)}, cash=2_000)
        values.append([seen.value for seen in played.strategy.told])
    assert values[0][:24] == values[1][:24]
    assert values[0][24] != values[1][24]


@pytest.mark.parametrize("step", [HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR])
@pytest.mark.parametrize("mode", MODES)
def test_every_settlement_is_paid_at_every_resolution(step: int, mode: str) -> None:
    """trap 44: a daily bar pays its three different rates, as the hours do."""
    days = 4
    rates = [(8.0 * i, 0.0001 * (i + 1)) for i in range(3 * days)]
    played = play(
        frame([flat(100)] * (days * 24 * HOUR // step), step=step),
        {0: buy(10)},
        mode=mode,
        funding={A: stamps(*rates)},
    )
    held = [rate for hour, rate in rates if hour * HOUR > step]
    assert len(played.kinds("funding")) == len(held)
    assert played.funding == near(-1_000 * sum(held))


def test_an_addition_pays_from_its_own_time_on() -> None:
    """trap 45: 10 held, 20 more at hour 4: hour 8 is paid on 30, nothing is paid for hours 0 to 4."""
    played = play(
        frame([flat(100)] * 12),
        {1: buy(10), 3: buy(20), 8: sell(25)},
        funding={A: stamps((0, 0.001), (8, 0.001))},
    )
    (event,) = played.kinds("funding")
    assert abs(event.size) == 30
    assert played.funding == near(-3.0)


@pytest.mark.parametrize(
    ("opened", "added", "closed", "paid"),
    [
        (7, None, None, 1.0),  # filled at 07:00, before the stamp
        (8, None, None, 0.0),  # filled at the open of 08:00: the stamp was settled first
        (9, None, None, 0.0),
        (2, 7, None, 2.0),
        (2, 8, None, 1.0),
        (2, 9, None, 1.0),
        (2, None, 7, 0.0),
        (2, None, 8, 1.0),  # closed at 08:00: still held when the stamp came
        (2, None, 9, 1.0),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_who_holds_at_the_stamp_pays(
    opened: int, added: int | None, closed: int | None, paid: float, mode: str
) -> None:
    """trap 46: due at the open on what was held before any fill of that bar; paid exactly once."""
    script = {opened - 1: buy(10)}
    if added is not None:
        script[added - 1] = buy(10)
    if closed is not None:
        script[closed - 1] = sell(10)
    played = play(frame([flat(100)] * 12), script, mode=mode, funding={A: stamps((8, 0.001))})
    assert played.funding == near(-paid)
    assert len(played.kinds("funding")) == (1 if paid else 0)


def test_close_stamped_bars_pay_the_same_hours() -> None:
    """trap 46: with ``timestamps="close"`` the bar named 09:00 is the one that opens at 08:00."""
    bars = frame([flat(100)] * 12)
    late = bars.set_axis(bars.index + pd.Timedelta(hours=1))
    for opened, paid in ((7, 1.0), (8, 0.0)):
        played = play(
            late,
            {opened - 1: buy(10)},
            funding={A: stamps((8, 0.001))},
            timestamps="close",
        )
        assert played.funding == near(-paid)


def test_nothing_is_paid_after_the_data_have_ended() -> None:
    """trap 47: A is delisted at hour 10; its rates of hours 16 and 24 are not charged."""
    played = play(
        {A: frame([flat(100)] * 10), B: frame([flat(50)] * 30)},
        {0: lines(buy(5), buy(2, B))},
        funding={
            A: stamps((8, 0.001), (16, 0.001), (24, 0.001)),
            B: stamps((8, 0.001), (16, 0.001), (24, 0.001)),
        },
    )
    paid = [event.symbol for event in played.kinds("funding")]
    assert (paid.count(A), paid.count(B)) == (1, 3)


def test_every_given_stamp_counts_whatever_the_clock_of_the_venue() -> None:
    """trap 48: eight hours, then four, then hourly: each stamp once, none invented."""
    hours = [8.0, 16.0, 20.0, 24.0, 25.0, 26.0]
    played = play(
        frame([flat(100)] * 30),
        {0: buy(10)},
        funding={A: stamps(*((hour, 0.0001) for hour in hours))},
        funding_interval="8h",
    )
    assert [(event.time - START) / HOUR for event in played.kinds("funding")] == hours


def test_a_position_opened_at_half_past_seven_pays_at_eight() -> None:
    """trap 48: no clock that begins with the position."""
    played = play(
        frame([flat(100)] * 20, step=HOUR // 2),
        {14: buy(10)},  # decided in the bar of 07:00, filled at 07:30
        funding={A: stamps((8, 0.001))},
    )
    assert played.funding == near(-1.0)


@pytest.mark.parametrize("offset", [-999, -1, 0, 1, 999])
def test_stamps_some_milliseconds_off_are_paid_once(offset: int) -> None:
    """trap 49: 07:59:59.001 and 08:00:00.999 are the settlement of 08:00, paid once."""
    at = [(hour + offset / HOUR, 0.001) for hour in (8, 16)]
    for step in (HOUR, HOUR // 60, 8 * HOUR):
        count = 24 * HOUR // step
        played = play(
            frame([flat(100)] * count, step=step),
            {0: buy(10)},
            funding={A: stamps(*at)},
        )
        expected = 2 if step < 8 * HOUR else 1  # filled at 08:00, after that settlement
        assert len(played.kinds("funding")) == expected, step


@pytest.mark.parametrize("mode", MODES)
def test_funding_alone_can_liquidate(mode: str) -> None:
    """trap 51: 100 posted at a flat 100; 9.6 an hour leaves 4.0 ≤ 5.0 at the tenth settlement."""
    cash = 1_000 if mode == "isolated" else 100
    rates = [0.0096] * 14
    played = play(
        frame([flat(100)] * 14, funding_rate=rates),
        {0: buy(10)},
        mode=mode,
        cash=cash,
        funding_interval="1h",
    )
    # filled at hour 1 after that hour's stamp: the tenth payment is at hour 11
    assert played.liquidations == [(11, A, near(100))]
    assert played.broker.account.equity() == near(cash - 96)


def test_interest_counts_started_hours_on_what_is_borrowed_now() -> None:
    """trap 52: not calendar dates: ten minutes are one hour, and midnight is an hour like any."""
    assert started_hours(10 / 60) == 1
    assert started_hours(5) == 5
    five = accrued(10_000, 0.00024, 5, 24)
    assert five == near(10_000 * 0.00024 * 5 / 24)
    assert accrued(10_000, 0.00024, 2, 24) == near(five * 2 / 5)


def test_a_symbol_without_funding_is_named_or_refused() -> None:
    """trap 50: never a silent 0: the report names the symbol, and who demands rates gets an error."""
    bars = frame([flat(100)] * 4)
    played = play(bars, {0: buy(10)})
    assert played.funding == 0
    assert A in played.broker.fidelity["symbols_without_funding"]
    assert any("funding" in note and A in note for note in played.broker.fidelity["notes"])
    with pytest.raises(btm.errors.MissingData, match="AAA"):
        play(bars, {0: buy(10)}, require=("funding",))
    rated = frame([flat(100)] * 4, funding_rate=[NAN, NAN, 0.001, NAN])
    assert play(rated, {0: buy(10)}, require=("funding",)).funding == near(-1.0)

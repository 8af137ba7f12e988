"""A scripted run told again by the kernel, from a tape recorded on its own account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bt_margin.errors import BtMarginError
from bt_margin.plugin.broker import MarginBroker
from bt_margin.studies.replay import cell as kernel
from bt_margin.studies.replay.check import differs
from bt_margin.studies.replay.layout import DONE, KEEP_EVENTS, KEEP_ROW, new_state
from bt_margin.studies.replay.market import Market, Unfit
from bt_margin.studies.replay.tape import Tape, TapeBroker
from bt_margin.studies.replay.terms import cell_of, check_keywords, own_venue, rules_of, venue_of


def retold(run: Callable[[Any], Any], account: Mapping[str, Any], told: MarginBroker) -> str:
    """Why the kernel does not do this account or script; "" when it does, and tells the same.

    run : runs the script under a broker; ``account`` the broker's keywords; ``told`` it, after its run

    :raises AssertionError: the kernel tells another story.
    """
    tape = Tape()
    try:
        check_keywords(account, dict(MarginBroker.params._getitems()))
        broker = TapeBroker(**account, tape=tape)
        run(broker)
        if tape.beyond:
            raise Unfit(tape.beyond)
        market = Market(broker)
        venue, _ = own_venue(venue_of(account), account)
        rules = rules_of(venue, market)
        rules, own = cell_of(venue_of(account), account, rules, market, False)
    except BtMarginError as why:
        return str(why) or type(why).__name__
    state, twin = new_state(len(market.symbols), 4_096), new_state(len(market.symbols), 1)
    equity = np.zeros(len(market.times))
    world = market.world(tape.intents)
    status = kernel.play(world, rules, own, state, twin, equity, KEEP_EVENTS + KEEP_ROW)
    if status != DONE:
        return f"status {status}"
    wrong = differs(state, equity, market, told)
    assert not wrong, wrong
    return ""

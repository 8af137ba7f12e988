"""Broke trades_cost_what_the_ledger_charged.

What opening costs beside the fee was in the ledger and in no trade.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='krakenspot', leverage=3.0),
    (
        Bar(acts=(Act(name='market'),)),
        Bar(),
    ),
    'try:0',
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

"""Broke a_liquidation_costs_what_the_venue_says.

A pool that stood on pledged coins was let off the fee of its liquidation.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='krakenfutures pledged', mode='isolated', mixed=True),
    (
        Bar(acts=(Act(name='stop_limit'),)),
        Bar(moves=(Move(gap=0.0174, down=0.0056), Move(), Move(),)),
        Bar(moves=(Move(gap=-0.2764), Move(), Move(),)),
    ),
    'more:5',
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

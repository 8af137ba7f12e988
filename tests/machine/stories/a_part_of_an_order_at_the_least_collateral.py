"""Broke no_pool_is_in_breach.

A filler opened a part so small that the least collateral was all it had: nobody walked the bar.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='gmx_v2', symbols=3, mode='isolated', filler='size'),
    (
        Bar(acts=(Act(name='market', on=2),)),
        Bar(moves=(Move(), Move(), Move(body=-0.0131),)),
    ),
    'more:7',
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

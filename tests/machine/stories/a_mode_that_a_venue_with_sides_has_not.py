"""Broke the_run_comes_to_its_end.

A mode that the venue has not, for a symbol with sides: the refusal had no event to be told again.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='binance multi-assets', hedge=True),
    (
        Bar(acts=(Act(name='market'),)),
        Bar(acts=(Act(name='margin_mode', pick=1),)),
    ),
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

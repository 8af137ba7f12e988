"""Broke the_run_comes_to_its_end.

A size of NaN or infinity on a market with lots (ValueError, OverflowError), from a dead account
or without a check at submission (InputError), ended the run. It is refused like any size no venue takes.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue="binance", start="2024-01-29", checksubmit=False),
    (
        Bar(
            acts=(
                Act(name="absurd", pick=2),
                Act(name="absurd", pick=3),
            )
        ),
        Bar(),
        Bar(acts=(Act(name="market", share=0.9),)),
        Bar(),
        Bar(moves=(Move(gap=-0.3),)),
        Bar(
            acts=(
                Act(name="absurd", pick=2),
                Act(name="absurd", pick=3),
                Act(name="absurd", pick=4),
            )
        ),
        Bar(),
        Bar(),
    ),
    "found:1",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

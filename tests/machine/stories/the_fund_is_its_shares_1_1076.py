"""Broke the_fund_is_its_shares.

bar 1: AssertionError: (400.0, 441.06841068)
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue="binancecoinm in dollars", loop="exactbars 1", coo=True),
    (
        Bar(),
        Bar(
            moves=(Move(gap=0.0267),),
            acts=(
                Act(name="target_percent", pick=5),
                Act(name="deposit", share=-0.5, pick=3),
            ),
        ),
    ),
    "1:1076",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

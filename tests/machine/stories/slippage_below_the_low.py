"""Broke no_pool_is_in_breach.

A sell limit slips below its bar's low (the stock broker does so): the bound of the fast lane did not
reach so far, and the pool stood in breach at the close.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(mode="isolated", leverage=50.0, slip=0.01),
    (
        Bar(acts=(Act(name="bracket", share=-0.5),)),
        Bar(moves=(Move(gap=0.0193),)),
    ),
    "hunt:173",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

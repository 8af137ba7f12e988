"""Broke the_money_adds_up.

A transfer of a millionth more than there is was let through as noise of floats and left the free
wallet below 0.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(mode="isolated"),
    (
        Bar(),
        Bar(acts=(Act(name="market"),)),
        Bar(),
        Bar(acts=(Act(name="add_margin", share=1.0),)),
        Bar(acts=(Act(name="close"),)),
        Bar(),
    ),
    "found:5",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

"""Broke of_a_group_one_is_filled.

One order of an OCO group cancelled in the bar that sent it left the others without a group: both
were filled.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(),
    (
        Bar(
            acts=(
                Act(name="oco", share=-0.2, pick=1),
                Act(name="cancel", away=0.0186, pick=2),
            )
        ),
        Bar(moves=(Move(up=0.1164),)),
    ),
    "found:6",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

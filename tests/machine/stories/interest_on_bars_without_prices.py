"""Broke the_run_comes_to_its_end.

Interest computed from a bar without prices was NaN and ended the run (InputError). It is charged
with the next bar that has any.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(feed="PandasData", interest=0.5),
    (
        Bar(),
        Bar(acts=(Act(name="market", share=-0.5),)),
        Bar(),
        Bar(moves=(Move(kind="nan"),)),
        Bar(),
        Bar(),
    ),
    "found:3",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

"""Broke the_run_comes_to_its_end.

An order sent on a bar without prices filled at NaN when cheating on close, and an order for the
close was filled for NaN contracts by a filler that looked at such a bar (DataError, InputError).
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(feed="PandasData", filler="point", coc=True),
    (
        Bar(),
        Bar(
            moves=(Move(kind="nan"),),
            acts=(
                Act(name="market"),
                Act(name="at_close"),
            ),
        ),
        Bar(),
        Bar(acts=(Act(name="at_close"),)),
        Bar(moves=(Move(kind="nan"),)),
        Bar(),
        Bar(),
    ),
    "found:4",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

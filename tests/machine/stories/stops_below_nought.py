"""Broke the_run_comes_to_its_end.

An order with a price below 0 (a stop at price less three ranges, as scripts compute it) ended the
run (DataError). It rests, margined at the last price, as on the stock broker.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(),
    (
        Bar(
            acts=(
                Act(name="absurd", pick=5),
                Act(name="absurd", away=-0.001, pick=5),
            )
        ),
        Bar(),
        Bar(),
    ),
    "found:2",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

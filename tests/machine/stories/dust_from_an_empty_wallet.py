"""Broke no_pool_is_in_breach.

A trillionth of a contract was opened by an empty wallet, as noise of floats: its pool held nothing and
the fee left the wallet below 0.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(symbols=2, fee=0.002, mode="isolated", checksubmit=False),
    (
        Bar(),
        Bar(acts=(Act(name="market"),)),
        Bar(),
        Bar(acts=(Act(name="add_margin", share=1.0),)),
        Bar(acts=(Act(name="absurd", on=1, away=-0.002, pick=1),)),
        Bar(),
        Bar(),
    ),
    "found:10",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

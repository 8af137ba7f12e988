"""Broke every_event_is_found_by_its_number.

With bars stamped at their close the account began at the end of the first bar: its first events came
before it.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(stamped="close", coo=True),
    (Bar(acts=(Act(name="market", share=-0.5, away=0.0038, pick=7),)),),
    "hunt:4",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

"""Broke every_loop_tells_the_same_story.

A trailing stop-limit in bounded buffers carried numbers of numpy into events and marks.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(loop="exactbars 1", slip=0.01),
    (
        Bar(acts=(Act(name="trail_limit", share=-0.5),)),
        Bar(moves=(Move(body=0.0071),)),
        Bar(moves=(Move(body=-0.0132),)),
    ),
    "hunt:6",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

"""Broke a_preview_is_the_fill.

A verdict asked margin of an order against its side, which can only reduce.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='binance', hedge=True),
    (
        Bar(acts=(Act(name='target_value', share=0.1),)),
        Bar(acts=(Act(name='preview', share=-1.1383, pick=6),)),
    ),
    'try:9',
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

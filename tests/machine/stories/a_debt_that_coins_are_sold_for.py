"""Broke each_event_tells_the_balance_it_left.

A closing that left a pledged account owing told a balance of nought before the coins were sold.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='binance multi-assets'),
    (
        Bar(acts=(Act(name='target_size'),)),
        Bar(acts=(Act(name='target_size', share=-0.5),)),
        Bar(moves=(Move(gap=-0.0377, body=0.0065), Move(), Move(),), acts=(Act(name='exits', away=0.0),)),
        Bar(moves=(Move(up=0.0018), Move(), Move(),)),
    ),
    'try:0',
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

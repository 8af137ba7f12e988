"""An exit of a bracket found less than its size, closed that and was cancelled; the other exit lived on.

Broke a_bracket_has_one_end: the other exit sold what was bought later.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(venue='okx coins', hedge=True),
    (
        Bar(acts=(Act(name='bracket'),)),
        Bar(moves=(Move(down=0.006), Move(),)),
        Bar(acts=(Act(name='target_size'),)),
        Bar(acts=(Act(name='limit'),)),
        Bar(moves=(Move(body=0.0172), Move(),)),
        Bar(moves=(Move(down=0.0786), Move(),)),
    ),
    '78:246',
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

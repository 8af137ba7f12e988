"""Broke the_dead_trade_nothing_until_cash_is_added.

Two isolated positions in breach at one open: with the first gone the account was declared dead while
the second was still to be liquidated.
"""

from machine.story import Act, Bar, Move, Setup, Stamp, Story

STORY = Story(
    Setup(symbols=3, leverage=20.0),
    (
        Bar(),
        Bar(acts=(Act(name="margin_mode", on=1, away=0.0098, pick=3),)),
        Bar(
            acts=(
                Act(name="target_size", on=2, share=-0.9195, away=0.0172, pick=1),
                Act(name="at_close", on=2, share=0.3002, away=0.0024),
            )
        ),
        Bar(),
        Bar(),
        Bar(
            moves=(
                Move(up=0.0053, down=0.0055, premium=-0.0012),
                Move(body=0.0098, up=0.0054, down=0.0011, premium=0.0006),
                Move(gap=-0.029, body=-0.0172, up=0.0041, down=0.0037, premium=0.0013),
            )
        ),
        Bar(
            moves=(
                Move(body=-0.0069, up=0.0017, down=0.0028, premium=-0.0459),
                Move(gap=0.0124, body=-0.0026, up=0.0035, down=0.0052, premium=-0.0013),
                Move(body=0.0119, up=0.0029, down=0.0014, premium=-0.0006, kind="calm mark"),
            )
        ),
        Bar(
            moves=(
                Move(body=0.0082, up=0.0002, down=0.0038, premium=-0.0013),
                Move(body=0.007, up=0.0045, down=0.0023, premium=0.0002),
                Move(gap=-0.0306, body=0.0012, up=0.0038, down=0.0057, premium=0.0018),
            )
        ),
        Bar(
            moves=(
                Move(body=0.0113, up=0.0036, down=0.0017, premium=0.0011),
                Move(body=-0.0088, up=0.0004, down=0.0001, premium=0.0004),
                Move(body=0.0084, up=0.0055, down=0.0045, premium=-0.0002),
            ),
            acts=(Act(name="limit_valid", on=2, share=0.7701, away=-0.0054, pick=6),),
        ),
        Bar(
            moves=(
                Move(body=0.0052, up=0.1217, premium=0.0009),
                Move(gap=0.0159, body=0.005, up=0.0042, down=0.0036, premium=-0.0001),
                Move(body=-0.0108, up=0.0037, down=0.0016, premium=0.0015),
            )
        ),
        Bar(
            moves=(
                Move(body=-0.0014, up=0.0004, down=0.0041, premium=-0.002),
                Move(body=-0.0026, up=0.0037, down=0.0055, premium=0.0002, kind="calm mark"),
                Move(body=0.005, up=0.0037, down=0.0016, premium=-0.0006),
            ),
            acts=(
                Act(name="oco", share=-0.2742, away=0.0062, pick=4),
                Act(name="exits", on=2, share=-1.148, away=0.0043, pick=7),
                Act(name="limit_valid", on=2, share=-0.5065, away=0.0172),
            ),
        ),
        Bar(
            moves=(
                Move(body=-0.0037, up=0.0007, down=0.0006, premium=-0.0019),
                Move(body=-0.0109, up=0.0001, down=0.0059, premium=0.0001),
                Move(body=-0.0063, down=0.0031, premium=0.0001),
            ),
            acts=(Act(name="stop", share=0.3635, away=0.0002, pick=6),),
        ),
        Bar(
            moves=(
                Move(gap=0.032, body=-0.0008, up=0.0029, down=0.0038, premium=-0.0013),
                Move(body=-0.0019, down=0.1355, premium=0.0016),
                Move(body=0.0032, up=0.0024, down=0.003, premium=-0.0006),
            ),
            acts=(Act(name="reduce_only", share=0.0447, away=0.0146, pick=6),),
            stamps=(Stamp(rate=0.0024, on=2),),
        ),
        Bar(
            moves=(
                Move(body=-0.0089, up=0.0024, down=0.003, premium=-0.001),
                Move(body=-0.0068, up=0.0006, down=0.002, premium=0.0016),
                Move(kind="nan"),
            ),
            acts=(Act(name="target_size", on=1, share=-0.2834, away=0.0102, pick=6),),
        ),
        Bar(
            moves=(
                Move(body=0.004, up=0.0033, down=0.0037, premium=0.001),
                Move(body=-0.0044, up=0.0056, down=0.0036, premium=0.0011),
                Move(gap=-0.0163, body=0.0122, up=0.0046, down=0.0034, premium=-0.0016),
            ),
            stamps=(Stamp(rate=-0.0017, on=2, when=0.9),),
        ),
        Bar(
            moves=(
                Move(body=0.0023, up=0.0044, down=0.0013, premium=-0.0001),
                Move(body=0.0074, up=0.0038, down=0.003, premium=0.0002),
                Move(kind="missing"),
            )
        ),
        Bar(
            moves=(
                Move(gap=0.3258, body=0.0078, up=0.005, down=0.0016, premium=-0.0003),
                Move(gap=0.2182, body=-0.0012, up=0.002, down=0.0031, premium=0.0005),
                Move(body=-0.0131, up=0.0055, down=0.0012, premium=0.0001),
            )
        ),
    ),
    "1:544",
)
USED = (Act, Bar, Move, Setup, Stamp)

if __name__ == "__main__":
    from machine.court import judged

    print(judged(STORY).broken or "no law is broken")

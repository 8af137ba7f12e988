"""Text that steers nothing."""

from __future__ import annotations

import unicodedata

INSTEAD = "\ufffd"
_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def plain(text: str) -> str:
    """A line of text with nothing in it that steers a terminal or has no place in XML.

    Control and formatting characters, line breaks, halves of surrogate pairs: each shows as ``\ufffd``.

    >>> plain("a\\x1b[31mb"), plain("ETH/USDT:USDT")
    ('a\ufffd[31mb', 'ETH/USDT:USDT')
    """
    return "".join(INSTEAD if unicodedata.category(one) in _STEERING else one for one in text)

"""Money and prices as people read them: digits by currency, no minus before nothing."""

from __future__ import annotations

#: Currencies counted in hundredths. Everything else is a coin, of which small parts are worth something.
CASH = frozenset(
    ("USDT", "USDC", "USD", "BUSD", "FDUSD", "TUSD", "USDP", "USDE", "DAI", "EUR", "GBP", "AUD")
)
_COIN_DIGITS = ((10.0, 8), (1_000.0, 6))


def is_cash(unit: str) -> bool:
    """Whether a currency is counted in hundredths.

    >>> is_cash("USDT"), is_cash("BTC")
    (True, False)
    """
    return unit.upper() in CASH


def grain(unit: str) -> float:
    """Half the smallest amount that is shown: what is below it is nothing. [unit]

    >>> grain("USDT"), grain("BTC")
    (0.005, 5e-09)
    """
    return 0.005 if is_cash(unit) else 5e-9


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals; what rounds to nothing has no minus.

    >>> fixed(-0.001, 2), fixed(-1234.5, 2)
    ('0.00', '-1,234.50')
    """
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not any(digit in text for digit in "123456789") else text


def money(value: float | None, unit: str = "USDT") -> str:
    """An amount: two decimals in dollars and the like (more when it is small), up to eight in coins.

    >>> money(1234.567), money(-0.00123), money(-1e-12), money(None)
    ('1,234.57', '-0.00123', '0.00', 'unknown')
    >>> money(-0.01234567, "BTC"), money(12.5, "BTC"), money(0.0, "BTC")
    ('-0.01234567', '12.500000', '0.00')
    """
    if value is None:
        return "unknown"
    if is_cash(unit):
        return f"{value:,.3g}" if 1e-9 < abs(value) < 0.005 else fixed(value, 2)
    if abs(value) < grain(unit):
        return "0.00"
    return fixed(value, next((n for top, n in _COIN_DIGITS if abs(value) < top), 4))


def price(value: float | None) -> str:
    """A price with as many decimals as its size calls for.

    >>> price(61234.567), price(0.081234), price(None)
    ('61,234.57', '0.081234', 'unknown')
    """
    if value is None:
        return "unknown"
    return f"{value:,.{2 if abs(value) >= 100 else 4 if abs(value) >= 1 else 6}f}"

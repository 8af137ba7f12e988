"""Long arrays as short text, for a page that carries its own numbers.

An array of float64 is quantised to decimal digits, each number is written as its distance from a prediction,
and the distances are packed in byte planes, deflated and written in base64. What comes out again is the
quantised number exactly, in Python and in JavaScript, because both sides do the same arithmetic on float64.

The text of one array is a JSON object:

    {"n": numbers, "kind": "int", "digits": d, "start": s, "width": w, "how": "last", "of": [], "data": text}

``data`` is base64 of a zlib stream (``DecompressionStream("deflate")`` reads it) of ``n · w`` bytes: first
the lowest byte of every code, then the second byte of every code, and so on: w planes of n bytes. So

    code[k] = plane0[k] + 256 · plane1[k] + 65536 · plane2[k] + …          (below 2⁵³: exact in float64)

    code 0     nothing there (NaN)
    code 1, 2  +∞, −∞
    else       z = code − 3;  distance = z even ? z / 2 : −(z + 1) / 2
               q[k] = prediction[k] + distance;  value[k] = q[k] / 10**digits

The prediction is made of whole numbers q of this array or of those named in ``of``, which have to be decoded
first. Where it needs a number that is not there (NaN, ∞, before the first), it is ``start``:

    "last"    the last finite q of this array before k
    "before"  of[0] at k − 1                      (the open: the close before it)
    "same"    of[0] at k, times 10**(digits − its digits)        (a mark beside its last price)
    "max"     the larger of of[0], of[1] at k     (a high: of open and close)
    "min"     the smaller of of[0], of[1] at k    (a low)
    "fall"    floor((e / m − 1) · 10**digits + 0.5) with e = of[0] at k as a whole number and m the largest
              finite e up to and including k; ``start`` where m is not above 0  (a drawdown of an equity)

``before``, ``max`` and ``min`` name arrays of the same ``digits``, ``same`` one of no more. Where n is 0
there is nothing to unpack. Numbers too large for all this are written as they are: ``{"n": n, "kind":
"float", "data": text}``, the zlib stream holding n little-endian float64.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.errors import InputError

Floats = NDArray[np.float64]
Coded = dict[str, Any]
Guess = tuple[str, tuple[str, ...], Floats]  # how, of, distances

LARGEST = 2.0**50  # whole numbers beyond it are written as float64
MOST_DIGITS = 12
FINE, COARSE, LONG = 9, 7, 50_000  # significant digits of prices; the second from this many bars on
SHARES = {"ratio": 5, "leverage": 4, "drawdown": 5}  # decimals of what is no money
MONEY = ("equity", "margin", "funding", "fees", "interest", "liquidation")
_BAR = ("open", "high", "low", "close")
_HOWS = {
    "last": 0,
    "before": 1,
    "same": 1,
    "max": 2,
    "min": 2,
    "fall": 1,
}  # and the arrays they name
_SPECIAL = 3  # codes that are no distances


def encode(arrays: Mapping[str, Any], money: int = 2) -> dict[str, Coded]:
    """Every array of a bundle as text, by name; ``money`` is the number of decimals of its currency.

    >>> coded = encode({"time": np.array([0, 60_000, 120_000]), "s0.equity": np.array([1.0, np.nan, 2.005])})
    >>> decode(coded)["s0.equity"].tolist(), coded["s0.equity"]["digits"]
    ([1.0, nan, 2.0], 2)
    """
    digits = digits_of(arrays, money)
    whole = {name: to_whole(values, digits[name]) for name, values in arrays.items()}
    return {name: _coded(name, whole, arrays, digits) for name in arrays}


def decode(coded: Mapping[str, Coded]) -> dict[str, Floats]:
    """The arrays behind :func:`encode`, quantised. :raises InputError: text that is none of ours."""
    whole: dict[str, Floats] = {}
    try:
        for name in coded:
            _decoded(name, coded, whole, ())
        return {
            name: whole[name] if one["kind"] == "float" else whole[name] / 10.0 ** one["digits"]
            for name, one in coded.items()
        }
    except (LookupError, TypeError, ValueError, ArithmeticError, zlib.error) as error:
        raise InputError(f"the text of the arrays cannot be read: {error}") from error


def quantised(arrays: Mapping[str, Any], money: int = 2) -> dict[str, Floats]:
    """The arrays as they come out of :func:`decode`: rounded to the digits that matter."""
    digits = digits_of(arrays, money)
    found = {}
    for name, values in arrays.items():
        whole = to_whole(values, digits[name])
        plain = np.asarray(values, dtype=float)
        found[name] = whole / 10.0 ** digits[name] if _fits(values, digits[name]) else plain
    return found


# -- digits ------------------------------------------------------------------------------------------


def digits_of(arrays: Mapping[str, Any], money: int = 2) -> dict[str, int]:
    """How many decimals each array is given, by its name.

    Money has those of its currency; ratio, leverage and drawdown so many that a hundredth of a per cent
    is right; prices those they have where these are few (a tick), else nine significant digits (seven above
    50,000 bars), open, high, low and close of a symbol alike. Sizes and entries: as many as they have.

    >>> walk = np.array([61234.5, 61234.6])
    >>> digits_of({"time": walk, "y0.close": walk, "y0.mark": walk + 1e-4, "s0.ratio": walk})
    {'time': 0, 'y0.close': 1, 'y0.mark': 4, 's0.ratio': 5}
    """
    found: dict[str, int] = {}
    for name, values in arrays.items():
        first, _, last = name.rpartition(".")
        if not first:
            found[name] = 0
        elif last in SHARES:
            found[name] = SHARES[last]
        elif last in MONEY and ".y" not in name:
            found[name] = money
        else:
            most = COARSE if len(values) > LONG and last not in ("size", "entry") else FINE
            found[name] = decimals(values, most + 3 * (last == "size"))
    return found | _shared(arrays, found)


def _shared(arrays: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
    """The prices of one symbol that predict each other, with the same decimals."""
    same: dict[str, int] = {}
    for name in arrays:
        symbol, _, last = name.rpartition(".")
        if symbol and last in _BAR:
            group = [f"{symbol}.{each}" for each in _BAR]
            same[name] = max(found[each] for each in group if each in found)
    return same


def decimals(values: Any, significant: int) -> int:
    """The fewest decimals that write every number; if they are many, so many significant digits.

    >>> decimals([0.5, 1.25], 9), decimals([1 / 3, 100 / 3], 9), decimals([np.nan], 9)
    (2, 7, 0)
    """
    numbers = np.asarray(values, dtype=float)
    numbers = np.abs(numbers[np.isfinite(numbers) & (numbers != 0.0)])
    if not len(numbers):
        return 0
    size = math.floor(math.log10(float(np.median(numbers))))
    most = min(max(significant - 1 - size, 0), MOST_DIGITS)
    numbers = numbers[numbers < LARGEST]
    for few in range(most):
        if _written(numbers[:64], few) and _written(numbers, few):
            return few
    return most


def _written(numbers: Floats, few: int) -> bool:
    """Whether so many decimals write the numbers, but for float noise."""
    scaled = numbers * 10.0**few
    return bool(np.all(np.abs(scaled - np.rint(scaled)) <= 1e-6 + 1e-12 * scaled))


def to_whole(values: Any, digits: int) -> Floats:
    """The numbers in units of their last digit, rounded half to even; NaN and ±∞ as they are."""
    with np.errstate(over="ignore"):
        return np.asarray(np.rint(np.asarray(values, dtype=float) * 10.0**digits), dtype=float)


# -- writing -----------------------------------------------------------------------------------------


def _coded(
    name: str,
    whole: Mapping[str, Floats],
    arrays: Mapping[str, Any],
    digits: Mapping[str, int],
) -> Coded:
    """One array as text, by the better of its two predictions."""
    own = whole[name]
    if not _fits(arrays[name], digits[name]):
        raw = np.ascontiguousarray(arrays[name], dtype="<f8").tobytes()
        return {"n": len(own), "kind": "float", "data": _text(raw)}
    known = np.isfinite(own)
    start = int(own[known][0]) if known.any() else 0
    best: Guess = "last", (), _distances(own, known, _predicted("last", own, [], start, 0))
    how, of = _hint(name, arrays, digits)
    if of:
        others = [_in_units(whole[each], digits[each], digits[name], how) for each in of]
        guess = _predicted(how, own, others, start, digits[name])
        other = _distances(own, known, guess)
        if float(np.abs(other).max(initial=0.0)) < LARGEST and _bits(other) < _bits(best[2]):
            best = how, of, other
    how, of, distance = best
    codes = _codes(own, known, distance)
    width = max(1, (int(codes.max(initial=0)).bit_length() + 7) // 8)
    planes = codes.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width]
    return {
        "n": len(own),
        "kind": "int",
        "digits": digits[name],
        "start": start,
        "width": width,
        "how": how,
        "of": list(of),
        "data": _text(planes.T.tobytes()),
    }


def _hint(
    name: str, arrays: Mapping[str, Any], digits: Mapping[str, int]
) -> tuple[str, tuple[str, ...]]:
    """What may predict an array, by its name; nothing where that is not there or differs in digits."""
    first, _, last = name.rpartition(".")
    close, opened = f"{first}.close", f"{first}.open"
    found: tuple[str, tuple[str, ...]] = {
        "open": ("before", (close,)),
        "high": ("max", (opened, close)),
        "low": ("min", (opened, close)),
        "mark": ("same", (close,)),
        "drawdown": ("fall", (f"{first}.equity",)),
        "margin": ("same", (f"{first.rpartition('.')[0]}.margin",)),
    }.get(last, ("last", ()))
    how, of = found
    there = all(each in arrays and _fits(arrays[each], digits[each]) for each in of)
    more = [digits[name] - digits.get(each, MOST_DIGITS) for each in of]
    alike = how == "fall" or not any(more) or (how == "same" and more[0] > 0)
    return found if there and alike else ("last", ())


def _in_units(values: Floats, digits: int, wanted: int, how: str) -> Floats:
    """Whole numbers of another array in units of this one; a fall has no use for its own."""
    return values if how == "fall" or digits == wanted else values * 10.0 ** (wanted - digits)


def _predicted(
    how: str, own: Floats, others: Sequence[Floats], start: float, digits: int
) -> Floats:
    """The prediction of every number; ``start`` where there is none."""
    if how == "last":
        guess = _before(_carried(own))
    elif how == "before":
        guess = _before(others[0])
    elif how == "same":
        guess = others[0]
    elif how == "fall":
        guess = _fall(others[0], digits)
    else:
        guess = np.maximum(*others) if how == "max" else np.minimum(*others)
    return np.where(np.isfinite(guess), guess, float(start))


def _before(values: Floats) -> Floats:
    return np.concatenate(([np.nan], values[:-1])) if len(values) else values


def _carried(values: Floats) -> Floats:
    """Each number, or the last finite one before it."""
    known = np.isfinite(values)
    if known.all():
        return values
    places = np.maximum.accumulate(np.where(known, np.arange(len(values)), -1))
    return np.where(places >= 0, values[places], np.nan)


def _fall(equity: Floats, digits: int) -> Floats:
    """How far an equity in whole numbers stands below its highest, in whole numbers."""
    high = np.maximum.accumulate(np.where(np.isfinite(equity), equity, -np.inf))
    share = np.divide(equity, high, out=np.full(len(equity), np.nan), where=high > 0.0)
    return np.asarray(np.floor((share - 1.0) * 10.0**digits + 0.5), dtype=float)


def _distances(own: Floats, known: NDArray[np.bool_], guess: Floats) -> Floats:
    return np.where(known, own, guess) - guess


def _bits(distance: Floats) -> float:
    """About how many bits the distances take."""
    step = max(1, len(distance) // 20_000)
    return float(np.log2(1.0 + np.abs(distance[::step])).sum())


def _codes(own: Floats, known: NDArray[np.bool_], distance: Floats) -> NDArray[np.uint64]:
    """Distances as codes: small whole numbers for small distances, 0 to 2 for what is no number."""
    signed = distance.astype(np.int64)
    codes = ((signed << 1) ^ (signed >> 63)) + _SPECIAL
    if not known.all():
        codes[~known] = 0
        codes[own == np.inf] = 1
        codes[own == -np.inf] = 2
    return codes.view(np.uint64)


def _fits(values: Any, digits: int) -> bool:
    """Whether the numbers can be written in whole units of their last digit."""
    numbers = np.asarray(values, dtype=float)
    largest = np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0)
    return bool(largest <= LARGEST / 10.0**digits)


def _text(raw: bytes) -> str:
    """Deflated and in base64; noise is only counted (Huffman and runs), which is as short and much faster."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return base64.b64encode(squeeze.compress(raw) + squeeze.flush()).decode("ascii")


# -- reading -----------------------------------------------------------------------------------------


def _decoded(
    name: str, coded: Mapping[str, Coded], whole: dict[str, Floats], asking: tuple[str, ...]
) -> Floats:
    """The whole numbers of one array, those it is predicted from first."""
    if name in whole:
        return whole[name]
    one = coded[name]
    if name in asking:
        raise ValueError(f"{name} is predicted from itself")
    raw = zlib.decompress(base64.b64decode(one["data"], validate=True)) if one["n"] else b""
    if one["kind"] == "float":
        values = np.frombuffer(raw, dtype="<f8", count=one["n"]).astype(float)
    else:
        others = []
        for each in one["of"]:
            other = _decoded(each, coded, whole, (*asking, name))
            others.append(_in_units(other, coded[each]["digits"], one["digits"], one["how"]))
        values = _unpredicted(name, one, _unpacked(one, raw), others)
    return whole.setdefault(name, values)


def _unpacked(one: Coded, raw: bytes) -> Floats:
    """The codes of an array."""
    shape = (int(one["width"]), int(one["n"]))
    if len(raw) != shape[0] * shape[1]:
        raise ValueError(f"an array of {shape[1]} numbers has {len(raw)} bytes")
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(shape)
    codes = np.zeros(shape[1])
    for place, plane in enumerate(planes):
        codes += plane * 256.0**place
    return codes


def _unpredicted(name: str, one: Coded, codes: Floats, others: Sequence[Floats]) -> Floats:
    """Codes as whole numbers."""
    if len(others) != _HOWS.get(one["how"]) or any(len(each) != len(codes) for each in others):
        raise ValueError(f"{name} is predicted by {one['how']!r} of {one['of']}")
    z = codes - _SPECIAL
    distance = np.where(z % 2 == 0, z / 2, -(z + 1) / 2)
    known = codes >= _SPECIAL
    if one["how"] == "last":
        own = float(one["start"]) + np.cumsum(np.where(known, distance, 0.0))
    else:
        start, digits = float(one["start"]), int(one["digits"])
        own = _predicted(one["how"], codes, others, start, digits) + distance
    own[codes == 0], own[codes == 1], own[codes == 2] = np.nan, np.inf, -np.inf
    return own

"""The file of --exchange-options: what is merged into the configuration of the ccxt class.

Proxies, headers, timeouts, `urls`, keys and `options` are ccxt's own names; see its manual. A file
may hold secrets: its content is never printed, not even in an error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bt_margin.errors import InputError, message

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_BYTES = 1_000_000
MOST_DOTS = 100  # in a line of TOML: a dotted key is a table for each of its parts
SECRETS = ("apiKey", "secret", "password", "token", "privateKey", "walletAddress", "uid", "login")
_PROXIES = (
    "proxy proxies proxyUrl httpProxy httpsProxy socksProxy http_proxy https_proxy socks_proxy"
)
PROXIES = tuple(_PROXIES.split())


def read_options(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The options of a .json or .toml file, as a dict.

    Raises `InputError` when the file is missing, too large, of another kind, or not readable as
    what its name says; the message names the line, never the content.
    """
    file = Path(path).expanduser()
    suffix = file.suffix.lower()
    if suffix not in (".json", ".toml"):
        raise InputError(
            message("exchange options are of an unknown kind", file.name, "a .json or .toml file")
        )
    text = _text(file)
    try:
        found = json.loads(text) if suffix == ".json" else tomllib.loads(_flat(text))
    except json.JSONDecodeError as error:
        raise _unreadable(file, f"{error.msg} in line {error.lineno}") from None
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(file, _place(str(error))) from None
    except (RecursionError, ValueError):
        raise _unreadable(file, "a value that cannot be read") from None
    if not isinstance(found, dict):
        allowed = 'one object, such as {"timeout": 30000}'
        raise InputError(
            message("exchange options are not an object", type(found).__name__, allowed, file.name)
        )
    return found


def secrets_of(options: Mapping[str, Any]) -> Iterator[str]:
    """Every string of the options that must never be shown: keys, headers, users of proxies.

    >>> sorted(secrets_of({"apiKey": "abcd", "headers": {"X": "token"}, "timeout": 5}))
    ['abcd', 'token']
    """
    for name in SECRETS:
        if isinstance(options.get(name), str):
            yield options[name]
    headers = options.get("headers")
    if isinstance(headers, Mapping):
        yield from (str(value) for value in headers.values())
    for name in PROXIES:
        yield from _users(options.get(name))


def _users(proxy: Any) -> Iterator[str]:
    """The user and password part of proxy addresses."""
    for address in proxy.values() if isinstance(proxy, Mapping) else (proxy,):
        if isinstance(address, str) and "@" in address:
            yield address.rpartition("@")[0].partition("://")[2]


def _text(file: Path) -> str:
    """The text of the file, read once and bounded."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            message("exchange options cannot be read", reason, None, str(file), "check the path")
        ) from None
    if len(data) > MOST_BYTES:
        allowed = f"at most {MOST_BYTES:,} bytes"
        raise InputError(message("exchange options are too long", "more", allowed, str(file)))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(file, "bytes that are not UTF-8") from None


def _flat(text: str) -> str:
    """The same TOML. :raises ValueError: a key of so many parts that reading it takes gigabytes."""
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ValueError
    return text


def _place(text: str) -> str:
    """The part of a TOML error that says where; what it quotes of the file is left out."""
    where = text.rpartition("(")[2].rstrip(")")
    return f"a mistake {where}" if where.startswith("at ") else "a mistake"


def _unreadable(file: Path, found: str) -> InputError:
    kind = file.suffix[1:].upper()
    return InputError(
        message(
            f"exchange options are not valid {kind}", found, None, str(file), "correct the file"
        )
    )

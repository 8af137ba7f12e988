"""Bundles made up for tests of the page: any number of bars, scenarios and symbols, one seed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

START = 1_735_689_600_000  # 2025-01-01
HOUR = 3_600_000
COINS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LINK", "AVAX", "TRX", "DOT")
STEPS = (
    ("liquidation of ETH", 0.71, "isolated was liquidated out of its ETH long at 1,234.50."),
    ("funding", -0.04, "Funding differed because the position was gone."),
    ("fees", 0.03, "Fewer fees were paid."),
    ("everything else", 0.30, ""),
)


def bundle(
    bars: int = 2_000,
    scenarios: tuple[str, ...] = ("cross", "isolated"),
    symbols: int | tuple[str, ...] = 2,
    *,
    fills: int = 60,
    liquidations: int = 4,
    step: int = HOUR,
    seed: int = 7,
    **changes: Any,
) -> Any:
    """A bundle by the contract: ``meta`` and ``arrays``; ``changes`` replace entries of the meta data."""
    chance = np.random.default_rng(seed)
    names = symbols if isinstance(symbols, tuple) else tuple(coin(j) for j in range(symbols))
    time = START + step * np.arange(bars, dtype=np.int64)
    arrays: dict[str, NDArray[Any]] = {"time": time}
    for j in range(len(names)):
        _prices(arrays, j, bars, chance)
    pools = [list(names) if i % 2 else ["USDT"] for i in range(len(scenarios))]
    for i in range(len(scenarios)):
        _account(arrays, i, pools[i], bars, chance)
        for j in range(len(names)):
            _position(arrays, i, j, bars, chance)
    markers = _markers(arrays, len(scenarios), names, fills, liquidations, chance) if bars else []
    meta = _meta(scenarios, names, pools, arrays, markers)
    return SimpleNamespace(meta=meta | changes, arrays=arrays)


def coin(j: int) -> str:
    base = COINS[j] if j < len(COINS) else f"COIN{j}"
    return f"{base}/USDT:USDT"


def _walk(chance: np.random.Generator, bars: int, size: float) -> NDArray[np.float64]:
    return np.exp(np.cumsum(chance.normal(0.0, size, bars)))


def _prices(
    arrays: dict[str, NDArray[Any]], j: int, bars: int, chance: np.random.Generator
) -> None:
    close = np.round(1000.0 * (j + 1) * _walk(chance, bars, 0.003), 2)
    opened = np.concatenate((close[:1], close[:-1]))
    air = np.abs(chance.normal(0.0, 0.002, (2, bars)))
    arrays[f"y{j}.open"], arrays[f"y{j}.close"] = opened, close
    arrays[f"y{j}.high"] = np.round(np.maximum(opened, close) * (1 + air[0]), 2)
    arrays[f"y{j}.low"] = np.round(np.minimum(opened, close) * (1 - air[1]), 2)
    arrays[f"y{j}.mark"] = np.round(close * (1 + chance.normal(0.0, 1e-4, bars)), 2)


def _account(
    arrays: dict[str, NDArray[Any]],
    i: int,
    pools: list[str],
    bars: int,
    chance: np.random.Generator,
) -> None:
    own = f"s{i}."
    equity = np.round(10_000.0 * _walk(chance, bars, 0.002), 2)
    highest = np.maximum.accumulate(equity) if bars else equity
    arrays[f"{own}equity"], arrays[f"{own}drawdown"] = equity, equity / highest - 1.0
    arrays[f"{own}ratio"] = np.clip(0.3 * _walk(chance, bars, 0.01), 0.0, 1.2)
    arrays[f"{own}leverage"] = np.clip(3.0 * _walk(chance, bars, 0.004), 0.0, 20.0)
    parts = np.abs(chance.normal(500.0, 1.0, (len(pools), bars)).cumsum(axis=1)) / np.arange(
        1, bars + 1
    )
    for k in range(len(pools)):
        arrays[f"{own}p{k}.margin"] = np.round(parts[k], 2)
    arrays[f"{own}margin"] = np.round(parts.sum(axis=0), 2)
    for cost in ("funding", "fees", "interest", "liquidation"):
        paid = np.where(chance.random(bars) < 0.02, -chance.random(bars) * 3, 0.0)
        arrays[f"{own}{cost}"] = np.round(np.cumsum(paid), 2) * (cost != "interest")


def _position(
    arrays: dict[str, NDArray[Any]], i: int, j: int, bars: int, chance: np.random.Generator
) -> None:
    close = arrays[f"y{j}.close"]
    size = np.where((np.arange(bars) // 300) % 3 == (i + j) % 3, 0.0, 0.25 * (-1) ** j)
    held = size != 0.0
    start = (np.arange(bars) // 300) * 300
    entry = np.where(held, close[start] if bars else close, np.nan)
    own = f"s{i}.y{j}."
    arrays[f"{own}size"], arrays[f"{own}entry"] = size, np.round(entry, 2)
    arrays[f"{own}liquidation"] = np.round(
        entry * (1 - np.sign(size) * (0.06 + 0.05 * (i == 0))), 2
    )


def _markers(
    arrays: dict[str, NDArray[Any]],
    scenarios: int,
    names: tuple[str, ...],
    fills: int,
    liquidations: int,
    chance: np.random.Generator,
) -> list[dict[str, Any]]:
    time, bars = arrays["time"], len(arrays["time"])
    kinds = ["fill"] * fills + ["liquidation"] * liquidations
    found = []
    for event, kind in enumerate(kinds):
        i, j, at = event % scenarios, event // 2 % len(names), int(chance.integers(bars))
        found.append(
            {
                "scenario": i if kind == "fill" else scenarios - 1,
                "symbol": j,
                "kind": kind,
                "time": int(time[at]),
                "price": float(arrays[f"y{j}.close"][at]),
                "size": 0.25 if event % 3 else -0.25,
                "text": f"{kind} of {names[j]}",
                "event": event,
            }
        )
    return sorted(found, key=lambda mark: mark["time"])


def _meta(
    scenarios: tuple[str, ...],
    names: tuple[str, ...],
    pools: list[list[str]],
    arrays: dict[str, NDArray[Any]],
    markers: list[dict[str, Any]],
) -> dict[str, Any]:
    time = arrays["time"]
    finals = [
        float(arrays[f"s{i}.equity"][-1]) if len(time) else 0.0 for i in range(len(scenarios))
    ]
    return {
        "format": 1,
        "title": f"Hedge: {' and '.join(scenarios)}",
        "strategy": "Hedge",
        "currency": "USDT",
        "digits": 2,
        "synthetic": False,
        "from": str(np.datetime64(int(time[0]), "ms")) if len(time) else "",
        "to": str(np.datetime64(int(time[-1]), "ms")) if len(time) else "",
        "bars": len(time),
        "scenarios": [
            {"name": name, "mode": "isolated" if i % 2 else "cross", "pools": pools[i]}
            for i, name in enumerate(scenarios)
        ],
        "symbols": list(names),
        "verdict": f"{scenarios[0]} ended with {finals[0]:,.2f} USDT (up 18.00 %). What parted them: "
        "isolated lost its ETH leg on 2025-10-10 at 21:17, which cost it 2,431.00.",
        "headline": _headline(scenarios, finals),
        "waterfalls": [_fall(scenarios, finals, i, time) for i in range(1, len(scenarios))],
        "months": {"scenarios": {name: _months(i) for i, name in enumerate(scenarios)}},
        "markers": markers,
        "thresholds": [0.8],
        "tables": tables(scenarios, names, markers),
        "fidelity": ["100.00 % of the bars have a mark of the venue.", "No ambiguous bar."],
        "approximations": ["The book of the venue is not modelled."],
        "definitions": {"final equity": "Wallet and unrealised result at the last bar."},
        "footnotes": ["min margin buffer: smallest share of a pool's equity not yet needed."],
        "stamp": {
            "bt_margin": "0.4.0",
            "data_hash": "0123abcd",
            "seed": 7,
            "command": "bt-margin compare hedge.py --leverage 10 --report out.html",
        },
        "settings": {name: {"leverage": 10, "margin_mode": name} for name in scenarios},
    }


def _headline(scenarios: tuple[str, ...], finals: list[float]) -> dict[str, Any]:
    pair = len(scenarios) == 2
    cells, values = [f"{x:,.2f}" for x in finals], list(finals)
    if pair:
        gap = finals[1] - finals[0]
        cells, values = [*cells, f"{gap:+,.2f}"], [*values, gap]
    row = {"key": "final_equity", "label": "final equity", "meaning": "At the last bar."}
    other = {"key": "sharpe", "label": "Sharpe", "meaning": "Mean over deviation, a year."}
    blank = {"cells": ["–"] * len(cells), "values": [None] * len(cells)}
    columns = ["", *scenarios, *(["difference"] if pair else [])]
    return {"columns": columns, "rows": [row | {"cells": cells, "values": values}, other | blank]}


def _fall(
    scenarios: tuple[str, ...], finals: list[float], i: int, time: NDArray[Any]
) -> dict[str, Any]:
    start, end = round(finals[0], 2), round(finals[i], 2)
    values = [round((end - start) * share, 2) for _, share, _ in STEPS[:-1]]
    values.append(round(end - start - sum(values), 2))
    steps = [
        {"label": label, "value": value, "sentence": text, "time": None}
        for (label, _, text), value in zip(STEPS, values, strict=True)
    ]
    if len(time):
        steps[0]["time"] = int(time[len(time) // 2])
    return {"from": scenarios[0], "to": scenarios[i], "start": start, "end": end, "steps": steps}


def _months(i: int) -> list[dict[str, Any]]:
    first = [0.031, -0.012, None, 0.18, -0.24, 0.002, 0.0, 0.05, -0.03, -0.11, 0.07, None]
    return [
        {"year": 2025, "months": [m if m is None else m * (1 - i / 3) for m in first], "total": 0.1}
    ]


def tables(
    scenarios: tuple[str, ...], names: tuple[str, ...], markers: list[dict[str, Any]]
) -> dict[str, Any]:
    """Liquidations, trades and fundings of the marks; no rejections."""
    where = [_column("time", "time", "time"), _column("scenario"), _column("symbol")]
    fills = [_row(scenarios, names, m) for m in markers if m["kind"] == "fill"]
    fallen = [_row(scenarios, names, m) for m in markers if m["kind"] == "liquidation"]
    liquidations = [
        [
            *row,
            row[4] * 0.995,
            123.45,
            0.05,
            f"The mark reached {row[4]:,.2f}: what was left fell short of "
            "the maintenance margin. The other scenario held on.",
        ]
        for row in fallen
    ]
    amounts = [_column("size", "size", "number"), _column("price", "price", "price", "USDT")]
    more = [
        _column("later_1h", "1 h later", "price", "USDT"),
        _column("saved", "extra margin", "money", "USDT"),
        _column("distance", "moved", "percent"),
        _column("why"),
    ]
    none: list[Any] = []
    return {
        "liquidations": _table("Liquidations", [*where, *amounts, *more], liquidations),
        "trades": _table("Trades", [*where, *amounts], fills),
        "fundings": _table("Fundings", [*where, _column("paid", "paid", "money", "USDT")],
                           [[*row[:3], round(row[4] / 1e4, 4)] for row in fills]),
        "rejections": _table("Rejected orders", [*where, _column("why")], none),
        "partings": _table("Where the curves part", [*where, _column("why")], none),
    }  # fmt: skip


def _table(title: str, columns: list[Any], rows: list[Any]) -> dict[str, Any]:
    return {"title": title, "note": "", "columns": columns, "rows": rows}


def _column(key: str, label: str = "", kind: str = "text", unit: str = "") -> dict[str, str]:
    return {"key": key, "label": label or key, "kind": kind, "unit": unit}


def _row(scenarios: tuple[str, ...], names: tuple[str, ...], mark: dict[str, Any]) -> list[Any]:
    where = [mark["time"], scenarios[mark["scenario"]], names[mark["symbol"]]]
    return [*where, mark["size"], mark["price"]]

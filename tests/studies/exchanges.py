"""Positions as ccxt reads them from what the exchanges send, without asking any exchange."""

from __future__ import annotations

from typing import Any

import ccxt

#: Exchange class -> (its id, unified symbol, contract size), and the raw position as its reference prints it.
BINANCE = {
    "symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "20.000", "entryPrice": "6563.66500",
    "breakEvenPrice": "0", "markPrice": "6679.50671178", "unRealizedProfit": "2316.83423560",
    "liquidationPrice": "5930.78", "isolatedMargin": "15517.54150468", "notional": "133590.13423560",
    "isolatedWallet": "13200.70726908", "updateTime": "1609459200000", "leverage": "10",
    "marginType": "isolated", "isAutoAddMargin": "false",
}  # fmt: skip
BYBIT = {
    "symbol": "ETHUSDT", "leverage": "10", "updatedTime": 1657711949945, "side": "Buy",
    "positionValue": "536.92500000", "riskId": 11, "entryPrice": "1073.85000000",
    "unrealisedPnl": "", "markPrice": "1080.65000000", "size": "0.5000",
    "positionStatus": "normal", "positionMM": "2.97456450", "createdTime": 1657711949928,
    "positionIdx": 0, "positionIM": "53.98243950",
}  # fmt: skip
OKX = {
    "instId": "BTC-USDT-SWAP", "instType": "SWAP", "mgnMode": "isolated", "avgPx": "60000",
    "pos": "10", "posSide": "short", "lever": "10", "margin": "600", "mmr": "24.4", "liqPx": "65652.9",
    "upl": "-100", "uplRatio": "-0.1666", "markPx": "61000", "notionalUsd": "6100", "imr": "",
    "cTime": "1767225600000", "uTime": "1767225600000", "posId": "307", "ccy": "USDT",
}  # fmt: skip
KRAKEN = {
    "side": "long", "symbol": "PF_XBTUSD", "price": "65000", "fillTime": "2026-05-01T11:37:16.685Z",
    "size": "0.1", "unrealizedPnl": "12.5", "unrealizedFunding": "-0.001", "pnlCurrency": "USD",
    "maxFixedLeverage": "10.0",
}  # fmt: skip
HYPERLIQUID = {
    "position": {
        "coin": "ETH", "cumFunding": {}, "entryPx": "2213.9",
        "leverage": {"rawUsd": "-475.23904", "type": "isolated", "value": "20"},
        "liquidationPx": "2125.00856238", "marginUsed": "24.88097", "maxLeverage": "50",
        "positionValue": "500.12001", "returnOnEquity": "0.0", "szi": "0.2259", "unrealizedPnl": "0.0",
    },
    "type": "oneWay",
}  # fmt: skip
DYDX = {
    "market": "BTC-USD", "status": "OPEN", "side": "SHORT", "size": "-0.407", "maxSize": "-0.009",
    "entryPrice": "118692.04840909090909090909", "exitPrice": "119526.565625",
    "realizedPnl": "476.42665909090909090909088", "unrealizedPnl": "-57.26681734",
    "createdAt": "2025-07-14T07:53:55.631Z", "sumOpen": "0.44", "sumClose": "0.032",
    "netFunding": "503.13121", "subaccountNumber": 0,
}  # fmt: skip
KRAKEN_SPOT = {
    "pair": "ETHUSDT", "posstatus": "open", "type": "buy", "cost": "300.00000", "fee": "0.78000",
    "vol": "0.10000000", "vol_closed": "0.00000000", "margin": "60.00000", "net": "10.0", "leverage": "5",
}  # fmt: skip
MARKETS = {
    "binanceusdm": ("BTCUSDT", "BTC/USDT:USDT", 1.0, BINANCE),
    "bybit": ("ETHUSDT", "ETH/USDT:USDT", 1.0, BYBIT),
    "okx": ("BTC-USDT-SWAP", "BTC/USDT:USDT", 0.01, OKX),
    "krakenfutures": ("PF_XBTUSD", "BTC/USD:USD", 1.0, KRAKEN),
    "hyperliquid": ("1", "ETH/USDC:USDC", 1.0, HYPERLIQUID),
    "dydx": ("BTC-USD", "BTC/USDC:USDC", 1.0, DYDX),
}


def parsed(name: str, **changes: Any) -> dict[str, Any]:
    """The position of an exchange in ccxt's unified structure, some raw fields changed."""
    market, symbol, size, raw = MARKETS[name]
    exchange = getattr(ccxt, name)()
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    facts = {
        "id": market, "symbol": symbol, "base": base, "quote": quote, "settle": settle,
        "baseId": base, "quoteId": quote, "settleId": settle, "type": "swap", "spot": False,
        "margin": False, "swap": True, "future": False, "option": False, "contract": True,
        "linear": settle == quote, "inverse": settle == base, "contractSize": size, "active": True,
        "precision": {"price": 0.1, "amount": 0.001},
    }  # fmt: skip
    exchange.set_markets([exchange.safe_market_structure(facts)])
    if name == "hyperliquid":
        exchange.coin_to_market_id = lambda coin: market
    read = exchange.parse_position_risk if name == "binanceusdm" else exchange.parse_position
    position: dict[str, Any] = read({**raw, **changes})
    return position

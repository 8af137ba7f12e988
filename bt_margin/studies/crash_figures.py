"""The numbers behind :mod:`bt_margin.studies.crashes`, with their sources; no market data.

Per crash: title, beginning (UTC), and per coin its worst hours ``(hour, open, low, close, low of the mark)``
as shares of the price at the beginning, the level at the close of the hour 24 hours after the hour of the
low, and the lowest funding ``(rate, hour, settlements in a row)``. A fall with an earlier, steeper hour than
that of the low has both hours.
"""

from __future__ import annotations

Hour = tuple[int, float, float, float, float]
Row = tuple[str, tuple[Hour, ...], float, tuple[float, int, int]]

MEASURED_ON = "Binance USDS-M {coin}USDT perpetual: hourly last price and mark, settled funding"

FIGURES: dict[str, tuple[str, str, tuple[Row, ...]]] = {
    "2020-03-12": (
        "Black Thursday (pandemic, covid)",
        "2020-03-12 00:00",
        (
            ("BTC", ((10, 0.9270, 0.6549, 0.7534, 0.7085), (26, 0.5118, 0.4562, 0.5951, 0.4792)),
             0.6981, (-0.003000, 32, 1)),
            ("ETH", ((10, 0.8639, 0.6301, 0.6764, 0.6398), (26, 0.4915, 0.4325, 0.5689, 0.4476)),
             0.6793, (-0.002818, 32, 1)),
        ),
    ),
    "2021-05-19": (
        "May 2021 (China, leverage)",
        "2021-05-19 00:00",
        (
            ("BTC", ((13, 0.8176, 0.6690, 0.8313, 0.6897),), 0.9726, (-0.000897, 16, 1)),
            ("ETH", ((13, 0.6908, 0.4148, 0.7359, 0.5226),), 0.8598, (-0.003563, 16, 1)),
        ),
    ),
    "2022-05": (
        "Luna and UST",
        "2022-05-09 00:00",
        (
            ("BTC", ((60, 0.9261, 0.8521, 0.8609, 0.8562), (79, 0.7957, 0.7825, 0.8272, 0.7854)),
             0.8866, (-0.000420, 80, 1)),
            ("ETH", ((60, 0.9569, 0.8416, 0.8626, 0.8515), (79, 0.7318, 0.7048, 0.7597, 0.7099)),
             0.8128, (-0.000797, 80, 1)),
            ("SOL", ((60, 0.8143, 0.6262, 0.6560, 0.6401), (79, 0.5382, 0.4924, 0.5925, 0.4968)),
             0.6509, (-0.001364, 80, 1)),
        ),
    ),
    "2022-06": (
        "Celsius and Three Arrows Capital (3AC)",
        "2022-06-10 12:00",
        (
            ("BTC", ((186, 0.6804, 0.6353, 0.6472, 0.6392), (200, 0.6019, 0.5863, 0.5932, 0.5873)),
             0.6877, (-0.000100, 92, 1)),
            ("ETH", ((186, 0.6085, 0.5579, 0.5749, 0.5669), (200, 0.5162, 0.4958, 0.5100, 0.4972)),
             0.6445, (-0.000292, 188, 1)),
            ("SOL", ((68, 0.7009, 0.6655, 0.6673, 0.6664), (86, 0.6662, 0.6571, 0.6874, 0.6580)),
             0.7472, (-0.000407, 36, 1)),
        ),
    ),
    "2022-11": (
        "FTX",
        "2022-11-08 16:00",
        (
            ("BTC", ((3, 0.9524, 0.8625, 0.9346, 0.8752), (30, 0.8047, 0.7924, 0.8122, 0.7964)),
             0.9128, (-0.001192, 32, 1)),
            ("ETH", ((3, 0.9201, 0.8177, 0.8982, 0.8402), (31, 0.7640, 0.7328, 0.7536, 0.7344)),
             0.8882, (-0.000601, 32, 1)),
            ("SOL", ((23, 0.5873, 0.4458, 0.4657, 0.4560), (29, 0.3700, 0.3402, 0.3607, 0.3581)),
             0.6514, (-0.020000, 28, 7)),
        ),
    ),
    "2024-08-05": (
        "Yen carry trade",
        "2024-08-04 12:00",
        (
            ("BTC", ((18, 0.8656, 0.8030, 0.8469, 0.8059),), 0.9159, (-0.000028, 44, 1)),
            ("ETH", ((13, 0.8672, 0.7251, 0.7956, 0.7296),), 0.8634, (-0.000107, 44, 1)),
            ("SOL", ((13, 0.9159, 0.8296, 0.9131, 0.8441), (18, 0.8264, 0.7610, 0.8195, 0.7667)),
             0.9861, (-0.000053, 44, 1)),
        ),
    ),
    "2025-10-10": (
        "Tariffs",
        "2025-10-10 13:00",
        (
            ("BTC", ((8, 0.9397, 0.8353, 0.9319, 0.8383),), 0.9119, (-0.000109, 51, 1)),
            ("ETH", ((8, 0.8892, 0.7823, 0.9068, 0.7881),), 0.8592, (-0.000131, 19, 1)),
            ("SOL", ((8, 0.8881, 0.6374, 0.8603, 0.6489),), 0.7966, (-0.003028, 11, 1)),
            ("DOGE", ((8, 0.8733, 0.3344, 0.7418, 0.3535),), 0.7346, (-0.000237, 19, 1)),
            ("ORCA", ((8, 0.8628, 0.3357, 0.7195, 0.3406),), 0.7608, (-0.000244, 11, 1)),
        ),
    ),
}  # fmt: skip

Report = tuple[str, str, str, str, str]

#: What was reported at the time or later: topic, value, source, its date, grade of the evidence.
REPORTED: dict[str, tuple[Report, ...]] = {
    "2020-03-12": (
        ("bitcoin perpetual on BitMEX", "7,353 at 10:00 UTC, first low 5,678, second low 3,596",
         "LedgerPrime: Crypto's Black Thursday", "2020", "W"),
        ("liquidations on BitMEX", "over 1.6 billion USD on two days",
         "CryptoGlobe, from Datamish", "2020-03-13", "W"),
    ),
    "2021-05-19": (
        ("bitcoin", "43,000 to 29,000 within a day", "press, from CoinGecko", "2021-05", "W"),
        ("liquidations", "over 8.6 billion USD", "NewsBreak, from Bybt", "2021-05-20", "W"),
    ),
    "2022-05": (
        ("UST", "0.91 USD within minutes of the first sales", "Law.com, Delaware", "2024-04-10", "W"),
        ("LUNA", "82.55 to 0.000001 USD in about a week", "Law.com, Delaware", "2024-04-10", "W"),
    ),
    "2022-06": (
        ("bitcoin", "below 23,000, 67 % under its high, as Celsius halted withdrawals",
         "invest.rakyatnesia.com", "2022-06-13", "W"),
        ("ether", "below 1,000 over the weekend", "Bizz Technology", "2022-06", "W"),
    ),
    "2022-11": (
        ("bitcoin", "above 21,000 to 15,600", "socialbites.ca", "2022-11-10", "W"),
        ("liquidations", "over 717 million USD in a day, 330,000 positions",
         "socialbites.ca, from CoinGlass", "2022-11-10", "W"),
        ("solana", "more than 60 % in a week", "Bitfinsider", "2022-11-14", "W"),
    ),
    "2024-08-05": (
        ("liquidations", "over 1 billion USD in 24 hours, 275,000 traders", "CoinDesk", "2024-08-05",
         "W"),
        ("ether", "as much as 25 % below the day before, most since May 2021", "CoinDesk",
         "2024-08-05", "W"),
    ),
    "2025-10-10": (
        ("bitcoin", "lowest 101,500", "IG Currency News", "2025-10-11", "W"),
        ("solana and dogecoin", "over 30 % and over 50 %", "IG Currency News", "2025-10-11", "W"),
        ("liquidations", "19.38 billion USD in 24 hours, 16.87 of longs", "CoinFeather, from CoinGlass",
         "2025-10-11", "W"),
        ("accounts liquidated", "over 1.6 million", "Yellow.com, from CoinGlass", "2025-10", "W"),
    ),
}  # fmt: skip

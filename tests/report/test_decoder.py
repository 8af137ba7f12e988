"""The page's own decoder, run in node: number for number what Python reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import bt_margin
from bt_margin.report import encode

NODE = shutil.which("node")
SCRIPT = Path(bt_margin.__file__).parent / "report" / "assets" / "data.js"
#: Stands for the page: text by the id of its element; prints every array as the hex of its float64.
PAGE = """
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const $ = (id) => (id.slice(6) in texts ? { textContent: JSON.stringify(texts[id.slice(6)]) } : null);
%s
loadAll(Object.keys(texts)).then((arrays) => {
  const found = {};
  Object.keys(texts).forEach((name, i) => {
    found[name] = Buffer.from(Float64Array.from(arrays[i]).buffer).toString('hex');
  });
  console.log(JSON.stringify(found));
});
"""


def arrays(seed: int, n: int = 700) -> dict[str, np.ndarray]:
    """Every kind of prediction, with holes, infinities, jumps and numbers too large for it."""
    luck = np.random.default_rng(seed)

    def holes(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[luck.random(n) < 0.05] = np.nan
        values[luck.random(n) < 0.02] = luck.choice([np.inf, -np.inf])
        return values

    close = np.round(60_000 * np.exp(np.cumsum(luck.normal(0, 1e-3, n))), 1)
    opened = np.concatenate(([60_000.0], close[:-1]))
    equity = np.round(np.cumsum(luck.normal(0, 50, n)) + 300, 2)
    return {
        "time": 1_700_000_000_000 + 60_000 * np.arange(n),
        "y0.open": holes(opened),
        "y0.high": holes(np.maximum(opened, close) + np.round(luck.exponential(5, n), 1)),
        "y0.low": holes(np.minimum(opened, close) - np.round(luck.exponential(5, n), 1)),
        "y0.close": holes(close),
        "y0.mark": holes(np.round(close + luck.normal(0, 1, n), 8)),
        "s0.equity": holes(equity),
        "s0.drawdown": holes(equity / np.maximum(1.0, np.maximum.accumulate(equity)) - 1.0),
        "s0.margin": holes(np.abs(equity)),
        "s0.p0.margin": np.abs(equity),
        "s0.ratio": holes(luck.random(n)),
        "s0.y0.size": luck.choice([0.0, 1.25, -3e-7, 4e6], n),
        "s0.y0.entry": luck.choice([1e300, 5.0], n),
    }


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("seed", range(3))
def test_the_page_reads_what_python_reads(seed: int) -> None:
    coded = encode.encode(arrays(seed))
    kinds = {one.get("how", "float") for one in coded.values()}
    assert kinds == {"last", "before", "same", "max", "min", "fall", "float"}
    assert NODE is not None
    script = PAGE % SCRIPT.read_text(encoding="utf-8")
    told = subprocess.run(
        [NODE, "-e", script], input=json.dumps(coded), capture_output=True, text=True, check=True
    )
    found = json.loads(told.stdout)
    for name, wanted in encode.decode(coded).items():
        read = np.frombuffer(bytes.fromhex(found[name]), dtype="<f8")
        np.testing.assert_array_equal(read, wanted, err_msg=name)

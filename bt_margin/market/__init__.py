"""Market data: the canonical frame, files in and out, and the synthetic sample."""

from bt_margin.market.files import load_frame, load_market, save_market, unified_symbol
from bt_margin.market.frames import validate_frame, validate_frames
from bt_margin.market.synthetic import generate_market, sample_market

__all__ = [
    "generate_market",
    "load_frame",
    "load_market",
    "sample_market",
    "save_market",
    "unified_symbol",
    "validate_frame",
    "validate_frames",
]

"""MSM, the Market State Monitor backtest library: what SQL is bad at, as pure functions."""

__version__ = "0.2.0"

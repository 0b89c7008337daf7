"""The claim on Melbourne's temperatures, with the benchmark's own settings.

Two seeds, half a minute; `benchmarks/forecasting.csv` has five.
"""

import importlib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.data
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch, needs_corpus):
    needs_corpus("melbourne")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("forecasting")


def test_windows_of_the_benchmark_let_no_tested_day_in(benchmark):
    table = benchmark.load_series("melbourne")["temperature"]
    for horizon in (1, 7):
        days = benchmark.prepare("test", horizon)
        truth = days.celsius(days.tested[1])[:, :, 0]
        tested = table["1989":"1990"].to_numpy()
        first = [tested[i : i + horizon] for i in range(len(tested) - horizon + 1)]
        np.testing.assert_allclose(truth, first, atol=1e-4)
        # 2,922 days until then, of which 30 are read first, and those with a gap.
        assert len(days.fitted[0]) == 2922 - 30 - horizon + 1 - (horizon + 1)


def test_the_day_ahead_is_forecast_better_than_without_a_network(benchmark):
    days = benchmark.prepare("test", 1)
    raw = benchmark.prepare("test", 1, deseasonalized=False)
    forecasts = benchmark.repeated("test", 1)
    for steps in (7, 14, 30):
        forecasts[f"{steps} days"] = benchmark.linear(
            raw, steps, year=False, quantiles=False
        )
        for quantiles in (False, True):
            forecasts[f"{steps} days, year, {quantiles}"] = benchmark.linear(
                days, steps, year=True, quantiles=quantiles
            )
    truth = days.celsius(days.tested[1])[:, :, 0]
    simple = {
        name: benchmark.score(forecast, truth)[0]["mae"]
        for name, forecast in forecasts.items()
    }
    assert simple["persistence"] == pytest.approx(1.953, abs=0.001)
    assert simple["seasonal persistence"] == pytest.approx(2.956, abs=0.001)
    networks = [
        benchmark.score(benchmark.network(days, "lstm", seed), truth)[0]
        for seed in range(2)
    ]
    assert np.mean([row["mae"] for row in networks]) < min(simple.values())
    assert all(0.85 <= row["covered"] <= 0.95 for row in networks)

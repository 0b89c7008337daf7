"""Windows, calendar waves and the loss against NumPy; forecasts of a noisy wave.

The tests on Melbourne's temperatures use `benchmarks/forecasting.py` with its own
settings and two seeds; `benchmarks/forecasting.csv` has five.
"""

import importlib
import itertools
import re
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from rnn_keras.models.builders import CELLS, build_forecaster
from rnn_keras.models.forecasting import QuantileLoss, calendar, forecast_windows
from rnn_keras.training.trainer import make_optimizer
from rnn_keras.utils.errors import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
USUAL = [("gru", 2), ("lstm", 1), ("simple_rnn", 1)]


def test_windows_are_slices_of_the_series_and_what_follows():
    series = np.arange(40.0).reshape(20, 2)
    inputs, targets = forecast_windows(series, 6, 3, targets=[1])
    assert inputs.shape == (12, 6, 2)
    assert targets.shape == (12, 3, 1)
    for i in range(12):
        np.testing.assert_array_equal(inputs[i], series[i : i + 6])
        np.testing.assert_array_equal(targets[i], series[i + 6 : i + 9, 1:])
    assert len(forecast_windows(series, 17, 3)[0]) == 1


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((18, 3), InputError, "a series of 20 steps is too short: 18 to read and 3"),
        ((0, 3), ValueError, "`timesteps` must be at least 1. Received: 0"),
        ((5, 0), ValueError, "`horizon` must be at least 1. Received: 0"),
    ],
)
def test_a_series_must_hold_a_window(sizes, error, message):
    with pytest.raises(error, match=message):
        forecast_windows(np.zeros((20, 1)), *sizes)


def test_a_single_series_needs_its_axis():
    with pytest.raises(InputError, match=r"shape \(20,\), but must be \(steps"):
        forecast_windows(np.zeros(20), 5, 3)


def test_the_loss_needs_a_forecast_of_every_quantile_of_every_truth():
    """Broadcast to three quantiles, one forecast would learn a mixture of them."""
    for truths, forecasts in (
        ((4, 2, 1), (4, 2, 1, 1)),  # one quantile
        ((4, 2, 1), (4, 2, 2, 3)),  # one target more
        ((4, 1, 1), (4, 2, 1, 3)),  # one day more
        ((4, 2), (4, 2, 1, 3)),
        ((4, 2, 1), (4, 2, 3)),
    ):
        message = f"of 3 quantiles. Received the shapes {truths} and {forecasts}"
        with pytest.raises(ValueError, match=re.escape(message)):
            QuantileLoss()(np.zeros(truths), np.zeros(forecasts))


def test_quantiles_may_be_an_array():
    loss = QuantileLoss(np.array([0.1, 0.5]))
    assert loss.get_config()["quantiles"] == (0.1, 0.5)


def test_the_day_is_a_circle():
    """Midnight is (0, 1) and six o'clock (1, 0); the second wave is twice as fast."""
    times = pd.date_range("2023-12-31 18:00", periods=9, freq="6h")
    waves = calendar(times, "day", harmonics=2)
    quarter = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
    np.testing.assert_allclose(waves[:, :2], quarter[np.arange(9) % 4], atol=1e-12)
    np.testing.assert_allclose(
        waves[:, 2:], [[0, (-1) ** (i + 1)] for i in range(9)], atol=1e-12
    )
    shifted = calendar(times + pd.Timedelta("90s"), "day")
    angle = np.arctan2(shifted[1, 0], shifted[1, 1])
    assert angle == pytest.approx(2 * np.pi * 90 / 86_400)


def test_the_year_goes_round_at_a_steady_pace():
    """Only at its end the wave waits or catches up: it has no whole number of days."""
    times = pd.date_range("2023-01-01", "2024-12-31")
    waves = calendar(times)
    assert waves.shape == (731, 2)
    np.testing.assert_allclose(np.hypot(*waves.T), 1)
    turned = np.unwrap(np.arctan2(*waves.T))
    pace = np.diff(turned) * 365.25 / (2 * np.pi)
    assert np.delete(pace, 364) == pytest.approx(1)
    assert pace[364] == pytest.approx(1.25)
    noon = calendar(pd.DatetimeIndex(["2024-03-01 12:00"]))[0]
    between = waves[times.get_loc("2024-03-01") :][:2].mean(axis=0)
    np.testing.assert_allclose(noon, between, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("week",), "`period` must be one of ..year., .day... Received: 'week'"),
        (("day", 0), "`harmonics` must be at least 1. Received: 0"),
    ],
)
def test_a_calendar_has_days_and_years(arguments, message):
    with pytest.raises(ValueError, match=message):
        calendar(pd.date_range("2024-01-01", periods=2), *arguments)


def test_the_loss_is_least_at_the_quantiles():
    """Among constant forecasts, those at NumPy's quantiles cost the least."""
    truth = np.random.default_rng(0).exponential(1, (501, 1, 1)).astype("float32")
    quantiles = (0.05, 0.5, 0.9)
    tried = np.linspace(0, 4, 161, dtype="float32")
    for i, q in enumerate(quantiles):
        costs = []
        for value in tried:
            forecast = np.zeros((501, 1, 1, 3), "float32")
            forecast[..., i] = value
            costs.append(float(QuantileLoss(quantiles)(truth, forecast)))
        assert tried[np.argmin(costs)] == pytest.approx(np.quantile(truth, q), abs=0.03)


def test_the_loss_of_the_median_is_half_the_absolute_error():
    random = np.random.default_rng(1)
    truth, forecast = random.normal(size=(7, 4, 2)), random.normal(size=(7, 4, 2, 1))
    half = np.abs(truth - forecast[..., 0]).mean() / 2
    assert float(QuantileLoss((0.5,))(truth, forecast)) == pytest.approx(half, rel=1e-5)


def test_a_missing_truth_costs_nothing_and_leaves_the_gradient_finite():
    loss, random = QuantileLoss((0.1, 0.9)), np.random.default_rng(2)
    truth, forecast = random.normal(size=(1, 3, 1)), random.normal(size=(1, 3, 1, 2))
    without = float(loss(truth[:, :2], forecast[:, :2]))
    truth[0, 2] = np.nan
    forecast = tf.Variable(forecast, dtype="float32")
    with tf.GradientTape() as tape:
        cost = loss(truth.astype("float32"), forecast)
    assert float(cost) == pytest.approx(without, rel=1e-5)
    gradient = tape.gradient(cost, forecast).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[0, 2].any()
    assert gradient[0, :2].all()
    assert float(loss(np.full((1, 3, 1), np.nan, "float32"), forecast)) == 0


@pytest.mark.parametrize("quantiles", [(), (0.5, 0.5), (0.9, 0.1), (0, 0.5), (0.5, 1)])
def test_quantiles_must_increase(quantiles):
    with pytest.raises(ValueError, match="`quantiles` must increase between 0 and 1"):
        QuantileLoss(quantiles)


def noisy_sine(steps=2400):
    """A wave with noise of spread 0.2, and the same with a tenth of it missing."""
    random = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(steps) / 12)
    noisy = (wave + random.normal(0, 0.2, steps))[:, None].astype("float32")
    seen = np.where(random.random((steps, 1)) < 0.1, np.nan, noisy)
    return noisy, seen


@pytest.mark.parametrize(
    "cell",
    [
        "simple_rnn",  # the fastest
        pytest.param("lstm", marks=pytest.mark.exhaustive),
        pytest.param("gru", marks=pytest.mark.exhaustive),
    ],
)
def test_a_noisy_wave_is_forecast_almost_as_well_as_it_can_be(cell):
    """The best forecast is the wave; its MAE is that of the noise, 0.2 sqrt(2 / pi).

    With twenty other seeds each cell was at most 1.12 times as far off as that, and
    0.845 to 0.900 of the truths were within its interval of 90 %.
    """
    noisy, seen = noisy_sine()
    inputs, targets = forecast_windows(seen, 24, 4)
    _, truth = forecast_windows(noisy, 24, 4)
    quantiles = (0.05, 0.5, 0.95)
    network = build_forecaster(1, 4, num_quantiles=3, cell=cell, units=16)
    rate = keras.optimizers.schedules.PolynomialDecay(0.01, 8 * 64, 0.0)
    network.compile(make_optimizer(rate), QuantileLoss(quantiles))
    network.fit(inputs[:2048], targets[:2048], 32, epochs=8, verbose=0)
    low, median, high = np.moveaxis(network.predict(inputs[2080:], verbose=0), -1, 0)
    truth = truth[2080:]
    best = 0.2 * np.sqrt(2 / np.pi)
    assert np.abs(truth - median).mean() < 1.2 * best
    assert 0.8 < ((low <= truth) & (truth <= high)).mean() < 0.96
    last_seen = noisy[2080 + 23 : 2080 + 23 + len(truth)][:, None]
    assert np.abs(truth - last_seen).mean() > 2 * best  # persistence


@pytest.mark.parametrize(
    ("cell", "num_layers"),
    [
        pytest.param(*case, marks=[] if case in USUAL else pytest.mark.exhaustive)
        for case in itertools.product(CELLS, (1, 2))
    ],
)
def test_padding_never_changes_a_forecast(cell, num_layers):
    """Padding is steps of `nan` before the first known value, not after it."""
    model = build_forecaster(
        2, 3, num_quantiles=2, cell=cell, units=5, num_layers=num_layers
    )
    series = np.random.default_rng(0).normal(size=(4, 6, 2)).astype("float32")
    series[1, 2, 0] = np.nan
    series[2, 3] = series[3, 5] = np.nan
    alone = np.concatenate([model(one[None]) for one in series])
    assert np.isfinite(alone).all()
    for length in (1, 7):
        padded = np.pad(series, ((0, 0), (length, 0), (0, 0)), constant_values=np.nan)
        np.testing.assert_allclose(model(padded), alone, atol=1e-5)
    later = np.pad(series, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)
    assert not np.allclose(model(later), alone, atol=1e-4)  # a step has passed
    assert np.isfinite(model(np.full((1, 6, 2), np.nan, "float32"))).all()


def test_a_missing_value_differs_from_a_value_of_zero():
    model = build_forecaster(2, 3)
    series = np.random.default_rng(0).normal(size=(1, 6, 2)).astype("float32")
    zero, missing = series.copy(), series.copy()
    zero[0, 4, 1], missing[0, 4, 1] = 0, np.nan
    assert not np.allclose(model(zero), model(missing), atol=1e-4)


def test_quantiles_of_a_forecast_increase():
    model = build_forecaster(1, 5, num_targets=2, num_quantiles=4)
    forecast = model(np.random.default_rng(0).normal(size=(9, 6, 1)).astype("float32"))
    assert forecast.shape == (9, 5, 2, 4)
    assert (np.diff(forecast, axis=-1) >= 0).all()


def test_a_forecaster_is_saved_with_its_loss(tmp_path):
    model = build_forecaster(1, 2, num_quantiles=3, cell="simple_rnn", units=4)
    model.compile("adam", QuantileLoss((0.1, 0.5, 0.8)))
    series = np.random.default_rng(0).normal(size=(3, 6, 1)).astype("float32")
    model.train_on_batch(series, series[:, :2])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(series), model(series), atol=1e-6)
    assert tuple(again.loss.quantiles) == (0.1, 0.5, 0.8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "rnn"}, "`cell` must be one of"),
        ({"units": 0}, "`units` must be at least 1. Received: 0"),
        ({"num_quantiles": 0}, "`num_quantiles` must be at least 1. Received: 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_forecaster(1, 2, **arguments)


@pytest.fixture
def benchmark(monkeypatch, needs_corpus):
    needs_corpus("melbourne")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("forecasting")


@pytest.mark.data
def test_no_tested_day_is_in_the_training_windows_of_the_benchmark(benchmark):
    table = benchmark.load_series("melbourne")["temperature"]
    for horizon in (1, 7):
        days = benchmark.prepare("test", horizon)
        truth = days.celsius(days.tested[1])[:, :, 0]
        tested = table["1989":"1990"].to_numpy()
        first = [tested[i : i + horizon] for i in range(len(tested) - horizon + 1)]
        np.testing.assert_allclose(truth, first, atol=1e-4)
        # There are 2,922 days until then. Windows with a gap are left out.
        assert len(days.fitted[0]) == 2922 - 30 - horizon + 1 - (horizon + 1)


@pytest.mark.data
@pytest.mark.exhaustive
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

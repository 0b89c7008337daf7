"""Melbourne's temperatures, a day and a week ahead: networks beside simple models.

    RNN_KERAS_CACHE=FOLDER python benchmarks/forecasting.py

Every model is fitted twice. Fitted before 1987, it is tested on 1987 and 1988, on which
sizes, learning rate and epochs were chosen; fitted before 1989, it is tested on 1989
and 1990. Writes forecasting.csv, one row per model and day ahead: the MAE in °C and,
for models that predict a 90 % interval, the share of true values inside it. Then prints
the MAE of one day ahead with its 95 % interval over seeds.
"""

import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from report import machine
from scipy import stats
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.preprocessing import StandardScaler

from rnn_keras import load_series
from rnn_keras.models.builders import build_forecaster
from rnn_keras.models.forecasting import QuantileLoss, calendar, forecast_windows
from rnn_keras.training.trainer import make_optimizer

HERE = Path(__file__).parent
PARTS = {"validation": ("1987", "1989"), "test": ("1989", "1991")}
HORIZONS = (1, 7)
QUANTILES = (0.05, 0.5, 0.95)
TIMESTEPS, UNITS, DROPOUT, RATE, EPOCHS, BATCH = 30, 16, 0.2, 0.01, 60, 64
SEEDS = 5


class Days(NamedTuple):
    """Windows to fit and test, `(windows, days, series)`, and the way back to °C."""

    fitted: tuple[np.ndarray, np.ndarray]
    tested: tuple[np.ndarray, np.ndarray]
    season: np.ndarray  # of the tested targets
    scale: float

    def celsius(self, scaled: np.ndarray) -> np.ndarray:
        return scaled * self.scale + self.season


def prepare(part: str, horizon: int, deseasonalized: bool = True) -> Days:
    """Scaled temperatures, less the course of the year or less their mean.

    All of this is fitted before the tested years. Beside them stands the calendar.
    """
    table, (begin, end) = load_series("melbourne"), PARTS[part]
    values, year = table.to_numpy(), calendar(table.index, harmonics=2)
    course = year if deseasonalized else np.ones((len(year), 1))
    known = (table.index < begin) & ~np.isnan(values[:, 0])
    season = LinearRegression().fit(course[known], values[known]).predict(course)
    scaler = StandardScaler().fit((values - season)[known])
    series = np.hstack([scaler.transform(values - season), year[:, :2]])
    inputs, targets = forecast_windows(series.astype("float32"), TIMESTEPS, horizon)
    seasons = forecast_windows(season, TIMESTEPS, horizon)[1]
    # A window belongs to the days that it forecasts.
    first = table.index[TIMESTEPS:][: len(inputs)]
    last = table.index[-len(inputs) :]
    fit = (last < begin) & ~np.isnan(targets).any((1, 2))
    test = (first >= begin) & (last < end)
    return Days(
        (inputs[fit], targets[fit]),
        (inputs[test], targets[test]),
        seasons[test],
        scaler.scale_[0],
    )


def repeated(part: str, horizon: int) -> dict[str, np.ndarray]:
    """Forecasts that repeat the last known value, or that of the day a year before."""
    table = load_series("melbourne").ffill()
    begin, end = table.index.searchsorted(pd.to_datetime(PARTS[part]))
    first = np.arange(begin, end - horizon + 1)[:, None]
    values, ahead = table["temperature"].to_numpy(), np.arange(horizon)
    return {
        "persistence": values[first - 1 + 0 * ahead][..., None],
        "seasonal persistence": values[first - 365 + ahead][..., None],
    }


def linear(days: Days, steps: int, *, year: bool, quantiles: bool) -> np.ndarray:
    """A linear autoregression on the last days, one for each day ahead."""

    def read(inputs: np.ndarray) -> np.ndarray:
        last = np.nan_to_num(inputs[:, -steps:, 0])
        return np.hstack([last, inputs[:, -1, 1:]]) if year else last

    x, y = read(days.fitted[0]), days.fitted[1][:, :, 0]
    models = [LinearRegression()]
    if quantiles:
        models = [QuantileRegressor(quantile=q, alpha=0) for q in QUANTILES]
    tested = read(days.tested[0])
    each = [MultiOutputRegressor(m).fit(x, y).predict(tested) for m in models]
    return days.celsius(np.stack(each, axis=-1))


def network(days: Days, cell: str, seed: int) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    inputs, targets = days.fitted
    size = (inputs.shape[2], targets.shape[1])
    options = {"cell": cell, "units": UNITS, "dropout": DROPOUT}
    model = build_forecaster(*size, num_quantiles=len(QUANTILES), **options)
    whole = len(inputs) // BATCH * BATCH  # one shape, so one program
    falling = keras.optimizers.schedules.PolynomialDecay(
        RATE, EPOCHS * whole // BATCH, end_learning_rate=0.0
    )
    model.compile(make_optimizer(falling), QuantileLoss(QUANTILES), jit_compile=True)
    model.fit(inputs[-whole:], targets[-whole:], BATCH, EPOCHS, verbose=0)
    return days.celsius(model.predict(days.tested[0], verbose=0)[:, :, 0])


def score(
    forecast: np.ndarray, truth: np.ndarray, **row: str | float
) -> list[dict[str, str | float]]:
    """One row per day ahead for a forecast `(windows, horizon, quantiles)`."""
    rows = []
    for day in range(truth.shape[1]):
        known = ~np.isnan(truth[:, day])
        of_day, true = forecast[known, day].T, truth[known, day]
        low, middle, high = of_day[0], of_day[len(of_day) // 2], of_day[-1]
        scores = {"day": day + 1, "mae": np.abs(middle - true).mean().round(4)}
        if len(of_day) > 1:
            scores["covered"] = ((low <= true) & (true <= high)).mean().round(4)
        rows.append({**row, **scores})
    return rows


def measure(part: str, horizon: int) -> list[dict]:
    days, raw = prepare(part, horizon), prepare(part, horizon, deseasonalized=False)
    truth = days.celsius(days.tested[1])[:, :, 0]
    same = {"part": part, "horizon": horizon}
    rows = []
    for name, forecast in repeated(part, horizon).items():
        rows += score(forecast, truth, **same, model=name)
    rows += score(days.season, truth, **same, model="season")
    for steps in (7, 14, 30):
        name = f"linear, {steps} days"
        forecast = linear(raw, steps, year=False, quantiles=False)
        rows += score(forecast, truth, **same, model=name)
        for of_quantiles, ending in ((False, ""), (True, ", quantiles")):
            forecast = linear(days, steps, year=True, quantiles=of_quantiles)
            rows += score(forecast, truth, **same, model=f"{name}, year{ending}")
    variants = [("gru, year left in", "gru", raw)]
    variants += [(cell, cell, days) for cell in ("gru", "lstm", "simple_rnn")]
    for name, cell, read in variants:
        for seed in range(SEEDS):
            started = time.perf_counter()
            forecast = network(read, cell, seed)
            seconds = round(time.perf_counter() - started, 1)
            rows += score(
                forecast, truth, **same, model=name, seed=seed, seconds=seconds
            )
            print(rows[-horizon], flush=True)
    return rows


def main() -> None:
    rows = []
    for part in PARTS:
        for horizon in HORIZONS:
            rows += measure(part, horizon)
    columns = ["part", "horizon", "model", "seed", "day", "mae", "covered", "seconds"]
    table = pd.DataFrame(rows)[columns].astype({"seed": "Int64"})
    table.to_csv(HERE / "forecasting.csv", index=False)
    print(machine(("tensorflow", "keras", "scikit-learn")))
    chosen = table.query("part == 'test' and horizon == 1")
    for name, mae in chosen.groupby("model", sort=False)["mae"]:
        print(f"{name:33}{mae.mean():.3f}", end="")
        if len(mae) > 1:
            low, high = stats.t.interval(0.95, len(mae) - 1, mae.mean(), mae.sem())
            print(f"  {low:.3f} to {high:.3f}", end="")
        print()


if __name__ == "__main__":
    main()

"""Forecasting of time series: windows, calendar features, a loss for quantiles.

A series is floats `(steps, series)` at equal distances in time; a missing value is
`nan`. Split it by time, never at random, and scale it with the mean and the standard
deviation of the training part only (`sklearn.preprocessing.StandardScaler` leaves
`nan` as it is). Left out: forecasts that feed their own values back.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import keras
import numpy as np
from keras import ops
from numpy.lib.stride_tricks import sliding_window_view

from rnn_keras.utils.errors import InputError, check_choice, check_sizes

if TYPE_CHECKING:
    import pandas as pd


Period = Literal["year", "day"]


def forecast_windows(
    series: np.ndarray, timesteps: int, horizon: int, targets: Sequence[int] = (0,)
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a series into all windows of steps to read and steps to forecast.

    Args:
        series: the series, `(steps, series)`.
        timesteps: steps to read.
        horizon: steps to forecast.
        targets: indices of the series to forecast.

    Returns:
        Inputs `(windows, timesteps, series)` and targets `(windows, horizon,
        targets)`. Window i begins at step i.

    Raises:
        InputError: if the series is shorter than one window, or does not have two axes.
        ValueError: if a size is below 1.
    """
    check_sizes(timesteps=timesteps, horizon=horizon)
    if np.ndim(series) != 2:
        raise InputError(
            f"`series` has the shape {np.shape(series)}, but must be (steps, series); "
            "for a single series use `series[:, None]`"
        )
    if len(series) < timesteps + horizon:
        raise InputError(
            f"a series of {len(series):,} steps is too short: {timesteps:,} to read "
            f"and {horizon:,} to forecast need {timesteps + horizon:,}"
        )
    windows = sliding_window_view(series, timesteps + horizon, axis=0)
    windows = np.swapaxes(windows, 1, 2)  # (windows, timesteps + horizon, series)
    return windows[:, :timesteps], windows[:, timesteps:][:, :, list(targets)]


def calendar(
    times: "pd.DatetimeIndex", period: Period = "year", harmonics: int = 1
) -> np.ndarray:
    """Encode the time of the year or of the day as waves.

    On a wave the end of a period lies next to its beginning: December is near January.
    A linear function of the waves is a Fourier series.

    Args:
        times: times of the steps.
        period: period of the first wave, `"year"` or `"day"`.
        harmonics: number of waves; wave k goes through k periods in a year or day.

    Returns:
        Sine and cosine of each wave in turn, `(steps, 2 * harmonics)`.

    Raises:
        ValueError: if `period` is unknown, or `harmonics` is below 1.

    >>> import pandas as pd
    >>> calendar(pd.date_range("2024-01-01", periods=3, freq="6h"), "day").round(1) + 0
    array([[ 0.,  1.],
           [ 1.,  0.],
           [ 0., -1.]])
    """
    check_choice("period", period, get_args(Period))
    check_sizes(harmonics=harmonics)
    hours = times.hour + times.minute / 60 + times.second / 3600
    share = hours.to_numpy() / 24
    if period == "year":
        share = (times.day_of_year.to_numpy() - 1 + share) / 365.25
    angles = 2 * np.pi * share[:, None] * np.arange(1, harmonics + 1)
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(times), -1)


@keras.saving.register_keras_serializable(package="rnn_keras")
class QuantileLoss(keras.losses.Loss):
    """Mean pinball loss, which is smallest when the forecasts are the quantiles.

    For a quantile q, an error e (truth minus forecast) costs max(q e, (q - 1) e): R.
    Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978), 33-50. For the
    median, q = 0.5, this is half the absolute error. A truth that is `nan` does not
    count.

    Args:
        quantiles: increasing numbers between 0 and 1, one for each quantile that the
            forecaster gives.
        **kwargs: arguments of `keras.losses.Loss`.

    Call arguments:
        y_true: `(batch, horizon, targets)`.
        y_pred: `(batch, horizon, targets, quantiles)`.

    Raises:
        ValueError: if `quantiles` do not increase or are not between 0 and 1; when
            called, if the shapes do not match.
    """

    def __init__(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95), **kwargs: Any):
        if not len(quantiles) or any(np.diff([0, *quantiles, 1]) <= 0):
            raise ValueError(
                f"`quantiles` must increase between 0 and 1. Received: {quantiles}"
            )
        super().__init__(**kwargs)
        self.quantiles = tuple(map(float, quantiles))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self._check_shapes(tuple(y_true.shape), tuple(y_pred.shape))
        known = ops.logical_not(ops.isnan(y_true))
        # Replaced before the difference: the gradient of `nan` times 0 is `nan`.
        truth = ops.where(known, y_true, 0)
        error = ops.expand_dims(truth, -1) - y_pred
        q = ops.convert_to_tensor(self.quantiles, dtype=y_pred.dtype)
        loss = ops.mean(ops.maximum(q * error, (q - 1) * error), axis=-1)
        known = ops.cast(known, loss.dtype)
        count = ops.maximum(ops.sum(known, axis=(1, 2)), 1)
        return ops.sum(known * loss, axis=(1, 2)) / count

    def _check_shapes(self, truths: tuple, forecasts: tuple) -> None:
        """Refuse shapes that would be broadcast, such as one forecast for all days."""
        sizes = zip((*truths, len(self.quantiles)), forecasts, strict=False)
        if (
            len(truths) != 3
            or len(forecasts) != 4
            or any(None not in both and both[0] != both[1] for both in sizes)
        ):
            raise ValueError(
                "truths must be (batch, horizon, targets), and forecasts must have one "
                f"more axis, of {len(self.quantiles)} quantiles. Received the shapes "
                f"{truths} and {forecasts}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantiles": self.quantiles}

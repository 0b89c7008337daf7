"""What surrounds a forecaster: windows, the calendar, and a loss for intervals.

A series is floats `(steps, series)` at equal distances in time, `nan` where a value
is missing. It is divided by time, never at random, and scaled by the mean and spread
of the training part alone (`sklearn.preprocessing.StandardScaler`, which leaves `nan`
as it is).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

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
    """Every stretch of a series to read, and what follows it.

    Args:
        series: `(steps, series)`.
        timesteps: to read.
        horizon: steps to forecast.
        targets: which of the series are forecast.

    Returns:
        Inputs `(windows, timesteps, series)` and targets `(windows, horizon,
        targets)`; window i reads the steps from i on.

    Raises:
        InputError: if the series is shorter than one window, or not of two dimensions.
        ValueError: for a size below 1.
    """
    check_sizes(timesteps=timesteps, horizon=horizon)
    if np.ndim(series) != 2:
        raise InputError(
            f"`series` of shape {np.shape(series)}, where (steps, series) is needed; a "
            "single one as `series[:, None]`"
        )
    if len(series) < timesteps + horizon:
        raise InputError(
            f"a series of {len(series):,} steps, where {timesteps:,} to read and "
            f"{horizon:,} to forecast need {timesteps + horizon:,}"
        )
    whole = np.swapaxes(sliding_window_view(series, timesteps + horizon, axis=0), 1, 2)
    return whole[:, :timesteps], whole[:, timesteps:][:, :, list(targets)]


def calendar(
    times: "pd.DatetimeIndex", period: Period = "year", harmonics: int = 1
) -> np.ndarray:
    """Where in the year, or the day, a step is, as waves: December is near January.

    Args:
        times: of the steps.
        period: of the first wave, `"year"` or `"day"`.
        harmonics: waves, the second twice as fast as the first, and so on; a line
            fitted to them is a Fourier series.

    Returns:
        Sine and cosine of each wave in turn, `(steps, 2 * harmonics)`.

    Raises:
        ValueError: for another `period`, or `harmonics` below 1.

    >>> import pandas as pd
    >>> calendar(pd.date_range("2024-01-01", periods=3, freq="6h"), "day").round(1) + 0
    array([[ 0.,  1.],
           [ 1.,  0.],
           [ 0., -1.]])
    """
    check_choice("period", period, ("year", "day"))
    check_sizes(harmonics=harmonics)
    hours = times.hour + times.minute / 60 + times.second / 3600
    share = hours.to_numpy() / 24
    if period == "year":
        share = (times.day_of_year.to_numpy() - 1 + share) / 365.25
    angles = 2 * np.pi * share[:, None] * np.arange(1, harmonics + 1)
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(times), -1)


@keras.saving.register_keras_serializable(package="rnn_keras")
class QuantileLoss(keras.losses.Loss):
    """The loss whose least value is at the quantiles: 0.5 alone is half the MAE.

    For the quantile q, an error e of the truth less the forecast costs max(q e,
    (q - 1) e): R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978),
    33-50. A truth that is `nan` costs nothing.

    Args:
        quantiles: rising, between 0 and 1; as many as the forecaster gives.
        **kwargs: of `keras.losses.Loss`.

    Call arguments:
        y_true: `(batch, horizon, targets)`.
        y_pred: `(batch, horizon, targets, quantiles)`.

    Raises:
        ValueError: for quantiles that are not so; when called, for shapes that are not.
    """

    def __init__(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95), **kwargs: Any):
        rising = [0, *quantiles, 1]
        if not len(quantiles) or any(np.diff(rising) <= 0):
            raise ValueError(
                f"`quantiles` must rise between 0 and 1. Received: {quantiles}"
            )
        super().__init__(**kwargs)
        self.quantiles = tuple(map(float, quantiles))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # Broadcast, one forecast would do for all quantiles, one day for all days.
        truths, forecasts = tuple(y_true.shape), tuple(y_pred.shape)
        sizes = zip((*truths, len(self.quantiles)), forecasts, strict=False)
        if (
            len(truths) != 3
            or len(forecasts) != 4
            or any(None not in both and both[0] != both[1] for both in sizes)
        ):
            raise ValueError(
                "truths (batch, horizon, targets) are needed, and forecasts with an "
                f"axis more, of {len(self.quantiles)} quantiles. Received the shapes "
                f"{truths} and {forecasts}"
            )
        known = ops.logical_not(ops.isnan(y_true))
        # Before the difference: `nan` times 0 would get into the gradient.
        truth = ops.where(known, y_true, 0)
        error = ops.expand_dims(truth, -1) - y_pred
        q = ops.convert_to_tensor(self.quantiles, dtype=y_pred.dtype)
        loss = ops.mean(ops.maximum(q * error, (q - 1) * error), axis=-1)
        known = ops.cast(known, loss.dtype)
        return ops.sum(known * loss, axis=(1, 2)) / ops.maximum(
            ops.sum(known, axis=(1, 2)), 1
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "quantiles": self.quantiles}

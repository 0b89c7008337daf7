"""Looks inside a recurrence: states, gates, and gradients through time.

`stepwise` runs a network one step at a time and keeps every state. `dynamics` computes
gradients, Jacobians, gates and saturation from these states.
"""

from rnn_keras.utils.quiet import import_quietly

import_quietly()  # before a module below imports TensorFlow or Keras

from rnn_keras.diagnostics.dynamics import (
    Jacobians,
    gate_openness,
    gradient_flow,
    jacobian_norms,
    recurrent_kernels,
    saturation,
    spectral_radius,
)
from rnn_keras.diagnostics.stepwise import run_by_step

__all__ = [
    "Jacobians",
    "gate_openness",
    "gradient_flow",
    "jacobian_norms",
    "recurrent_kernels",
    "run_by_step",
    "saturation",
    "spectral_radius",
]

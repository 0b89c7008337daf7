"""Which switches change the numbers of a training run on this processor.

    python benchmarks/numerics.py          # one line a kind of numerics
    python benchmarks/numerics.py --one    # the bits of one run, with the switches set

Another processor adds and multiplies in another order, so a training run ends in
other last digits, and after some hundred steps in another network. The switches make
this processor compute like an older one. Each part of a run is shown as the beginning
of a SHA-256 of its results: equal letters, equal bits. `make test-portable` runs the
notebooks under the kinds of numerics in `PORTABLE`.

On an AMD EPYC with AVX-512 and TensorFlow 2.21, `--xla_cpu_max_isa` changed what XLA
compiles, `ONEDNN_MAX_CPU_ISA` all of TensorFlow, `OPENBLAS_CORETYPE` and the number of
threads what NumPy computes. `TF_ENABLE_ONEDNN_OPTS=0` changed nothing there.
"""

import argparse
import hashlib
import os
import subprocess
import sys

ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
TWO_THREADS = dict.fromkeys(ONE_THREAD, "2")
AVX2 = {
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
AVX = {
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
    "ONEDNN_MAX_CPU_ISA": "AVX",
    "OPENBLAS_CORETYPE": "Sandybridge",
}
PORTABLE = {
    "no oneDNN, one thread": {"TF_ENABLE_ONEDNN_OPTS": "0", **ONE_THREAD},
    "AVX2, two threads": {**AVX2, **TWO_THREADS},
    "AVX, two threads": {**AVX, **TWO_THREADS},
}
SWITCHES = {
    "as it is": {},
    "TF_ENABLE_ONEDNN_OPTS=0": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "one thread": ONE_THREAD,
    **{
        f"{name}={value.split('=')[-1]}": {name: value}
        for kind in (AVX2, AVX)
        for name, value in kind.items()
    },
    **PORTABLE,
}


def train(compiled: bool) -> bytes:
    """The weights of a small GRU classifier after 40 steps.

    Args:
        compiled: whether XLA compiles the step; otherwise TensorFlow's own kernels,
            and those of oneDNN, compute it.
    """
    import keras

    from rnn_keras import build_classifier
    from rnn_keras.synthetic import temporal_order

    keras.utils.set_random_seed(0)
    task = temporal_order(64 * 40, length=20)
    network = build_classifier(9, 4, cell="gru", units=32, embedding_dim=32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(0.02), loss, jit_compile=compiled)
    network.fit(task.inputs, task.targets, batch_size=64, shuffle=False, verbose=0)
    return b"".join(weight.tobytes() for weight in network.get_weights())


def convolve() -> bytes:
    """A convolution and a product of large matrices by TensorFlow."""
    import keras
    import numpy as np

    rng = np.random.default_rng(0)
    sound, kernel = rng.normal(size=(8, 500, 32)), rng.normal(size=(9, 32, 64))
    convolved = keras.ops.conv(sound.astype("float32"), kernel.astype("float32"))
    large = rng.normal(size=(300, 300)).astype("float32")
    product = keras.ops.matmul(large, large)
    return np.asarray(convolved).tobytes() + np.asarray(product).tobytes()


def multiply() -> bytes:
    """A product of matrices and a least-squares fit by NumPy."""
    import numpy as np

    matrix = np.random.default_rng(0).normal(size=(300, 300))
    fit = np.linalg.lstsq(matrix, matrix[0], rcond=None)[0]
    return (matrix @ matrix).tobytes() + fit.tobytes()


def one_run() -> str:
    """The bits of each part of a run in this process."""
    parts = {
        "compiled by XLA": train(compiled=True),
        "not compiled": train(compiled=False),
        "TensorFlow's products": convolve(),
        "NumPy": multiply(),
    }
    digests = (hashlib.sha256(part).hexdigest()[:8] for part in parts.values())
    return "  ".join(f"{name} {d}" for name, d in zip(parts, digests, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", action="store_true", help="run once, in this process")
    if parser.parse_args().one:
        print(one_run())
        return
    for name, switches in SWITCHES.items():
        command = [sys.executable, __file__, "--one"]
        environment = {**os.environ, **switches}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        lines = (ended.stdout or ended.stderr).strip().splitlines()
        print(f"{name:30} {lines[-1] if lines else 'nothing'}", flush=True)


if __name__ == "__main__":
    main()

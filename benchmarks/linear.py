"""Solvers and threads of the logistic regressions, on few and many texts and classes.

    make bench                                   writes benchmarks/linear.md
    .venv/bin/python benchmarks/linear.py messages     printed only

Each solver fits a class of each corpus against the rest, on the features of the linear
path: n-grams scaled by how much they tell. It is timed twice, alone and beside a
process that keeps a core busy. "Above the optimum" is by how much the loss that it ends
with exceeds the least, in percent. The last table has whole linear paths.
"""

import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from report import machine, section
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from rnn_keras import TextVectorizer, load_dataset, load_pairs
from rnn_keras.layers.ngram_logits import LinearPath, informativeness, presence

HERE = Path(__file__).parent
MEASURED = ("scikit-learn", "scipy", "numpy")
STRENGTH = 10.0
# A solver of scikit-learn, its options, and the threads of BLAS.
SOLVERS = {
    "L-BFGS, two threads (scikit-learn's default)": ({"solver": "lbfgs"}, 2),
    "L-BFGS": ({"solver": "lbfgs"}, 1),
    "liblinear": ({"solver": "liblinear", "intercept_scaling": 10}, 1),
    "Newton-CG, two threads": ({"solver": "newton-cg"}, 2),
    "Newton-CG": ({"solver": "newton-cg"}, 1),
}


class Texts(NamedTuple):
    """Token ids with class indices, and the longest n-gram to look at."""

    ids: np.ndarray
    labels: np.ndarray
    max_ngram: int

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1


def texts_of(name: str) -> Texts:
    """A corpus, or 200,000 English and French sentences of `tatoeba_fra`."""
    if name == "tatoeba_fra":
        pairs = load_pairs(name)[:100_000]
        texts = [text for pair in pairs for text in pair]
        labels = ["english", "french"] * len(pairs)
    else:
        corpus = load_dataset(name)
        texts, labels = corpus.texts, corpus.labels
    vectorizer = TextVectorizer(max_tokens=20_000, max_length=400, min_count=2)
    vectorizer.adapt(texts)
    indices = np.unique(labels, return_inverse=True)[1]
    return Texts(
        vectorizer.encode(texts).ids, indices, 3 if name == "chnsenticorp" else 2
    )


def features_of(texts: Texts) -> tuple[csr_matrix, np.ndarray]:
    """The scaled n-grams of one class, float32, and which texts are of that class."""
    _, present = presence(texts.ids, texts.max_ngram, 2**18)
    inside = texts.labels == texts.labels.max()
    features = TfidfTransformer().fit_transform(present).astype(np.float32)
    features.data *= informativeness(present, inside)[features.indices]
    return features, inside


def loss(features: csr_matrix, inside: np.ndarray, model: LogisticRegression) -> float:
    weights = model.coef_[0].astype(float)
    margins = (features @ weights + model.intercept_[0]) * np.where(inside, 1, -1)
    return STRENGTH * np.logaddexp(0, -margins).sum() + weights @ weights / 2


def fitted(
    features: csr_matrix, inside: np.ndarray, solver: str, tolerance: float
) -> tuple[float, LogisticRegression]:
    options, threads = SOLVERS[solver]
    model = LogisticRegression(C=STRENGTH, tol=tolerance, max_iter=1000, **options)
    with threadpool_limits(threads, user_api="blas"):
        start = time.perf_counter()
        model.fit(features, inside)
        return time.perf_counter() - start, model


def one_class(name: str) -> str:
    texts = texts_of(name)
    features, inside = features_of(texts)
    best = loss(features, inside, fitted(features, inside, "Newton-CG", 1e-9)[1])
    rows = []
    for solver in SOLVERS:
        # The package's tolerance for Newton's method, scikit-learn's for the others.
        tolerance = 1e-4 * (inside.mean() if "Newton" in solver else 1)
        seconds, model = fitted(features, inside, solver, tolerance)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            beside, _ = fitted(features, inside, solver, tolerance)
        finally:
            busy.kill()
            busy.wait()
        above = 100 * (loss(features, inside, model) / best - 1)
        rows.append([solver, f"{seconds:.2f}", f"{beside:.2f}", f"{above:.3f}"])
    what = f"{features.shape[0]:,} x {features.shape[1]:,}, {features.nnz:,} values"
    head = ["", "seconds", "beside a busy process", "above the optimum, %"]
    return section(f"{name}, one class of {texts.classes}: {what}", head, rows)


def whole_paths(names: list[str]) -> str:
    """Time a path of nine tenths of the texts, and one of all that begins with it."""
    rows = []
    for name in names:
        ids, labels, max_ngram = texts = texts_of(name)
        most = np.arange(len(ids)) % 10 > 0
        times, path = [], None
        for part in (most, slice(None)):
            begun = time.perf_counter()
            path = LinearPath.from_texts(
                ids[part], labels[part], texts.classes, max_ngram=max_ngram, start=path
            )
            times.append(f"{time.perf_counter() - begun:.1f}")
        rows.append([name, f"{len(ids):,}", f"{texts.classes}", *times])
    head = ["", "texts", "classes", "seconds, nine tenths", "seconds, all from there"]
    return section("Whole linear paths", head, rows)


def main() -> None:
    chosen = sys.argv[1:]
    warnings.filterwarnings("ignore", category=FutureWarning)
    names = chosen or [
        "messages",
        "sms_spam",
        "chnsenticorp",
        "clinc150",
        "imdb",
        "tatoeba_fra",
    ]
    sections = [*map(one_class, names), whole_paths(names)]
    if not chosen:
        introduction = __doc__.split("\n\n", 2)[2]
        head = f"# Logistic regressions\n\nWritten by `make bench`. {machine(MEASURED)}"
        text = f"{head}\n\n{introduction}\n" + "\n".join(sections)
        (HERE / "linear.md").write_text(text)


if __name__ == "__main__":
    main()

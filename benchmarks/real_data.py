"""The cells with default settings on three real corpora, beside simple baselines.

    RNN_KERAS_CACHE=FOLDER python benchmarks/real_data.py

Writes real_data.csv, one row per model and corpus with intervals, and
real_data_runs.csv, one row per training run. The runs themselves are saved in
runs/real_data/, and a saved run is not repeated.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from report import machine
from sklearn.metrics import f1_score

from rnn_keras import load_dataset
from rnn_keras.experiments.comparison import Comparison, compare

HERE = Path(__file__).parent
RUNS = HERE.parent / "runs" / "real_data"
# Of the messages 87 % are ham: accuracy says little about them.
METRIC = {"sms_spam": "macro_f1", "chnsenticorp": "accuracy", "imdb": "accuracy"}
SEEDS = {"sms_spam": 5, "chnsenticorp": 5, "imdb": 3}


def of_rarest_class(compared: Comparison) -> list[float]:
    """The F1 of the class with the fewest test texts, for every run."""
    rarest = np.bincount(compared.true).argmin()
    is_rarest = compared.true == rarest
    return [f1_score(is_rarest, np.equal(r.predicted, rarest)) for r in compared.runs]


def main() -> None:
    summaries, tables = [], []
    for corpus, metric in METRIC.items():
        compared = compare(
            load_dataset(corpus).split(seed=0),
            RUNS / corpus,
            seeds=SEEDS[corpus],
            match="units",
            report=lambda line, corpus=corpus: print(f"{corpus}: {line}", flush=True),
        )
        summary = compared.summary(metric=metric).rename(columns={metric: "score"})
        summary = summary.assign(metric=metric, texts=len(compared.true))
        table = compared.table().assign(f1_rarest_class=of_rarest_class(compared))
        summaries.append(summary.reset_index().assign(corpus=corpus))
        tables.append(table.assign(corpus=corpus))
        print(summaries[-1].to_string(), flush=True)
    for name, frames in (("real_data", summaries), ("real_data_runs", tables)):
        frame = pd.concat(frames)
        frame.insert(0, "corpus", frame.pop("corpus"))
        frame.round(5).to_csv(HERE / f"{name}.csv", index=False)
    print(machine(("tensorflow", "keras", "scikit-learn")))


if __name__ == "__main__":
    main()

"""Language models that count: interpolated n-grams, what anyone would try first.

A long past is rare, so each order is mixed with the one below:

    p_n(w | h) = (kept(h w) + left(h) p_{n-1}(w | h')) / (sum_v kept(h v) + left(h))

h' is h without its first token, and p_0 gives each token the same. A past never seen
says nothing: p_n = p_{n-1}. The smoothings differ in what is kept of the counts and how
much is left to the shorter past; both stand so in S. F. Chen, J. Goodman, "An empirical
study of smoothing techniques for language modeling", 1998.

`"witten_bell"` keeps the counts, and leaves as much as different tokens followed h: I.
H. Witten, T. C. Bell, "The zero-frequency problem", IEEE Transactions on Information
Theory 37 (1991), 1085-1094, method C.

`"kneser_ney"` (their modified form) takes a discount from each count, another for 1, 2
and 3 or more, estimated from how many n-grams have a count of 1 to 4, and leaves what
it took. In all orders but the highest it counts, instead of how often, after how many
different tokens an n-gram stood, as that is what the shorter past is asked for: R.
Kneser, H. Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995.
"""

from typing import Literal

import numpy as np

from rnn_keras.utils.errors import check_choice, check_sizes

Smoothing = Literal["witten_bell", "kneser_ney"]


def ngram_losses(
    train: np.ndarray,
    test: np.ndarray,
    order: int,
    vocabulary_size: int,
    smoothing: Smoothing = "kneser_ney",
) -> np.ndarray:
    """-ln p of each token of `test`, by n-grams of every order up to the given one.

    Args:
        train: ids `(tokens,)`, which are counted.
        test: ids `(tokens,)`. Its first tokens have a shorter past.
        order: of the longest n-grams: 1 looks at no past.
        vocabulary_size: ids are below it.
        smoothing: `"kneser_ney"`, the better, or `"witten_bell"`, the simpler.

    Returns:
        Nats `(order, tokens of test)`: row n - 1 is of n-grams.

    Raises:
        ValueError: for another smoothing, an order below 1, an id out of range, or so
            many different n-grams that they cannot be numbered.
    """
    check_sizes(order=order)
    check_choice("smoothing", smoothing, ("witten_bell", "kneser_ney"))
    ids = np.concatenate([train, test])
    least, most = ids.min(initial=0), ids.max(initial=0)
    if least < 0 or most >= vocabulary_size:
        raise ValueError(
            f"ids must be 0 to {vocabulary_size - 1}. Received: {least} to {most}"
        )
    if int(vocabulary_size) ** order > np.iinfo("int64").max:
        raise ValueError(
            f"`order` {order} is too high for a vocabulary of {vocabulary_size:,}"
        )
    train, test = np.asarray(train, "int64"), np.asarray(test, "int64")
    modified = smoothing == "kneser_ney"
    chance = np.full(len(test), 1 / vocabulary_size)
    shorter, losses = chance.copy(), []
    tables = [_count(_numbers(train, n + 1, vocabulary_size)) for n in range(order)]
    for n, table in enumerate(tables, start=1):
        asked = _numbers(test, n, vocabulary_size)
        below = shorter[n - 1 :]
        # A test token nearer to the beginning keeps the chance of its shorter past.
        chance[n - 1 :] = _mixed(asked, table, below, vocabulary_size, modified)
        losses.append(-np.log(chance))
        if modified and n < order:
            longer, _ = tables[n]
            before = _count(longer % vocabulary_size**n)
            shorter[n - 1 :] = _mixed(asked, before, below, vocabulary_size, modified)
        else:
            shorter = chance.copy()
    return np.array(losses)


def _count(grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ones, rising, and how often each is there."""
    return np.unique(grams, return_counts=True)


def _mixed(
    asked: np.ndarray,
    table: tuple[np.ndarray, np.ndarray],
    shorter: np.ndarray,
    base: int,
    modified: bool,
) -> np.ndarray:
    """p_n of the n-grams asked for, from their p_{n-1} and the counts of training."""
    grams, counts = table
    if not len(grams):  # a training text shorter than that says nothing
        return shorter
    left = _discounts(counts) if modified else np.ones(len(counts))
    kept = counts - left if modified else counts
    # The past of an n-gram is its number in base `base` without the last digit.
    pasts, first = np.unique(grams // base, return_index=True)
    seen = _look_up(asked, grams, kept)
    to_shorter = _look_up(asked // base, pasts, np.add.reduceat(left, first))
    total = _look_up(asked // base, pasts, np.add.reduceat(kept + left, first))
    mixed = (seen + to_shorter * shorter) / np.maximum(total, 1)
    return np.where(total > 0, mixed, shorter)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from each count (Chen and Goodman 1998, equation 17)."""
    once, *more = np.bincount(counts.clip(max=5), minlength=6)[1:5]
    discounts = np.full(3, 0.5)
    if all(more) and once:  # or there is nothing to estimate them from
        share = once / (once + 2 * more[0])
        k, ratios = np.arange(1, 4), np.divide(more, [once, *more[:-1]])
        # Without any, a token never seen after this past would have no chance.
        discounts = np.maximum(k - (k + 1) * share * ratios, 0.1)
    return discounts[counts.clip(max=3) - 1]


def _numbers(ids: np.ndarray, n: int, base: int) -> np.ndarray:
    """One number for each n-gram, in the order in which they end."""
    numbers = np.zeros(max(0, len(ids) - n + 1), "int64")
    for i in range(n):
        numbers = numbers * base + ids[i : len(numbers) + i]
    return numbers


def _look_up(asked: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value of each key asked for, 0 for one that is not there."""
    place = np.searchsorted(keys, asked).clip(max=len(keys) - 1)
    return np.where(keys[place] == asked, values[place], 0)

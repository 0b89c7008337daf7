"""n-gram language models: interpolated counts, the baseline of a neural one.

Long contexts are rare, so the probability of each order is interpolated with that of
the order below:

    p_n(w | h) = (kept(h w) + left(h) p_{n-1}(w | h')) / (sum_v kept(h v) + left(h))

h is the context, the n - 1 tokens before w; h' is h without its first token; p_0 is
uniform. For a context that never occurred in training, p_n = p_{n-1}. The two
smoothings differ in `kept`, the part of a count that stays, and in `left`, the weight
of the order below. Both are described in this form in S. F. Chen, J. Goodman, "An
empirical study of smoothing techniques for language modeling", 1998.

`"witten_bell"` keeps the counts, and `left(h)` is the number of different tokens that
followed h: I. H. Witten, T. C. Bell, "The zero-frequency problem", IEEE Transactions
on Information Theory 37 (1991), 1085-1094, method C.

`"kneser_ney"` (in Chen and Goodman's modified form) subtracts a discount from each
count, and `left(h)` is the sum of the discounts. There is one discount for counts of
1, one for 2, and one for 3 and more, estimated from the numbers of n-grams that occur
one to four times. In all orders but the highest, an n-gram does not count its
occurrences but the different tokens that preceded it: R. Kneser, H. Ney, "Improved
backing-off for m-gram language modeling", ICASSP 1995.
"""

from typing import Literal, get_args

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
    """Loss of each test token under n-gram models of every order up to `order`.

    Args:
        train: token ids in which n-grams are counted, `(tokens,)`.
        test: token ids to predict, `(tokens,)`. The first ones have a shorter context.
        order: tokens of the longest n-grams; an order of 1 uses no context.
        vocabulary_size: number of ids; all ids are below it.
        smoothing: `"kneser_ney"`, which predicts better, or `"witten_bell"`, which is
            simpler.

    Returns:
        Negative log probabilities in nats, `(order, tokens of test)`. Row n - 1 belongs
        to the model of order n.

    Raises:
        ValueError: if `smoothing` is unknown, `order` is below 1, an id is out of
            range, or `vocabulary_size ** order` exceeds 64 bits.
    """
    check_sizes(order=order)
    check_choice("smoothing", smoothing, get_args(Smoothing))
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
    tables = [_count(_number(train, n + 1, vocabulary_size)) for n in range(order)]
    for n, table in enumerate(tables, start=1):
        wanted = _number(test, n, vocabulary_size)
        below = shorter[n - 1 :]
        # The first n - 1 test tokens keep the probability of their shorter context.
        chance[n - 1 :] = _interpolate(wanted, table, below, vocabulary_size, modified)
        losses.append(-np.log(chance))
        if modified and n < order:
            # The next order is interpolated with counts of preceding tokens.
            longer, _ = tables[n]
            preceded = _count(longer % vocabulary_size**n)
            shorter[n - 1 :] = _interpolate(
                wanted, preceded, below, vocabulary_size, modified
            )
        else:
            shorter = chance.copy()
    return np.array(losses)


def _number(ids: np.ndarray, n: int, base: int) -> np.ndarray:
    """Each n-gram as one number in base `base`, in the order in which they end."""
    numbers = np.zeros(max(0, len(ids) - n + 1), "int64")
    for i in range(n):
        numbers = numbers * base + ids[i : len(numbers) + i]
    return numbers


def _count(grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct n-grams in increasing order, and how often each occurs."""
    return np.unique(grams, return_counts=True)


def _interpolate(
    wanted: np.ndarray,
    table: tuple[np.ndarray, np.ndarray],
    shorter: np.ndarray,
    base: int,
    modified: bool,
) -> np.ndarray:
    """p_n of the wanted n-grams from their p_{n-1} and a table of training counts."""
    grams, counts = table
    if not len(grams):  # the training text is shorter than n tokens
        return shorter
    left = _discounts(counts) if modified else np.ones(len(counts))
    kept = counts - left if modified else counts
    # The context of an n-gram is its number without the last digit.
    contexts, first = np.unique(grams // base, return_index=True)
    seen = _look_up(wanted, grams, kept)
    to_shorter = _look_up(wanted // base, contexts, np.add.reduceat(left, first))
    total = _look_up(wanted // base, contexts, np.add.reduceat(kept + left, first))
    mixed = (seen + to_shorter * shorter) / np.maximum(total, 1)
    return np.where(total > 0, mixed, shorter)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """The discount of each count (Chen and Goodman 1998, equation 17)."""
    once, *more = np.bincount(counts.clip(max=5), minlength=6)[1:5]
    discounts = np.full(3, 0.5)
    if all(more) and once:  # otherwise there is nothing to estimate them from
        share = once / (once + 2 * more[0])
        k, ratios = np.arange(1, 4), np.divide(more, [once, *more[:-1]])
        # At least 0.1: a discount of 0 would give unseen tokens no probability.
        discounts = np.maximum(k - (k + 1) * share * ratios, 0.1)
    return discounts[counts.clip(max=3) - 1]


def _look_up(wanted: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0 where it is missing; `keys` are sorted."""
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)

"""A language model that counts: interpolated n-grams, what anyone would try first.

I. H. Witten, T. C. Bell, "The zero-frequency problem", IEEE Transactions on
Information Theory 37 (1991), 1085-1094, method C, in the interpolated form of S. F.
Chen, J. Goodman, "An empirical study of smoothing techniques for language modeling",
1998:

    p_n(w | h) = (count(h w) + types(h) p_{n-1}(w | h')) / (count(h) + types(h))

types(h) is how many different tokens followed h in training, so that a past after
which anything came says little about what comes; h' is h without its first token; and
p_0 gives each token the same. A past never seen says nothing: p_n = p_{n-1}.
"""

import numpy as np

from rnn_keras.arguments import check_sizes


def ngram_losses(
    train: np.ndarray, test: np.ndarray, order: int, vocabulary_size: int
) -> np.ndarray:
    """-ln p of each token of `test`, by n-grams of every order up to the given one.

    Args:
        train: ids `(tokens,)`, which are counted.
        test: ids `(tokens,)`. Its first tokens have a shorter past.
        order: of the longest n-grams: 1 looks at no past.
        vocabulary_size: ids are below it.

    Returns:
        Nats `(order, tokens of test)`: row n - 1 is of n-grams.

    Raises:
        ValueError: for an order below 1, an id out of range, or so many different
            n-grams that they cannot be numbered.
    """
    check_sizes(order=order)
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
    chance = np.full(len(test), 1 / vocabulary_size)
    losses = []
    for n in range(1, order + 1):
        # A test token nearer to the beginning keeps the chance of its shorter past.
        chance[n - 1 :] = _mixed(train, test, n, vocabulary_size, chance[n - 1 :])
        losses.append(-np.log(chance))
    return np.array(losses)


def _mixed(
    train: np.ndarray, test: np.ndarray, n: int, base: int, shorter: np.ndarray
) -> np.ndarray:
    """p_n of the tokens of `test` that have n - 1 before them, from their p_{n-1}."""
    # The past of an n-gram is its number in base `base` without the last digit.
    grams, counts = np.unique(_numbers(train, n, base), return_counts=True)
    pasts, first, types = np.unique(
        grams // base, return_index=True, return_counts=True
    )
    if not len(grams):  # a training text shorter than that says nothing
        return shorter
    asked = _numbers(test, n, base)
    seen = _look_up(asked, grams, counts)
    total = _look_up(asked // base, pasts, np.add.reduceat(counts, first))
    kinds = _look_up(asked // base, pasts, types)
    mixed = (seen + kinds * shorter) / np.maximum(total + kinds, 1)
    return np.where(total > 0, mixed, shorter)


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

"""A language model that counts: interpolated n-grams, what anyone would try first.

I. H. Witten, T. C. Bell, "The zero-frequency problem", IEEE Transactions on
Information Theory 37 (1991), 1085-1094, method C, in the interpolated form of S. F.
Chen, J. Goodman, "An empirical study of smoothing techniques for language modeling",
1998, equation 13:

    p_n(w | h) = (count(h w) + types(h) p_{n-1}(w | h')) / (count(h) + types(h))

types(h) is how many different tokens followed h in training, so that a past after
which anything came says little about what comes; h' is h without its first token; and
p_0 gives each token the same. A past never seen says nothing: p_n = p_{n-1}.
"""

import numpy as np


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
    if order < 1:
        raise ValueError(f"`order` must be at least 1. Received: {order}")
    ids = np.concatenate([train, test]).astype("int64")
    if ids.min() < 0 or ids.max() >= vocabulary_size:
        raise ValueError(
            f"ids must be 0 to {vocabulary_size - 1}. Received: {ids.min()} to "
            f"{ids.max()}"
        )
    if vocabulary_size**order > np.iinfo("int64").max:
        raise ValueError(
            f"`order` {order} is too high for a vocabulary of {vocabulary_size:,}"
        )
    chance = np.full(len(test), 1 / vocabulary_size)
    losses = []
    for n in range(1, order + 1):
        # The number of an n-gram, in base `vocabulary_size`; its past is the same
        # number without the last digit.
        counted = _numbers(np.asarray(train, "int64"), n, vocabulary_size)
        if not len(counted):  # a training text shorter than that says nothing
            losses.append(-np.log(chance))
            continue
        grams, gram_counts = np.unique(counted, return_counts=True)
        pasts, first, types = np.unique(
            grams // vocabulary_size, return_index=True, return_counts=True
        )
        past_counts = np.add.reduceat(gram_counts, first)

        asked = _numbers(np.asarray(test, "int64"), n, vocabulary_size)
        seen = _look_up(asked, grams, gram_counts)
        past = asked // vocabulary_size
        total, kinds = _look_up(past, pasts, past_counts), _look_up(past, pasts, types)
        longer = chance[n - 1 :]
        known = total > 0
        longer[known] = (seen + kinds * longer)[known] / (total + kinds)[known]
        losses.append(-np.log(chance))
    return np.array(losses)


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

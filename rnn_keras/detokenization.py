"""Tokens to text: which of them stand together is counted in texts of the language."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from rnn_keras.errors import InputError
from rnn_keras.vectorization import TextVectorizer, stands_alone


class Detokenizer:
    """Joins the tokens of words to texts, spaced as in the texts it has seen.

    Two words have a space between them. What is before a token that stands alone, such
    as a punctuation mark, and what is after it, is what was so most often: no space
    around the apostrophe of "d'or", in French a space before "?". Left out: quotation
    marks whose beginning looks like their end.

    Args:
        vectorizer: of words, whose tokens are joined.
        texts: to count spaces in.

    Raises:
        InputError: if the vectorizer is one of characters, or a text is no string.

    >>> vectorizer = TextVectorizer(lowercase=False)
    >>> join = Detokenizer(vectorizer, ["J'ai dormi, et toi ?", "Peut-être."])
    >>> join(["L", "'", "as", "-", "tu", ",", "ou", "non", "?"])
    "L'as-tu, ou non ?"
    """

    def __init__(self, vectorizer: TextVectorizer, texts: Sequence[str]):
        if vectorizer.unit != "word":
            raise InputError("tokens of characters are joined without a rule")
        tokenized = vectorizer.tokenize(texts)
        known = sorted({token for tokens in tokenized for token in tokens})
        alone = {
            t for t, is_so in zip(known, stands_alone(known), strict=True) if is_so
        }
        before: defaultdict[str, Counter[str]] = defaultdict(Counter)
        after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for text, tokens in zip(texts, tokenized, strict=True):
            text = text.lower() if vectorizer.lowercase else text
            end, previous = 0, None
            for token in tokens:
                start = text.find(token, end)
                if start < 0:  # changed on the way: a lone surrogate, say
                    break
                if previous in alone:
                    after[previous][text[end:start]] += 1
                if previous is not None and token in alone:
                    before[token][text[end:start]] += 1
                end, previous = start + len(token), token
        self._before = {t: counts.most_common(1)[0][0] for t, counts in before.items()}
        self._after = {t: counts.most_common(1)[0][0] for t, counts in after.items()}

    def __call__(self, tokens: Sequence[str]) -> str:
        parts = list(tokens[:1])
        for previous, token in pairwise(tokens):
            spaces = [
                rule[key]
                for rule, key in ((self._after, previous), (self._before, token))
                if key in rule
            ]
            parts += [min(spaces, key=len, default=" "), token]
        return "".join(parts)

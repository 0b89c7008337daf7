"""Labels that a template put into the texts, and words that only look like one."""

import numpy as np
import pytest

from rnn_keras.doctor.leak_checks import label_leaks

NAMES = {"pos": ["pos"], "neg": ["neg"]}


def tokens_of(corpus):
    return [text.split() for text in corpus.texts]


def leaks(tokens, labels, names=NAMES):
    return [(f.name, f.severity) for f in label_leaks(tokens, labels, names)]


def changed(healthy, change, share=1.0, label="pos"):
    """The tokens of all texts, with a share of one class's texts changed."""
    rng = np.random.default_rng(1)
    return [
        change(list(words), rng) if of == label and rng.random() < share else words
        for words, of in zip(tokens_of(healthy), healthy.labels, strict=True)
    ]


def anywhere(word):
    def change(words, rng):
        words.insert(rng.integers(len(words) + 1), word)
        return words

    return change


def test_healthy_texts_have_no_leak(healthy):
    assert leaks(tokens_of(healthy), healthy.labels) == []


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_class_name_in_a_fixed_place_is_an_error(healthy, share):
    tagged = changed(healthy, lambda words, rng: ["[", "pos", "]", *words], share)
    assert leaks(tagged, healthy.labels) == [("label-in-text", "error")]


def test_a_label_at_the_end_of_each_text_is_an_error_for_both_classes(healthy):
    lines = [
        [*words, "label", ":", label]
        for words, label in zip(tokens_of(healthy), healthy.labels, strict=True)
    ]
    (found,) = label_leaks(lines, healthy.labels, NAMES)
    assert (found.name, found.severity) == ("label-in-text", "error")
    assert "100 % of its texts and in 0 % of the others, always in the same" in (
        found.says
    )
    assert found.says.endswith("; the same holds for 1 more class.")


def test_a_name_of_two_words_is_found_as_a_whole(healthy):
    names = {"pos": ["very", "good"], "neg": ["very", "bad"]}
    lines = [
        [*names[label], *words]
        for words, label in zip(tokens_of(healthy), healthy.labels, strict=True)
    ]
    (found,) = label_leaks(lines, healthy.labels, names)
    assert found.name == "label-in-text"


def test_a_class_name_anywhere_in_many_texts_is_a_note(healthy):
    # "village" stands in most texts about villages.
    named = changed(healthy, anywhere("pos"), 0.6)
    assert leaks(named, healthy.labels) == [("label-in-text", "note")]


def test_a_class_name_in_few_texts_is_no_finding(healthy):
    assert leaks(changed(healthy, anywhere("pos"), 0.15), healthy.labels) == []


def test_a_template_without_the_name_is_a_warning(healthy):
    tagged = changed(healthy, lambda words, rng: ["fwd", ":", *words])
    (found,) = label_leaks(tagged, healthy.labels, NAMES)
    assert (found.name, found.severity) == ("telltale-token", "warning")
    assert found.says.startswith("'fwd' is in 100 % of the texts of class 'pos'")
    assert found.examples[0].startswith("fwd : ")


def test_a_news_agency_after_a_place_name_is_a_warning(healthy):
    # "WASHINGTON (Reuters) - ...", "NEW YORK (Reuters) - ...", long texts
    def dateline(words, rng):
        return [*words[: rng.integers(1, 4)], "(", "reuters", ")", "-", *words]

    longer = [words * 6 for words in changed(healthy, lambda words, rng: words)]
    tagged = [
        dateline(words, np.random.default_rng(i)) if label == "pos" else words
        for i, (words, label) in enumerate(zip(longer, healthy.labels, strict=True))
    ]
    (found,) = label_leaks(tagged, healthy.labels, NAMES)
    assert (found.name, found.severity) == ("telltale-token", "warning")
    assert "'reuters'" in found.says


@pytest.mark.parametrize(
    ("change", "share", "expected"),
    [
        (anywhere("free"), 0.4, []),
        (anywhere("the"), 0.95, [("easy-token", "note")]),
        # "who" asks for a person in two of three such questions.
        (lambda words, rng: ["who", *words], 0.65, [("easy-token", "note")]),
        (lambda words, rng: [*words, "?"], 1.0, []),
    ],
)
def test_honest_evidence_is_a_note_at_most(healthy, change, share, expected):
    assert leaks(changed(healthy, change, share), healthy.labels) == expected


def test_a_token_that_other_classes_have_too_is_no_leak(healthy):
    both = [["dear", *words] for words in tokens_of(healthy)]
    assert leaks(both, healthy.labels) == []
    # If nearly all texts are of one class, so are nearly all texts with any token.
    labels = ["pos"] * 394 + ["neg"] * 6
    assert leaks(both, labels) == []


def test_few_texts_prove_nothing():
    tokens = [["pos", "a"], ["pos", "b"], ["neg", "c"], ["neg", "d"]]
    assert leaks(tokens, ["pos", "pos", "neg", "neg"]) == []

"""Simple classifiers and taggers that `auto.py` runs beside ours: rows are cells of the input and the target."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

Rows = list[tuple[str, str]]
_SHARE = 0.25
"""Of each weight in NB-SVM of two classes, the rest their mean: Wang & Manning's β. Scores of several against the rest
could not be compared."""
_REACH = 7
"""Residues to either side that a window holds."""


def majority(train: Rows, test: Rows, *, tagged: bool) -> float:
    """The most frequent answer."""
    answers = [[tag for _, tag in _pairs(rows)] if tagged else [label for _, label in rows] for rows in (train, test)]
    most = Counter(answers[0]).most_common(1)[0][0]
    return float(np.mean([label == most for label in answers[1]]))


def nearest(train: Rows, test: Rows) -> float:
    """Of the nearest training row by Euclidean distance; not a number unless rows are equally long series."""
    known, asked = ([json.loads(cell) for cell, _ in part] for part in (train, test))
    if len({len(row) for row in (*known, *asked)}) != 1:
        return float("nan")
    labels = np.asarray([label for _, label in train])
    near = [((np.asarray(known) - np.asarray(row)) ** 2).sum(axis=1).argmin() for row in asked]
    return float((labels[near] == np.asarray([label for _, label in test])).mean())


_ROCKET = """
import json, sys
import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier
train, test = json.load(sys.stdin)
arrays = [[np.asarray(json.loads(cell), dtype=np.float32)[None] for cell, _ in rows] for rows in (train, test)]
if len({row.shape for rows in arrays for row in rows}) == 1:
    arrays = [np.stack(rows) for rows in arrays]
model = MiniRocketClassifier(random_state=0).fit(arrays[0], np.asarray([label for _, label in train]))
print(float(np.mean(model.predict(arrays[1]) == np.asarray([label for _, label in test]))))
"""


def minirocket(python: str, train: Rows, test: Rows) -> float:
    """aeon's, with its ridge classifier, by an interpreter that has it; not a number where it can't."""
    done = subprocess.run([python, "-c", _ROCKET], input=json.dumps([train, test]), capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else float("nan")


def tfidf(train: Rows, test: Rows, analyzer: str = "word", longest: int = 2) -> float:
    """Logistic regression on TF-IDF of words and pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    counts = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, longest), sublinear_tf=True)
    model = make_pipeline(counts, LogisticRegression(C=10, max_iter=1000))
    model.fit([cell for cell, _ in train], [label for _, label in train])
    return float(model.score([cell for cell, _ in test], [label for _, label in test]))


def tfidf_of_letters(train: Rows, test: Rows) -> float:
    """Logistic regression on TF-IDF of up to four letters."""
    return tfidf(train, test, "char", 4)


def nbsvm(train: Rows, test: Rows) -> float:
    """A linear SVM on which words and pairs a row holds, scaled by log-count ratios, each class against the rest; of
    two, weights are drawn towards their mean (Wang & Manning 2012)."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.svm import LinearSVC

    counts = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", binary=True)
    held, asked = (counts.fit_transform([cell for cell, _ in train]), counts.transform([cell for cell, _ in test]))
    labels = np.asarray([label for _, label in train])
    classes, scores = np.unique(labels), []
    for one in classes:
        inside = labels == one
        shares = [np.asarray(held[rows].sum(axis=0)).ravel() + 1.0 for rows in (inside, ~inside)]
        ratios = np.log(shares[0] / shares[0].sum()) - np.log(shares[1] / shares[1].sum())
        model = LinearSVC(C=1.0, random_state=0).fit(held.multiply(ratios).tocsr(), inside)
        share = _SHARE if len(classes) == 2 else 1.0
        weights = (1 - share) * np.abs(model.coef_).mean() + share * model.coef_.ravel()
        scores.append(asked.multiply(ratios).tocsr() @ weights + model.intercept_)
    return float(np.mean(classes[np.argmax(scores, axis=0)] == np.asarray([label for _, label in test])))


def usual_tag(train: Rows, test: Rows) -> float:
    """The most frequent tag of each token."""
    counts: dict[str, Counter[str]] = {}
    for token, tag in _pairs(train):
        counts.setdefault(token, Counter())[tag] += 1
    usual = Counter(tag for _, tag in _pairs(train)).most_common(1)[0][0]
    best = {token: found.most_common(1)[0][0] for token, found in counts.items()}
    return float(np.mean([best.get(token, usual) == tag for token, tag in _pairs(test)]))


def window(train: Rows, test: Rows) -> float:
    """Logistic regression on which letters stand at each place of a window around a letter."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    places, tags = zip(*(_windows(rows) for rows in (train, test)), strict=True)
    coded = OneHotEncoder(handle_unknown="ignore").fit(places[0])
    model: Any = LogisticRegression(max_iter=300, tol=1e-3).fit(coded.transform(places[0]), tags[0])
    return float(model.score(coded.transform(places[1]), tags[1]))


def _windows(rows: Rows) -> tuple[list[list[str]], list[str]]:
    """Of each letter, its neighbours and its tag."""
    found = []
    for cell, _ in rows:
        padded = "-" * _REACH + cell + "-" * _REACH
        found += [list(padded[place : place + 2 * _REACH + 1]) for place in range(len(cell))]
    return found, [tag for _, tags in rows for tag in tags]


def _pairs(rows: Rows) -> Iterator[tuple[str, str]]:
    """Each token and its tag: between blanks, or letter by letter."""
    for cell, tags in rows:
        yield from zip(*(one.split() if " " in tags else one for one in (cell, tags)), strict=True)

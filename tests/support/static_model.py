"""A static model in the form of a folder, made of the counts of which words stand together in the labelled passages.

Words that stand among the same words get rows alike: positive pointwise mutual information within `WINDOW` words, its
largest singular values (Levy, Goldberg 2014), and the weights of Arora, Liang, Ma (2017) for the mean. No question is
looked at, and nothing is drawn at random but the start of the iteration, whose seed is fixed.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import messages
import numpy
from labelled import words_of
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

DIMENSIONS = 128
WINDOW = 12
LEAST_COUNT = 2
ROUNDS = 4
SPARE = 16
COMMON = 1e-3
UNKNOWN = "[UNK]"


def make_model_folder(folder: Path) -> Path:
    """Write the model into *folder*."""
    words, rows, weights = _made()
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"embeddings": rows, "weights": weights}, folder / "model.safetensors")
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@functools.cache
def _made() -> tuple[Sequence[str], Any, Any]:
    """The words, a row and a weight for each."""
    texts = [words_of(each.text) for each in messages.notes(messages.PASSAGES.read_text(encoding="utf-8"))]
    counts = Counter(word for text in texts for word in text)
    words = [UNKNOWN, *sorted(word for word, count in counts.items() if count >= LEAST_COUNT)]
    together = _together(texts, {word: at for at, word in enumerate(words)})
    sums = together.sum(axis=1, keepdims=True)
    with numpy.errstate(divide="ignore", invalid="ignore"):
        shared = numpy.log(together * sums.sum() / (sums * sums.T))
    rows = _reduced(numpy.where(numpy.isfinite(shared) & (shared > 0), shared, 0).astype(numpy.float32))
    lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
    total = sum(counts.values())
    weights = numpy.array([COMMON / (COMMON + counts[word] / total) if word in counts else 0 for word in words])
    return words, (rows / numpy.maximum(lengths, 1e-9)).astype(numpy.float32), weights.astype(numpy.float32)


def _together(texts: Sequence[Sequence[str]], places: dict[str, int]) -> Any:
    """How often each two words stand within `WINDOW` words of each other."""
    counted = numpy.zeros((len(places), len(places)), numpy.float32)
    for text in texts:
        numbers = numpy.array([places.get(word, 0) for word in text])
        for distance in range(1, WINDOW + 1):
            numpy.add.at(counted, (numbers[:-distance], numbers[distance:]), 1 / distance)
    counted[0] = counted[:, 0] = 0
    return counted + counted.T


def _reduced(matrix: Any) -> Any:
    """The symmetric *matrix* in `DIMENSIONS` columns: subspace iteration (Halko, Martinsson, Tropp 2011)."""
    base = numpy.random.default_rng(1907).standard_normal((len(matrix), DIMENSIONS + SPARE)).astype(numpy.float32)
    for _ in range(ROUNDS):
        base, _ = numpy.linalg.qr(matrix @ base)
    left, values, _ = numpy.linalg.svd(matrix @ base, full_matrices=False)
    return left[:, :DIMENSIONS] * numpy.sqrt(values[:DIMENSIONS])

"""A static embedding model in a folder: ``model.safetensors`` with a table of one row a token, and ``tokenizer.json``.

That is the form of Model2Vec: a text's vector is the mean of its tokens' rows, made as long as one. The tensor
``embeddings`` holds the rows; ``weights`` (one figure a token) and ``mapping`` (a token's row) may stand beside it.
Neither file can hold code. Read with the packages of the extra ``local``.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from argosy_core.embedding.settings import MAX_DIMENSIONS, FolderSettings
from argosy_core.errors import Unavailable

TENSORS, TOKENIZER = "model.safetensors", "tokenizer.json"
MAX_FILE_BYTES = 2 * 1024 * 1024 * 1024
LEAST_SIMILARITY = 0.0  # means of many rows differ: a word says something of a text at a cosine of 0.1
WEIGHT = 0.5
"""What its places count beside places by words. A mean of rows sees which words are there and not how they stand: much
of what it knows the words have said already, and counting that twice makes a weak table worse than none. One half was
taken beforehand, not fitted; on both halves of the presidents' messages it keeps what a weak table would take from the
words, and loses nothing of a good one."""
MAX_TEXT_CHARACTERS = 20_000  # what stands later changes a mean of thousands of rows little


class FolderEmbedder:
    """Reads its model at the first text. Every call blocks; any number of threads may use it."""

    least_similarity = LEAST_SIMILARITY
    weight = WEIGHT

    def __init__(self, settings: FolderSettings) -> None:
        self.settings = settings
        self._guard = threading.Lock()
        self._model: _Model | None = None

    def close(self) -> None:
        """Let go of the model. Idempotent."""
        with self._guard:
            self._model = None

    @property
    def space(self) -> str:
        """What its vectors may be compared with: another table in the same folder is another space."""
        try:
            return f"{self.settings.folder.name}@{self._loaded().digest}"
        except Unavailable:
            return self.settings.folder.name

    def query(self, text: str) -> Sequence[float]:
        """The vector of a question. Raises Unavailable."""
        return self.embed([text])[0]

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each of *texts*, all of one length. Raises Unavailable."""
        model = self._loaded()
        return [model.vector(text[:MAX_TEXT_CHARACTERS]) for text in texts]

    def _loaded(self) -> _Model:
        with self._guard:
            if self._model is None:
                self._model = _Model(self.settings.folder)
            return self._model


class _Model:
    """The table and the tokenizer of *folder*. Raises Unavailable when they cannot be read or do not fit."""

    def __init__(self, folder: Path) -> None:
        try:
            import numpy
            from safetensors.numpy import load
            from tokenizers import Tokenizer
        except ImportError as error:
            raise Unavailable("a model folder needs argosy[local], which is not installed") from error
        table, tokenizer = _content(folder / TENSORS), _content(folder / TOKENIZER)
        try:
            tensors = load(table)
            self._tokenizer: Any = Tokenizer.from_str(tokenizer.decode("utf-8"))
            self._tokenizer.no_padding()
            self._tokenizer.no_truncation()
            rows = tensors["embeddings"]
            weights, mapping = tensors.get("weights"), tensors.get("mapping")
        except Exception as error:  # both raise classes of their own, and plain Exception
            raise Unavailable(
                f"the model in the embedding folder is not understood ({type(error).__name__})"
            ) from error
        if rows.ndim != 2 or not 0 < rows.shape[1] <= MAX_DIMENSIONS:
            raise Unavailable("the model in the embedding folder is no table of vectors")
        tokens = len(rows) if mapping is None else len(mapping)
        if tokens < self._tokenizer.get_vocab_size() or (weights is not None and len(weights) < tokens):
            raise Unavailable("the embedding folder's tokenizer has words that its table has not")
        if mapping is not None and (mapping.min() < 0 or mapping.max() >= len(rows)):
            raise Unavailable("the embedding folder's tokens have rows that its table has not")
        self._rows, self._weights, self._mapping = rows, weights, mapping
        self._numpy: Any = numpy
        self.digest = hashlib.sha256(table + tokenizer).hexdigest()[:16]

    def vector(self, text: str) -> Sequence[float]:
        """The mean of the rows of *text*, one long; all zero for a text without tokens."""
        numpy = self._numpy
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        if not ids:
            return [0.0] * self._rows.shape[1]
        rows = self._rows[ids if self._mapping is None else self._mapping[ids]].astype(numpy.float32)
        if self._weights is not None:
            rows = rows * self._weights[ids][:, None]
        mean = numpy.nan_to_num(rows.mean(axis=0), posinf=0.0, neginf=0.0)
        return [float(each) for each in mean / (numpy.linalg.norm(mean) or 1.0)]


def _content(path: Path) -> bytes:
    """The file's bytes. Raises Unavailable for what is no file of a bearable size."""
    try:
        if not path.is_file():
            raise Unavailable(f"the embedding folder has no {path.name}")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Unavailable(f"{path.name} in the embedding folder is too large")
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path.name} in the embedding folder cannot be read ({type(error).__name__})") from error

"""One embeddings endpoint: ``POST {model, input, dimensions?}`` → ``{data: [{index, embedding}]}`` (OpenAI API)."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from argosy_core.clock import Clock
from argosy_core.embedding.settings import MAX_DIMENSIONS, EmbeddingSettings
from argosy_core.errors import Unavailable

if TYPE_CHECKING:
    import httpx2

QUERY_SECONDS = 2.0
BATCH_SECONDS = 60.0
REST_SECONDS = 30.0  # after a failure nobody is kept waiting for as long
QUERIES_KEPT = 256
BYTES_PER_TOKEN = 2  # more tokens than any tokenizer makes of text in any script
MAX_TOKENS = 1_000_000_000
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Embed(Protocol):
    """Makes a vector for each text."""

    def __call__(self, texts: Sequence[str], *, timeout_seconds: float) -> Sequence[Sequence[float]]: ...


class Embedder:
    """Asks one endpoint. Every call blocks; any number of threads may use it. Close it after use."""

    least_similarity = 0.2  # a cosine below that says nothing with the models that endpoints serve
    weight = 1.0  # of a place among its nearest beside one by words

    def __init__(self, settings: EmbeddingSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._guard = threading.Lock()
        self._client: httpx2.Client | None = None
        self._queries: OrderedDict[str, Sequence[float]] = OrderedDict()
        self._failed: tuple[float, str] | None = None

    def close(self) -> None:
        """Give the connections back. Idempotent."""
        with self._guard:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def space(self) -> str:
        """What its vectors may be compared with."""
        return self.settings.space

    def most(self, texts: Sequence[str]) -> tuple[int, int]:
        """What *texts* cost at most, in billionths of a dollar, and their tokens."""
        tokens = sum(-(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN) + 2 for text in texts)
        return self.settings.nano_for(tokens), tokens

    def query(self, text: str, embed: Embed | None = None) -> Sequence[float]:
        """The vector of a question, by *embed* (else by `embed`) where it is not known yet. Raises Unavailable, and at
        once for half a minute after a failure."""
        with self._guard:
            if (known := self._queries.get(text)) is not None:
                self._queries.move_to_end(text)
                return known
        [vector] = (embed or self.embed)([text], timeout_seconds=QUERY_SECONDS)
        with self._guard:
            self._queries[text] = vector
            while len(self._queries) > QUERIES_KEPT:
                self._queries.popitem(last=False)
        return vector

    def embed(self, texts: Sequence[str], timeout_seconds: float = BATCH_SECONDS) -> Sequence[Sequence[float]]:
        """A vector for each of *texts*, all of one length. Raises Unavailable."""
        return self.counted(texts, timeout_seconds)[0]

    def counted(
        self, texts: Sequence[str], timeout_seconds: float = BATCH_SECONDS
    ) -> tuple[Sequence[Sequence[float]], int | None]:
        """As `embed`, with the tokens that the source counted; None when it does not say."""
        if self._failed is not None and self._clock.monotonic() - self._failed[0] < REST_SECONDS:
            raise Unavailable(self._failed[1])
        try:
            answer = self._asked(texts, timeout_seconds)
            vectors = _vectors(answer, len(texts))
        except Unavailable as error:
            self._failed = (self._clock.monotonic(), error.message)
            raise
        self._failed = None
        return vectors, _tokens(answer)

    def _asked(self, texts: Sequence[str], timeout_seconds: float) -> bytes:
        import httpx2

        settings = self.settings
        body: dict[str, Any] = {"model": settings.model, "input": list(texts), "encoding_format": "float"}
        if settings.dimensions is not None:
            body["dimensions"] = settings.dimensions
        headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        try:
            with self._opened().stream(
                "POST", settings.url, json=body, headers=headers, timeout=timeout_seconds
            ) as answer:
                if answer.status_code != 200:
                    raise Unavailable(f"the embedding source answered {answer.status_code}")
                return _bounded(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
            raise Unavailable(f"the embedding source does not answer ({type(error).__name__})") from error

    def _opened(self) -> httpx2.Client:
        import httpx2

        with self._guard:
            if self._client is None:
                # Neither a proxy nor a redirect may carry notes and key to where nobody agreed to.
                self._client = httpx2.Client(trust_env=False, follow_redirects=False)
            return self._client


def _bounded(answer: httpx2.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in answer.iter_bytes():
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise Unavailable("the embedding source's answer is too large")
        pieces.append(piece)
    return b"".join(pieces)


def _tokens(data: bytes) -> int | None:
    """``usage.total_tokens`` of an answer that was understood."""
    usage: Any = json.loads(data).get("usage")
    found: Any = cast("dict[str, Any]", usage).get("total_tokens") if isinstance(usage, dict) else None
    return found if type(found) is int and 0 <= found <= MAX_TOKENS else None


def _vectors(data: bytes, count: int) -> Sequence[Sequence[float]]:
    """The vectors of an answer in the order of the texts. Raises Unavailable when it is not of the form."""
    try:
        found = sorted(json.loads(data)["data"], key=lambda each: int(each["index"]))
        vectors = [[float(value) for value in each["embedding"]] for each in found]
        indexes = [int(each["index"]) for each in found]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unavailable("the embedding source's answer is not understood") from error
    lengths = {len(vector) for vector in vectors}
    if indexes != list(range(count)) or len(lengths) != 1 or not 0 < lengths.pop() <= MAX_DIMENSIONS:
        raise Unavailable("the embedding source's answer does not fit the question")
    if not all(math.isfinite(value) for vector in vectors for value in vector):
        raise Unavailable("the embedding source's answer holds no numbers")
    return vectors

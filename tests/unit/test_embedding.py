"""Sources of vectors: which one fleet.md may name, and what of its answers is believed."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embeddings_api import EmbeddingsApi, embeddings_api, vector_of
from static_model import make_model_folder

from argosy_core.embedding import Embedder, EmbeddingSettings, FolderEmbedder, FolderSettings, load_settings
from argosy_core.errors import InvalidArgument, Unavailable
from argosy_core.testing.fakes import FakeClock

ENVIRONMENT = {
    "ARGOSY_EMBEDDINGS_HOSTS": "agreed.example, other.example",
    "ARGOSY_EMBEDDINGS_KEY_A": "secret",
    "PATH": "/bin",
}
LOCAL = {"url": "http://127.0.0.1:1/v1", "model": "m"}


@pytest.fixture
def api() -> Iterator[EmbeddingsApi]:
    with embeddings_api() as running:
        yield running


@pytest.fixture
def embedder(api: EmbeddingsApi) -> Iterator[Embedder]:
    made = Embedder(EmbeddingSettings(api.url, "m"), FakeClock())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "https://example.org/v1", "model": "m"}, "ARGOSY_EMBEDDINGS_HOSTS"),
        ({"url": "http://agreed.example/v1", "model": "m"}, "https"),
        ({**LOCAL, "key_env": "PATH"}, "key_env"),
        ({**LOCAL, "key_env": "ARGOSY_EMBEDDINGS_KEY_B"}, "not set"),
        ({**LOCAL, "key_env": 7}, "key_env"),
        ({"url": "http://user:pw@127.0.0.1:1/v1", "model": "m"}, "url"),
        ({"url": "file:///etc/passwd", "model": "m"}, "url"),
        ({"url": "http://[::1/v1", "model": "m"}, "url"),
        ({"url": "http://127.0.0.1.example.org/v1", "model": "m"}, "agreed to"),
        ({"url": "http://127.0.0.1:1/v1"}, "model"),
        ({**LOCAL, "other": 1}, "other"),
        ({**LOCAL, "dimensions": 0}, "dimensions"),
        ({**LOCAL, "dimensions": True}, "dimensions"),
        ("http://127.0.0.1:1/v1", "no map"),
    ],
)
def test_a_source_that_may_not_be_used_is_refused_with_what_to_do(settings: Any, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        load_settings({"embeddings": settings}, ENVIRONMENT)
    assert said in str(caught.value) and "secret" not in str(caught.value)


def test_a_source_on_this_machine_or_on_one_that_was_agreed_to_is_used() -> None:
    assert load_settings({}, ENVIRONMENT) is None
    assert load_settings({"embeddings": LOCAL}, {}) == EmbeddingSettings(LOCAL["url"], "m")
    agreed = {"url": "https://agreed.example/v1", "model": "m", "key_env": "ARGOSY_EMBEDDINGS_KEY_A", "dimensions": 8}
    found = load_settings({"embeddings": agreed}, ENVIRONMENT)
    assert isinstance(found, EmbeddingSettings) and found.key == "secret" and found.space == "m@8"
    assert "secret" not in repr(found)


def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder) -> None:
    made = embedder.embed(["one", "two"])
    assert [list(vector) for vector in made] == [vector_of("one", {}), vector_of("two", {})]


def test_a_question_is_asked_once(embedder: Embedder, api: EmbeddingsApi) -> None:
    assert embedder.query("what") == embedder.query("what")
    assert api.texts == ["what"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (302, None),
        (200, b"no json"),
        (200, b"[" * 100_000),
        (200, b'{"data": []}'),
        (200, b'{"data": 7}'),
        (200, b'{"data": [{"index": 0, "embedding": ["x"]}]}'),
        (200, b'{"data": [{"index": 0, "embedding": []}]}'),
        (200, b'{"data": [{"index": 0, "embedding": [NaN]}]}'),
        (200, b'{"data": [{"index": 7, "embedding": [1.0]}]}'),
        (200, b'{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]}'),
    ],
)
def test_an_answer_that_is_not_understood_is_none(
    embedder: Embedder, api: EmbeddingsApi, status: int, answer: bytes | None
) -> None:
    api.status, api.answer = status, answer
    with pytest.raises(Unavailable, match="embedding source"):
        embedder.query("what")


def test_after_a_failure_nobody_is_kept_waiting_for_half_a_minute(api: EmbeddingsApi) -> None:
    clock = FakeClock()
    embedder = Embedder(EmbeddingSettings(api.url, "m"), clock)
    api.status = 503
    for _ in range(3):
        with pytest.raises(Unavailable, match="503"):
            embedder.query("what")
    assert len(api.headers) == 1
    api.status = 200
    clock.advance(31)
    assert len(embedder.query("what")) == len(vector_of("what", {}))
    embedder.close()


def test_a_source_that_is_not_there_is_named_without_its_address() -> None:
    with socket.socket() as held:  # bound and not listening: nobody answers here
        held.bind(("127.0.0.1", 0))
        embedder = Embedder(EmbeddingSettings(f"http://127.0.0.1:{held.getsockname()[1]}/v1", "m"), FakeClock())
        with pytest.raises(Unavailable) as caught:
            embedder.query("what")
        embedder.close()
    assert "does not answer" in str(caught.value) and "127.0.0.1" not in str(caught.value)


def test_a_folder_is_named_by_its_whole_path_and_alone(tmp_path: Path) -> None:
    assert load_settings({"embeddings": {"folder": str(tmp_path)}}, {}) == FolderSettings(tmp_path)
    for wrong in ({"folder": "models"}, {"folder": 1}, {"folder": "/a\0b"}, {"folder": "/a", "model": "m"}):
        with pytest.raises(InvalidArgument):
            load_settings({"embeddings": wrong}, {})


def test_a_model_in_a_folder_puts_what_means_alike_together(tmp_path: Path) -> None:
    embedder = FolderEmbedder(FolderSettings(make_model_folder(tmp_path / "static")))
    cotton, mills, silver, nothing = embedder.embed(["cotton", "mills and bales", "silver coinage", ""])

    def likeness(one: Any, other: Any) -> float:
        return sum(left * right for left, right in zip(one, other, strict=True))

    assert len(cotton) == 128 and likeness(cotton, cotton) == pytest.approx(1.0, abs=1e-5) and not any(nothing)
    assert likeness(cotton, mills) > likeness(cotton, silver)
    assert embedder.space.startswith("static@")


@pytest.mark.parametrize("broken", ["missing", "no table", "no tokenizer", "a folder"])
def test_a_broken_model_folder_is_unavailable_and_says_so(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "static"
    if broken != "missing":
        make_model_folder(folder)
        file = folder / ("tokenizer.json" if broken == "no tokenizer" else "model.safetensors")
        file.unlink() if broken == "a folder" else file.write_bytes(b"none")
        if broken == "a folder":
            file.mkdir()
    embedder = FolderEmbedder(FolderSettings(folder))
    with pytest.raises(Unavailable, match="embedding folder"):
        embedder.query("x")
    assert embedder.space == "static"


def test_without_the_extra_a_model_folder_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(Unavailable, match=r"argosy\[local\]"):
        FolderEmbedder(FolderSettings(tmp_path)).query("x")

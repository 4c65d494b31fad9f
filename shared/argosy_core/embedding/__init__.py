"""Where vectors of texts come from: an endpoint that speaks the embeddings call of the OpenAI API."""

from __future__ import annotations

from argosy_core.embedding.endpoint import Embedder
from argosy_core.embedding.settings import EmbeddingSettings, load_settings

__all__ = ["Embedder", "EmbeddingSettings", "load_settings"]

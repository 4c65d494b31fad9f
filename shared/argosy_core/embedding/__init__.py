"""Where vectors of texts come from: an endpoint that speaks the embeddings call of the OpenAI API, or a folder."""

from __future__ import annotations

from argosy_core.embedding.endpoint import Embedder
from argosy_core.embedding.folder import FolderEmbedder
from argosy_core.embedding.settings import EmbeddingSettings, FolderSettings, load_settings

__all__ = ["Embedder", "EmbeddingSettings", "FolderEmbedder", "FolderSettings", "load_settings"]

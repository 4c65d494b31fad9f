"""A model folder out of the package wordllama: 32,000 tokens of 256 figures each. None of its code is run."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file


def make_model_folder(folder: Path) -> Path:
    """Write the model into *folder*."""
    spec = importlib.util.find_spec("wordllama")
    assert spec is not None and spec.submodule_search_locations, "wordllama is in the group test"
    package = Path(spec.submodule_search_locations[0])
    folder.mkdir(parents=True)
    table = load_file(package / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    save_file({"embeddings": table}, folder / "model.safetensors")
    shutil.copyfile(package / "tokenizers" / "l2_supercat_tokenizer_config.json", folder / "tokenizer.json")
    return folder

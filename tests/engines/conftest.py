"""One small checkpoint on disk for engines that load files themselves.

These tests need libraries with environments of their own (docs/engines.md); each file is skipped
where its library is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

CONTEXT = 128


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """Folder, model and tokenizer; heads of a size that every engine has kernels for."""
    tokenizer = byte_level(special=True)
    model = tiny_llama(
        len(tokenizer),
        context=CONTEXT,
        hidden_size=128,
        head_dim=32,
        intermediate_size=256,
        initializer_range=0.15,
    )
    folder = tmp_path_factory.mktemp("tiny") / "tiny-selfrag"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, model, tokenizer

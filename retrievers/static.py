"""Static embedding models of sentence-transformers, read without that library.

Such a model is a table: a text's vector is the mean of its tokens' rows. Importing the library
costs several seconds of processor time, looking up rows does not; so the embedded default, and
every other folder of this form, is read here. The vectors equal the library's to float32 rounding.

It knows one form only: `StaticEmbedding`, with or without `Normalize` after it, unquantised, with
the weights in float32. Everything else is left to sentence-transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_FORMS = (["StaticEmbedding"], ["StaticEmbedding", "Normalize"])
_WEIGHTS = "embedding.weight"


def is_static(folder: Path) -> bool:
    """Whether a model's folder has the form that this module reads."""
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        kinds = [module["type"].rpartition(".")[2] for module in modules]
        files = folder / modules[0]["path"]
        if kinds not in _FORMS or not (files / "tokenizer.json").is_file():
            return False
        from safetensors import safe_open

        with safe_open(files / "model.safetensors", "np") as weights:
            names = list(weights.keys())
            return names == [_WEIGHTS] and weights.get_slice(_WEIGHTS).get_dtype() == "F32"
    except Exception:  # whatever is wrong with the files, the library's own error tells it better
        return False


class StaticModel:
    """A folder for which `is_static` holds, with the methods of a `SentenceTransformer` that
    `retrievers.encoders` calls. Iterating it gives no modules: none has settings to check.

    Args:
        folder: the model's folder.

    Attributes:
        prompts: texts put in front of queries and passages, by name.
        similarity_fn_name: "cosine", "dot", …; "cosine" where the files do not say.

    Raises:
        OSError, ValueError: a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        files = folder / modules[0]["path"]
        self._normalised = len(modules) == 2
        self._rows: npt.NDArray[np.float32] = load_file(files / "model.safetensors")[_WEIGHTS]
        self._tokenizer: Any = Tokenizer.from_file(str(files / "tokenizer.json"))
        self._tokenizer.no_padding()
        settings = folder / "config_sentence_transformers.json"
        known = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
        self.prompts: Mapping[str, str] = known.get("prompts") or {}
        self.similarity_fn_name: str = known.get("similarity_fn_name") or "cosine"

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def get_embedding_dimension(self) -> int:
        """Numbers per vector."""
        return int(self._rows.shape[1])

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str = "",
        normalize_embeddings: bool = False,
        **_: Any,
    ) -> npt.NDArray[np.float32]:
        """One vector per text, shape [len(texts), dimension]; a text without tokens has zeros.

        Other options of the library's method (batch size, progress bar) make no difference here.
        """
        encodings = self._tokenizer.encode_batch(
            [prompt + text for text in texts], add_special_tokens=False
        )
        vectors = np.zeros((len(texts), self.get_embedding_dimension()), dtype=np.float32)
        for vector, encoding in zip(vectors, encodings, strict=True):
            if encoding.ids:
                vector[:] = self._rows[encoding.ids].mean(axis=0)
        if self._normalised or normalize_embeddings:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors /= np.maximum(lengths, np.float32(1e-12))
        return vectors

    encode_query = encode
    encode_document = encode

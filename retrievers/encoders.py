"""Encoders: sentence-transformers models that turn queries and passages into vectors.

A model is loaded from a folder or by a name that is already in the local cache; the network is
used only when it is allowed. What a model's own configuration says holds; known families
(`retrievers.families`) add what their files leave out; what nobody says is an error, not a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexes.checksums import sha256_of_file, sha256_of_json
from indexes.passage import Passage, text_for_search
from indexes.vectors import SIMILARITIES
from retrievers.errors import EncoderNotFound, EncoderUnclear, EncoderUnreadable
from retrievers.families import Family, family_of, resembles_family

_MODULES_FILE = "modules.json"
_CONFIG_FILE = "config.json"
_IGNORED_SUFFIXES = frozenset({".md", ".h5", ".msgpack", ".ot", ".onnx", ".png", ".jpg"})
_IGNORED_FOLDERS = frozenset({"onnx", "openvino"})
_PASSAGE_PROMPTS = ("document", "passage", "corpus")


class Encoder:
    """A sentence-transformers model with the settings it is used with.

    Args:
        name: a folder, or the name of a model in the local cache.
        query_prefix: put in front of queries; by default what the model or its family says.
        passage_prefix: put in front of passages; likewise.
        pooling: "mean" or "cls", for a bare transformer without `modules.json` only.
        normalise: whether vectors are brought to length 1; by default they are, where the
            similarity is cosine.
        similarity: "cosine", "dot" or "euclidean"; by default what the model or its family says.
        device: "cpu", "cuda", …; by default the best there is.
        batch_size: texts per forward pass.
        allow_download: fetch a model that is not in the local cache.

    Attributes:
        folder: where the model's files lie.

    Raises:
        EncoderNotFound: there is no such folder, no model in it, or no such model in the cache.
        EncoderUnreadable: its files are damaged or incomplete.
        EncoderUnclear: how its texts or vectors are made is not known.
    """

    def __init__(
        self,
        name: Path | str,
        *,
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        pooling: str | None = None,
        normalise: bool | None = None,
        similarity: str | None = None,
        device: str | None = None,
        batch_size: int = 64,
        allow_download: bool = False,
    ) -> None:
        self._name = str(name)
        self.folder: Path = _locate(self._name, allow_download)
        self._batch_size = batch_size
        family = family_of(self._name)
        bare = not (self.folder / _MODULES_FILE).is_file()
        if bare and not (self.folder / _CONFIG_FILE).is_file():
            raise EncoderNotFound(
                f"The folder {self.folder} holds no model: it has neither {_MODULES_FILE} nor "
                f"{_CONFIG_FILE}.",
                "Give the folder of a sentence-transformers or transformers model.",
            )
        if bare:
            pooling = _pooling_of(self._name, family, pooling)
        import_module("sentence_transformers")  # a missing library is no damaged model
        try:
            self._model: Any = _load(self.folder, pooling if bare else None, device)
            self._dimension = int(self._model.get_embedding_dimension() or 0)
        except Exception as error:  # whatever a damaged file makes the libraries raise
            raise EncoderUnreadable(
                f"The encoder in {self.folder} cannot be loaded: {error}",
                "Check that all of its files are there and whole.",
            ) from error
        if not self._dimension:
            raise EncoderUnreadable(
                f"The encoder in {self.folder} does not tell its dimension.",
                "Use a sentence-transformers model that makes one vector per text.",
            )
        if family is not None and not bare:
            _check_pooling(self._name, self._model, family)
        self._set_prefixes(query_prefix, passage_prefix, family)
        self._set_similarity(similarity, normalise, family)
        self._pooling = pooling if bare else None
        self._fingerprint = self._make_fingerprint()

    @property
    def name(self) -> str:
        """The folder or name that was given."""
        return self._name

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """Checksum of the model's files and of the settings that change its vectors."""
        return self._fingerprint

    @property
    def similarity(self) -> str:
        """How vectors are compared: "cosine", "dot" or "euclidean"."""
        return self._similarity

    @property
    def query_prefix(self) -> str:
        """Text put in front of every query."""
        return self._query_prefix

    @property
    def passage_prefix(self) -> str:
        """Text put in front of every passage."""
        return self._passage_prefix

    @property
    def normalise(self) -> bool:
        """Whether vectors are brought to length 1."""
        return self._normalise

    @property
    def pooling(self) -> str | None:
        """How token vectors are pooled, where the model's own files do not say; else None."""
        return self._pooling

    def encode_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """One vector per query, shape [len(queries), dimension]."""
        return self._encode(self._model.encode_query, list(queries), self._query_prefix)

    def encode_passages(self, passages: Sequence[Passage]) -> npt.NDArray[np.float32]:
        """One vector per passage, of its title and text; shape [len(passages), dimension]."""
        texts = [text_for_search(passage) for passage in passages]
        return self._encode(self._model.encode_document, texts, self._passage_prefix)

    def _encode(self, encode: Any, texts: list[str], prefix: str) -> npt.NDArray[np.float32]:
        if not texts:
            return np.empty((0, self._dimension), dtype=np.float32)
        vectors = encode(
            texts,
            prompt=prefix,
            batch_size=self._batch_size,
            normalize_embeddings=self._normalise,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def _set_prefixes(
        self, query_prefix: str | None, passage_prefix: str | None, family: Family | None
    ) -> None:
        prompts = getattr(self._model, "prompts", None) or {}
        own_query = prompts.get("query") or ""
        own_passage = next((prompts[key] for key in _PASSAGE_PROMPTS if prompts.get(key)), "")
        unsaid = query_prefix is None and passage_prefix is None
        if unsaid and not own_query and not own_passage and resembles_family(self._name):
            raise EncoderUnclear(
                f"The prefixes of {self._name!r} are not known: its name resembles a family whose "
                "models need some, and its files name none.",
                'Give query_prefix and passage_prefix, "" for none.',
            )
        if family is not None and not own_query and not own_passage:
            own_query, own_passage = family.query_prefix, family.passage_prefix
        self._query_prefix = own_query if query_prefix is None else query_prefix
        self._passage_prefix = own_passage if passage_prefix is None else passage_prefix

    def _set_similarity(
        self, similarity: str | None, normalise: bool | None, family: Family | None
    ) -> None:
        if similarity is None:
            # A family comes first: saving a model again records "cosine" for want of better.
            own = str(self._model.similarity_fn_name)
            similarity = own if family is None else family.similarity
        if similarity not in SIMILARITIES:
            raise EncoderUnclear(
                f"The similarity of {self._name!r} is {similarity!r}.",
                f"Allowed are {list(SIMILARITIES)}; name one.",
            )
        self._similarity = similarity
        if normalise is None:
            normalise = similarity == "cosine" if family is None else family.normalise
        if similarity == "cosine" and not normalise:
            raise EncoderUnclear(
                f"Cosine similarity was asked of {self._name!r} without normalising.",
                'Normalise, or use similarity="dot".',
            )
        self._normalise = normalise

    def _make_fingerprint(self) -> str:
        return sha256_of_json(
            {
                "files": _checksums_of(self.folder),
                "pooling": self._pooling,
                "query_prefix": self._query_prefix,
                "passage_prefix": self._passage_prefix,
                "normalise": self._normalise,
                "similarity": self._similarity,
            }
        )


def _locate(name: str, allow_download: bool) -> Path:
    """The folder of a model, from the path or the local cache."""
    if name and Path(name).is_dir():
        return Path(name)
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    if not name or looks_like_path or Path(name).exists():
        raise EncoderNotFound(
            f"There is no encoder folder {name!r}.",
            "Give the folder of a sentence-transformers model, or a model's name.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    names = [name] if "/" in name else [f"sentence-transformers/{name}", name]
    for candidate in names:
        try:
            return Path(snapshot_download(candidate, local_files_only=not allow_download))
        except HFValidationError as error:
            raise EncoderNotFound(
                f"{name!r} is neither a folder nor a model's name.", "Check the spelling."
            ) from error
        except (OSError, ValueError) as error:
            last = error
    raise EncoderNotFound(
        f"The encoder {name!r} is neither a folder nor in the local model cache.",
        "Give the folder of a model, or allow downloading it.",
    ) from last


def _pooling_of(name: str, family: Family | None, pooling: str | None) -> str:
    chosen = pooling or (family.pooling if family is not None else None)
    if chosen is None:
        raise EncoderUnclear(
            f"How {name!r} pools its token vectors is not known: it has no {_MODULES_FILE}.",
            'Give pooling="mean" or pooling="cls", or a complete sentence-transformers folder.',
        )
    if chosen not in ("mean", "cls"):
        raise EncoderUnclear(f"The pooling is {chosen!r}.", 'Allowed are "mean" and "cls".')
    return chosen


def _load(folder: Path, pooling: str | None, device: str | None) -> Any:
    """A complete model, or with `pooling` a bare transformer with that pooling put on it."""
    from sentence_transformers import SentenceTransformer

    if pooling is None:
        return SentenceTransformer(str(folder), device=device, local_files_only=True)
    modules: Any = import_module("sentence_transformers.sentence_transformer.modules")
    transformer = modules.Transformer(str(folder))
    width = transformer.get_embedding_dimension()
    return SentenceTransformer(
        modules=[transformer, modules.Pooling(width, pooling)], device=device
    )


def _check_pooling(name: str, model: Any, family: Family) -> None:
    modes = [module.pooling_mode for module in model if hasattr(module, "pooling_mode")]
    if family.pooling is not None and modes and modes != [family.pooling]:
        raise EncoderUnclear(
            f"{name!r} is named like a {family.name} model, which pools by {family.pooling}; its "
            f"files say {modes[0]}.",
            "Check where the folder comes from, or rename it.",
        )


def _checksums_of(folder: Path) -> dict[str, str]:
    """Checksums of the files that make a model, by path inside its folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    safe = {file.parent for file in files if file.suffix == ".safetensors"}
    checksums = {}
    for file in sorted(files):
        inside = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        ignored = file.suffix.lower() in _IGNORED_SUFFIXES or inside.parts[0] in _IGNORED_FOLDERS
        # The same weights may lie there twice; the loader takes the safetensors.
        twice = file.suffix == ".bin" and "model" in file.name and file.parent in safe
        if not (hidden or ignored or twice):
            checksums[inside.as_posix()] = sha256_of_file(file)
    return checksums

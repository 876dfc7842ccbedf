"""From options to a loaded `SelfRAG`, with the bars and advice of libraries kept off the screen."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from decoding.config import DecodingConfig
    from selfrag.rag import SelfRAG

Model = Annotated[
    str | None,
    typer.Option(
        "--model", help="Folder or Hub name of a checkpoint; if left out, the embedded model."
    ),
]
IndexPath = Annotated[
    Path | None,
    typer.Option("--index", help="Folder of an index; left out: the embedded one."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]


def open_selfrag(
    *,
    model: str | None,
    index: Path | None,
    device: str,
    dtype: str,
    **others: Any,
) -> SelfRAG:
    """`SelfRAG.from_pretrained` for a command; options that were not given are left to it."""
    quiet_libraries()
    from selfrag.rag import SelfRAG

    given = {name: value for name, value in others.items() if value is not None}
    return SelfRAG.from_pretrained(
        model,
        index=None if index is None else str(index),
        device=device,
        dtype=dtype,
        **given,
    )


def resolve_config(path: Path | None, changes: dict[str, Any]) -> DecodingConfig | None:
    """The file's configuration with the options on top; None when neither says anything."""
    from decoding.config import DecodingConfig

    given = {name: value for name, value in changes.items() if value is not None}
    if path is None and not given:
        return None
    config = DecodingConfig() if path is None else DecodingConfig.from_yaml(path)
    return config.replace(**given)


def quiet_libraries() -> None:
    """Keep progress bars, advice and deprecation notes of libraries off the screen.

    Set one of these variables yourself to see them; `python -W` is respected too.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Milvus Lite serves from this process and logs requests that it does not know.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not sys.warnoptions:
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", category)


def index_folder(index: Path | None) -> Path:
    """The index that an option names, or the embedded one."""
    return _ASSETS / "index" if index is None else index


def encoder_folder(encoder: str | None) -> str:
    """The encoder that an option names, or the embedded one."""
    return str(_ASSETS / "encoder") if encoder is None else encoder


_ASSETS = Path(__file__).resolve().parent.parent / "assets"

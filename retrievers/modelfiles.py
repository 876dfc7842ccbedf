"""The files of a model: where they lie, and the checksums that tell models apart.

It knows nothing of what a model computes; encoders and cross-encoders share it.
"""

from __future__ import annotations

from pathlib import Path

from indexes.checksums import sha256_of_file
from retrievers.errors import EncoderNotFound

_IGNORED_SUFFIXES = frozenset({".md", ".h5", ".msgpack", ".ot", ".onnx", ".png", ".jpg"})
_IGNORED_FOLDERS = frozenset({"onnx", "openvino"})


def locate_model(name: str, allow_download: bool) -> Path:
    """The folder of a model, which is given by path or by its name in the local cache.

    Args:
        name: a folder, "organisation/name", or a name of the organisation sentence-transformers.
        allow_download: fetch a model that is not in the local cache.

    Raises:
        EncoderNotFound: there is no such folder, and no such model in the cache.
    """
    if name and Path(name).is_dir():
        return Path(name)
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    if not name or looks_like_path or Path(name).exists():
        raise EncoderNotFound(
            f"There is no model folder {name!r}.",
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
        f"The model {name!r} is neither a folder nor in the local model cache.",
        "Give the folder of a model, or allow downloading it.",
    ) from last


def checksums_of_model(folder: Path) -> dict[str, str]:
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

"""Checkpoints of every shape load; what is not whole is refused by name."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from scripted_rag import reflective_llama
from tiny_tokenizers import byte_level
from transformers import PreTrainedTokenizerFast

from decoding.errors import MissingControlTokens
from decoding.vocabulary import CONTROL_STRINGS
from selfrag.backends.checkpoint import load_checkpoint
from selfrag.calibration import Calibration
from selfrag.errors import CorruptCheckpoint, ModelNotFound

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    reflective_llama(0).save_pretrained(folder)
    byte_level(special=True).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(IDS.to(model.device)).logits.float()


def without_weights(folder: Path) -> Path:
    for path in [*folder.glob("*.safetensors*"), *folder.glob("*.bin*")]:
        path.unlink()
    return folder


def write_bin_shards(folder: Path, count: int = 2) -> list[Path]:
    """The layout of 2023: `pytorch_model-0000i-of-0000n.bin` and an index."""
    without_weights(folder)
    state = dict(reflective_llama(0).state_dict())
    names = [f"pytorch_model-{i + 1:05d}-of-{count:05d}.bin" for i in range(count)]
    weight_map = {key: names[i % count] for i, key in enumerate(state)}
    for name in names:
        part = {key: state[key].clone() for key in state if weight_map[key] == name}
        torch.save(part, folder / name)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return [folder / name for name in names]


def shard(folder: Path) -> list[Path]:
    without_weights(folder)
    reflective_llama(0).save_pretrained(folder, max_shard_size="100KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    return shards


def test_a_single_safetensors_file(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    assert torch.equal(logits(checkpoint.model), logits(reflective_llama(0)))
    assert checkpoint.context_limit == 256
    assert checkpoint.dtype == "float32" or checkpoint.device != "cpu"
    assert checkpoint.vocabulary.read_ids[0] == 408
    assert checkpoint.calibration == Calibration()
    bare = load_checkpoint(folder, weights=False)
    assert bare.model is None and bare.fingerprint == checkpoint.fingerprint


def test_sharded_safetensors(folder: Path) -> None:
    shard(folder)
    checkpoint = load_checkpoint(folder, device="cpu")
    assert torch.equal(logits(checkpoint.model), logits(reflective_llama(0)))


def test_bin_shards_and_a_single_bin(folder: Path) -> None:
    write_bin_shards(folder)
    checkpoint = load_checkpoint(folder, device="cpu")
    assert torch.equal(logits(checkpoint.model), logits(reflective_llama(0)))
    without_weights(folder)
    torch.save(reflective_llama(0).state_dict(), folder / "pytorch_model.bin")
    checkpoint = load_checkpoint(folder, device="cpu")
    assert torch.equal(logits(checkpoint.model), logits(reflective_llama(0)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtypes(folder: Path, dtype: str) -> None:
    checkpoint = load_checkpoint(folder, device="cpu", dtype=dtype)
    assert {p.dtype for p in checkpoint.model.parameters()} == {getattr(torch, dtype)}
    assert checkpoint.dtype == dtype and checkpoint.fingerprint.endswith(f"-{dtype}")


def test_the_fingerprint_names_the_files(folder: Path) -> None:
    before = load_checkpoint(folder, weights=False).fingerprint
    assert load_checkpoint(folder, weights=False).fingerprint == before
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert load_checkpoint(folder, weights=False).fingerprint != before


def refused(folder: Path, match: str, **options: Any) -> None:
    with pytest.raises(CorruptCheckpoint, match=match) as caught:
        load_checkpoint(folder, device="cpu", **options)
    assert caught.value.exit_code == 4


def test_a_missing_shard_is_named(folder: Path) -> None:
    shards = shard(folder)
    shards[1].unlink()
    refused(folder, shards[1].name)
    shards = write_bin_shards(folder)
    shards[0].unlink()
    refused(folder, shards[0].name)


def test_no_weights(folder: Path) -> None:
    refused(without_weights(folder), "no weights")


@pytest.mark.parametrize("kind", ["safetensors", "shards", "bin"])
@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_truncated_weights(folder: Path, kind: str, keep: float) -> None:
    if kind == "bin":
        path = write_bin_shards(folder)[0]
    else:
        path = shard(folder)[0] if kind == "shards" else folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refused(folder, "cannot be loaded|has no weights")


def test_weights_that_do_not_fill_the_model(folder: Path) -> None:
    without_weights(folder)
    state = dict(reflective_llama(0).state_dict())
    del state["model.layers.1.mlp.up_proj.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    refused(folder, "lacks 1 weights .*up_proj")
    state = dict(reflective_llama(0).state_dict())
    state["model.norm.weight"] = torch.ones(7)
    torch.save(state, folder / "pytorch_model.bin")
    refused(folder, "norm|size mismatch|cannot be loaded")


def test_an_index_that_is_no_json(folder: Path) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": [')
    refused(folder, "index.json")
    (folder / "model.safetensors.index.json").write_text("[]")
    refused(folder, "index.json")


class Malicious:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self._path,))


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_of_code_is_refused_and_not_run(folder: Path, tmp_path: Path, writer: str) -> None:
    without_weights(folder)
    state = {**reflective_llama(0).state_dict(), "extra": Malicious(tmp_path / "ran")}
    path = folder / "pytorch_model.bin"
    if writer == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(tmp_path / "ran")))
    refused(folder, "cannot be loaded")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"model_type": "no such model"}'])
def test_garbage_in_place_of_the_configuration(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, "configuration")


def test_values_that_are_no_configuration(folder: Path) -> None:
    data = json.loads((folder / "config.json").read_text())
    for change in ({"hidden_size": "wide"}, {"num_attention_heads": 7}, {"hidden_size": 40}):
        (folder / "config.json").write_text(json.dumps({**data, **change}))
        with pytest.raises(CorruptCheckpoint):
            load_checkpoint(folder, device="cpu")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_garbage_in_place_of_the_tokenizer(folder: Path, text: str) -> None:
    (folder / "tokenizer.json").write_text(text)
    refused(folder, "tokenizer")


def test_no_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises((CorruptCheckpoint, MissingControlTokens)):
        load_checkpoint(folder, device="cpu")


def test_a_tokenizer_without_control_tokens(folder: Path) -> None:
    original = byte_level(special=True)
    plain = PreTrainedTokenizerFast(
        tokenizer_object=type(original.backend_tokenizer).from_str(
            json.dumps(
                {
                    **json.loads(original.backend_tokenizer.to_str()),
                    "added_tokens": [
                        token
                        for token in json.loads(original.backend_tokenizer.to_str())["added_tokens"]
                        if token["content"] not in CONTROL_STRINGS[3:]
                    ],
                }
            )
        ),
        eos_token="</s>",
    )
    plain.save_pretrained(folder)
    with pytest.raises(MissingControlTokens) as caught:
        load_checkpoint(folder, device="cpu")
    for string in CONTROL_STRINGS[3:]:
        assert string in str(caught.value)
    assert "[Retrieval]" not in caught.value.message


def test_control_tokens_beyond_the_embedding(folder: Path) -> None:
    from tiny_models import tiny_llama

    without_weights(folder)
    tiny_llama(415).save_pretrained(folder)
    refused(folder, "reach id 422, but the model has 415 embedding rows")


def test_text_beyond_the_embedding(folder: Path) -> None:
    from tiny_models import tiny_llama

    tokenizer = byte_level(special=True)
    without_weights(folder)
    tiny_llama(len(tokenizer)).save_pretrained(folder)
    extended = type(tokenizer).from_pretrained(folder)
    extended.add_tokens(["Ouagadougou"])
    extended.save_pretrained(folder)
    refused(folder, f"tokens reach id {len(tokenizer)}, but the model has {len(tokenizer)}")
    without_weights(folder)
    tiny_llama(len(tokenizer) + 1).save_pretrained(folder)
    load_checkpoint(folder, device="cpu")


def test_a_padding_token_beyond_the_embedding_is_never_used(folder: Path) -> None:
    from tiny_models import tiny_llama

    without_weights(folder)
    tiny_llama(len(byte_level(special=True))).save_pretrained(folder)
    extended = type(byte_level(special=True)).from_pretrained(folder)
    extended.add_special_tokens({"pad_token": "<padding>"})
    extended.save_pretrained(folder)
    assert load_checkpoint(folder, device="cpu").model is not None


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    started = time.monotonic()
    for name in (tmp_path, tmp_path / "none", "./none", "none", "nobody/no-such-model", "a/b/c"):
        with pytest.raises(ModelNotFound) as caught:
            load_checkpoint(name)
        assert caught.value.exit_code == 4 and caught.value.hint
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "option, match", [({"dtype": "int8"}, "float32, bfloat16"), ({"device": "abacus"}, "abacus")]
)
def test_options_that_mean_nothing(folder: Path, option: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        load_checkpoint(folder, **option)  # type: ignore[arg-type]


def test_calibration_travels_with_the_model(folder: Path) -> None:
    Calibration(0.5, 0.25, "dev").save(folder)
    assert load_checkpoint(folder, weights=False).calibration == Calibration(0.5, 0.25, "dev")
    for text in ("{", "[]", "7", '{"relevance": "high"}', '{"threshold": 1}'):
        (folder / "calibration.json").write_text(text)
        refused(folder, "calibration.json", weights=False)
    (folder / "calibration.json").write_bytes(b"\xff\xfe\xfa")
    refused(folder, "calibration.json", weights=False)


@pytest.mark.parametrize(
    ("version", "setting", "expected"),
    [("4.36.2", None, True), ("4.36.2", False, False), ("5.23.0", None, False)],
)
def test_a_silent_llama_tokenizer_of_2023_is_a_legacy_one(
    tmp_path: Path, version: str, setting: bool | None, expected: bool
) -> None:
    from tiny_tokenizers import llama

    from selfrag.backends.checkpoint import is_silently_legacy

    llama(legacy=True).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop("legacy", None)
    path.write_text(json.dumps(settings | ({} if setting is None else {"legacy": setting})))
    (tmp_path / "config.json").write_text(json.dumps({"transformers_version": version}))
    assert is_silently_legacy(tmp_path) is expected

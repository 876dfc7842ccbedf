"""Checking a checkpoint: what it reports, and replays of its own and of tampered outputs."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

from decoding.codec import PromptCodec
from decoding.engine import BatchedEngine
from decoding.generation import Generation
from decoding.reference import ReferenceEngine
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.checkpoint import Checkpoint, load_checkpoint
from selfrag.backends.replays import (
    output_parts,
    prompt_parts,
    read_recordings,
    replay_recordings,
)
from selfrag.backends.verification import PUBLISHED_IDS, describe_checkpoint
from selfrag.errors import CorruptRecording

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "verify_checkpoint.py"
TOKENS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint that writes plain letters and control tokens."""
    path = tmp_path_factory.mktemp("checkpoint")
    tokenizer = byte_level(special=True)
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    model = tiny_llama(len(tokenizer), seed=3)
    letters = vocabulary.control_ids - {0, 1, 2} | {
        token_id for token, token_id in tokenizer.get_vocab().items() if token.isascii()
    } - {0, 1, 2}
    with torch.no_grad():
        for row in range(len(tokenizer)):
            if row not in letters:
                model.lm_head.weight[row] = 0.0
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(folder, device="cpu")


@pytest.fixture(scope="module")
def recordings(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Recorded outputs of the checkpoint itself, by the slow reference decoder."""
    codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    engine = ReferenceEngine(checkpoint.model, fingerprint="reference")
    rows: list[dict[str, Any]] = [{"task": "none", "prediction": "no prompt"}]
    for index in range(4):
        prompt = f"### Instruction:\nwho is {index}?\n\n### Response:\n"
        if index % 2:
            prompt += "[Retrieval]<paragraph>t\n[Relevant] x</paragraph>"
        ids = codec.encode(prompt_parts(prompt, codec.vocabulary), bos=True)
        engine.submit(Generation(ids, max_tokens=TOKENS, stop_ids=codec.vocabulary.eos_ids))
        while engine.step():
            pass
        ((_, draft),) = engine.poll()
        text = codec.literal(draft.token_ids)
        rows.append({"task": "own", "index": index, "prompt": prompt, "prediction": text})
    return rows


def test_a_checkpoint_is_described(checkpoint: Checkpoint) -> None:
    report = describe_checkpoint(checkpoint)
    assert report["problems"] == []
    assert list(report["token_ids"]) == list(PUBLISHED_IDS)
    assert report["token_ids"]["[Retrieval]"] == checkpoint.vocabulary.retrieval
    assert (report["context_limit"], report["dtype"], report["tied"]) == (512, "float32", False)
    assert report["safe_encoding"] == "ok"
    assert any(line.startswith("[Retrieval] is") for line in report["differences"])
    assert any(line.startswith("context_limit is 512") for line in report["differences"])


def test_control_tokens_of_a_prompt_stand_in_the_template_only() -> None:
    vocabulary = ReflectionVocabulary.from_tokenizer(byte_level(special=True))
    parts = prompt_parts(
        "[Relevant]?\n\n### Response:\n[Retrieval]<paragraph>a</paragraph>[Retrieval]</paragraph>",
        vocabulary,
    )
    assert parts == (
        "[Relevant]?\n\n### Response:\n",
        vocabulary.retrieval,
        vocabulary.paragraph_start,
        "a</paragraph>[Retrieval]",
        vocabulary.paragraph_end,
    )
    assert prompt_parts("[Retrieval]<paragraph>x", vocabulary) == ("[Retrieval]<paragraph>x",)
    assert output_parts("[Relevant]a[Utility:5]", vocabulary) == (
        vocabulary.relevant,
        "a",
        vocabulary.utility[4],
    )


def test_own_outputs_are_replayed_without_divergence(
    checkpoint: Checkpoint, recordings: list[dict[str, Any]]
) -> None:
    codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    engine = BatchedEngine(checkpoint.model, fingerprint="batched")
    replay = replay_recordings(engine, codec, recordings)
    assert replay.divergences == ()
    assert (replay.rows, replay.replayed, replay.equal, replay.skipped) == (5, 4, 4, 1)
    assert replay_recordings(engine, codec, recordings, limit=2).replayed == 2


@pytest.mark.parametrize("position", [0, 3])
def test_a_tampered_output_diverges_where_it_was_tampered_with(
    checkpoint: Checkpoint, recordings: list[dict[str, Any]], position: int
) -> None:
    codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    engine = ReferenceEngine(checkpoint.model, fingerprint="reference")
    row = recordings[2]
    start = codec.encode(prompt_parts(row["prompt"], codec.vocabulary), bos=True)
    engine.submit(Generation(start, max_tokens=TOKENS))
    while engine.step():
        pass
    ((_, draft),) = engine.poll()
    written = [codec.literal([token_id]) for token_id in draft.token_ids]
    other = next(token for token in ("[Irrelevant]", "[Utility:1]") if token != written[position])
    tampered = {
        **row,
        "prediction": "".join([*written[:position], other, *written[position + 1 :]]),
    }
    (found,) = replay_recordings(engine, codec, [recordings[0], tampered]).divergences
    assert (found.row, found.name, found.position) == (1, "own 1", position)
    assert (found.got, found.before) == (written[position], "".join(written[:position]))
    assert found.expected in (other, f"{other}{''.join(written[position + 1 :])}"[:20])
    assert found.margin is None or found.margin > 0


def test_too_long_recordings_are_counted(
    checkpoint: Checkpoint, recordings: list[dict[str, Any]]
) -> None:
    codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
    engine = BatchedEngine(checkpoint.model, fingerprint="batched")
    replay = replay_recordings(engine, codec, [{"prompt": "x " * 600, "prediction": "y"}])
    assert (replay.too_long, replay.replayed) == (1, 0)


def test_the_script(folder: Path, recordings: list[dict[str, Any]], tmp_path: Path) -> None:
    data = tmp_path / "recorded.jsonl.gz"
    with gzip.open(data, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in recordings)
    command = [sys.executable, str(SCRIPT), str(folder), "--data", str(data), "--device", "cpu"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["replay"]["equal"] == report["replay"]["replayed"] == 4
    assert report["problems"] == []


def test_an_unreadable_recording_is_a_named_error(tmp_path: Path) -> None:
    data = tmp_path / "broken.jsonl"
    data.write_text("{\n", encoding="utf-8")
    with pytest.raises(CorruptRecording, match=r"broken\.jsonl"):
        read_recordings(data)

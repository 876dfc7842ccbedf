"""A pipeline at the smallest size that has every stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TINY: dict[str, Any] = {
    "sources": {
        "world": {
            "single": 14,
            "inverse": 4,
            "chains": 6,
            "claims": 4,
            "choices": 4,
            "long": 3,
            "read": 4,
            "unanswerable": 6,
            "requests": 6,
            "seed": 3,
        },
        "held_out": 0.2,
    },
    "index": {"encoder": "embedded", "retriever": "hybrid"},
    "critic_data": {"pool": 3, "held_out": 0.3},
    "critic": {
        "kind": "encoder",
        "fresh": {
            "model_type": "bert",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
        },
        "pieces": 400,
        "context": 160,
        "epochs": 1,
        "batch": 16,
    },
    "generator_data": {"critic": ["gold", "model"], "passages": 3},
    "tokenizer": {"pieces": 500},
    "generator": {
        "size": {"layers": 1, "hidden": 32, "heads": 2, "feed_forward": 32, "context": 1024},
        "tokenizer": "made",
        "epochs": 1,
        "tokens": 2048,
        "max_length": 1024,
        "log_steps": 1,
        "checkpoint_minutes": 1e-9,
        "precision": "float32",
    },
    "evaluation": {
        "most": 6,
        "decoding": {"passages": 2, "max_segments": 2, "max_segment_tokens": 8},
    },
}

SOURCES: list[dict[str, Any]] = [
    {"id": f"row-{number}", "instruction": f"What is {number}?", "output": f"It is {number}."}
    for number in range(40)
]


def write_lines(path: Path, rows: Iterable[Mapping[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def read_all(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ids_of(path: Path) -> set[str]:
    return {row["id"] for row in read_all(path)}


def snapshot(folder: Path) -> dict[str, int]:
    """Every file with the time of its last change."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "recipe.yaml"
    }

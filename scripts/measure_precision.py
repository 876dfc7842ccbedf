"""What weights in fewer bits do to the reflection tokens of a checkpoint, and to its speed.

    python scripts/measure_precision.py                            # selfrag-mini, int8
    python scripts/measure_precision.py PATH --device cuda --precision 4bit --json

For each group of reflection tokens: at how many positions it was read, the largest and the mean
difference of a token's probability within the group, and the share of positions at which another
token became the most probable. Exit codes: 0; 2, wrong input; 4, the checkpoint cannot be loaded,
or the machine cannot compute in this precision (the message says what is needed).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from decoding.codec import PromptCodec
from decoding.engine import BatchedEngine
from decoding.prompt import PromptBuilder
from selfrag.backends.checkpoint import Checkpoint, load_checkpoint
from selfrag.backends.precision import PRECISIONS
from selfrag.backends.precision_effect import effect_prompts, effect_to_dict, measure_effect
from selfrag.errors import exit_code_of
from selfrag.rag import EMBEDDED_MODEL


def main(arguments: list[str] | None = None) -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "path", nargs="?", default=EMBEDDED_MODEL, metavar="PATH", help="checkpoint or hub name"
    )
    parser.add_argument("--precision", default="int8", choices=PRECISIONS, help="default: int8")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        report = _measure(options)
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code_of(error)
    print(json.dumps(report, indent=2) if options.json else _as_text(report))
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    exact = load_checkpoint(options.path, device=options.device)
    rounded = load_checkpoint(options.path, device=options.device, precision=options.precision)
    prompts = effect_prompts(
        PromptBuilder(PromptCodec(exact.tokenizer, exact.vocabulary), exact.vocabulary)
    )
    effect = measure_effect(_engine(exact), _engine(rounded), exact.vocabulary, prompts)
    return {
        "model": str(options.path),
        "precision": options.precision,
        "compared_with": exact.dtype,
        "prompts": len(prompts),
        "prefill_seconds": {
            "exact": _seconds(exact, prompts),
            "rounded": _seconds(rounded, prompts),
        },
        "effect": effect_to_dict(effect),
    }


def _engine(checkpoint: Checkpoint) -> BatchedEngine:
    return BatchedEngine(checkpoint.model, fingerprint=checkpoint.fingerprint)


def _seconds(checkpoint: Checkpoint, prompts: list[tuple[int, ...]]) -> float:
    """Processor seconds of this process for one forward pass over each prompt."""
    import torch

    started = time.process_time()
    with torch.inference_mode():
        for ids in prompts:
            checkpoint.model(input_ids=torch.tensor([ids], device=checkpoint.device))
    return time.process_time() - started


def _as_text(report: dict[str, Any]) -> str:
    seconds = report["prefill_seconds"]
    lines = [
        f"{report['precision']} against {report['compared_with']}, {report['prompts']} prompts",
        f"prefill: {seconds['exact']:.2f} s, {seconds['rounded']:.2f} s in {report['precision']}",
        "group     positions  largest    mean   changed",
    ]
    for name, found in report["effect"].items():
        if found["positions"]:
            lines.append(
                f"{name:<9} {found['positions']:>9} {found['largest']:>8.4f} "
                f"{found['mean']:>7.4f} {found['changed']:>8.1%}"
            )
        else:
            lines.append(f"{name:<9} {0:>9}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())

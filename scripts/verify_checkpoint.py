"""Check a checkpoint, and replay recorded outputs of the published 7B with it.

    python scripts/verify_checkpoint.py selfrag/selfrag_llama2_7b --device cuda --dtype float16
    python scripts/verify_checkpoint.py PATH --json --limit 20

Reports token ids, context, tokenizer settings, embedding rows and dtype, what differs from the
published generator (no error: other bases have other ids), and for every replayed recording the
first token at which this model writes something else. The recordings are JSON lines with `prompt`
and `prediction`; without `--data`, those of ../shared/data beside this repository are taken where
they exist. Exit codes: 0, the checkpoint works; 1, it has problems; 2, wrong input; 4, it cannot
be loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from decoding.codec import PromptCodec
from decoding.engine import BatchedEngine
from selfrag.backends.checkpoint import DTYPES, load_checkpoint
from selfrag.backends.replays import read_recordings, replay_recordings, replay_to_dict
from selfrag.backends.verification import describe_checkpoint
from selfrag.errors import exit_code_of

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = "shared/data/selfrag_recorded_outputs/selfrag7b_vllm_greedy.jsonl.gz"


def main(arguments: list[str] | None = None) -> int:
    """Run the check; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("path", metavar="PATH", help="checkpoint folder or hub name")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--data", type=Path, metavar="FILE", help="recorded outputs to replay")
    parser.add_argument("--limit", type=int, metavar="N", help="replay at most N recordings")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    parser.add_argument("--dtype", default="auto", choices=DTYPES, help="default: auto")
    options = parser.parse_args(arguments)
    try:
        report = _check(options)
    except Exception as error:
        print(f"error: {error}", file=sys.stderr)
        return exit_code_of(error)
    print(json.dumps(report, indent=2) if options.json else _as_text(report))
    return 1 if report["problems"] else 0


def _check(options: argparse.Namespace) -> dict[str, Any]:
    data = options.data or ROOT.parent / RECORDINGS
    rows = read_recordings(data) if options.data or data.is_file() else None
    checkpoint = load_checkpoint(options.path, device=options.device, dtype=options.dtype)
    report = describe_checkpoint(checkpoint)
    report["replay"] = None
    if rows is None:
        report["replay_skipped"] = f"No recordings: ../{RECORDINGS} is not there; give --data."
    elif report["safe_encoding"] != "ok":
        report["replay_skipped"] = "Recordings need a tokenizer that encodes safely."
    else:
        codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
        engine = BatchedEngine(checkpoint.model, fingerprint=checkpoint.fingerprint)
        report["replay"] = replay_to_dict(replay_recordings(engine, codec, rows, options.limit))
    return report


def _as_text(report: dict[str, Any]) -> str:
    replay, lines = report["replay"], []
    listed = ("differences", "problems", "replay", "replay_skipped", "token_ids")
    lines += [f"{name:>16}  {value}" for name, value in report.items() if name not in listed]
    lines += [f"{'differs':>16}  {line}" for line in report["differences"]]
    lines += [f"{'PROBLEM':>16}  {line}" for line in report["problems"]]
    if replay is None:
        return "\n".join([*lines, f"{'replay':>16}  {report['replay_skipped']}"])
    lines.append(
        f"{'replay':>16}  {replay['equal']} of {replay['replayed']} equal "
        f"({replay['rows']} rows, {replay['skipped']} without a prompt, "
        f"{replay['too_long']} too long, {replay['tokens']} tokens)"
    )
    for found in replay["divergences"]:
        margin = "" if found["margin"] is None else f", margin {found['margin']:.3g}"
        lines.append(
            f"{'row ' + str(found['row']):>16}  {found['name']}: token {found['position']}, "
            f"expected {found['expected']!r}, got {found['got']!r}{margin}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

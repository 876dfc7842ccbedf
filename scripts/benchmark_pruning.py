"""What pruning saves, measured by asking with and without it.

    python scripts/benchmark_pruning.py [--json] [--cases 20]
    python scripts/benchmark_pruning.py --sweep [--json]

Asks selfrag-mini a dozen questions, and made cases in which every p(Relevant) is above 0.9; short
form with 10 passages and long form with 5, beam 2. Prints, for both orders, the share of tokens and
of forward passes saved, and how many answers are the same (all of them, or something is wrong).

With `--sweep`: 200 settings of weights and thresholds over a recording of the same questions, and
the share of the model calls that 200 runs would take.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

QUESTIONS = (
    "What is the capital of Portugal?",
    "Which currency is used in Japan?",
    "What is the chemical symbol of iron?",
    "Which language is spoken in Brazil?",
    "On which continent is Kenya?",
    "What is the capital of the country whose currency is the zloty?",
    "What is the atomic number of oxygen?",
    "What is the currency of the country whose capital is Ouagadougou?",
    "Tell me three facts about Mali.",
    "Who wrote Hamlet?",
    "Which planet is the largest?",
    "Write a short greeting.",
)
FORMS: dict[str, dict[str, Any]] = {
    "short": {"form": "short", "passages": 10},
    "long": {"form": "long", "passages": 5, "beam_width": 2, "max_segments": 7},
}


def main() -> int:
    """Measure and print."""
    from selfrag.evaluation.exits import run_to_exit_code

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--cases", type=int, default=20, help="made questions")
    parser.add_argument("--sweep", action="store_true", help="sweep settings instead")
    options = parser.parse_args()
    return run_to_exit_code(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.sweep:
        swept = _sweep()
        for form, counts in swept.items():
            if not options.json:
                print(f"{form}: {counts['calls']} of {counts['requests']} model calls")
        if options.json:
            print(json.dumps(swept))
        return 0
    found = {**_mini(), **_made(options.cases)}
    if options.json:
        print(json.dumps({k: [one.to_dict() for one in v] for k, v in found.items()}))
        return 0
    print("| workload | order | same answers | branches cut | prompts | tokens | passes |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in found.items():
        for row in (one.to_dict() for one in rows):
            print(
                f"| {name} | {row['name']} | {row['same_answers']} of {row['questions']} "
                f"| {row['cut']} of {row['branches']} | {row['read_saved']:.1%} "
                f"of {row['read_without']} | {row['tokens_saved']:.1%} "
                f"of {row['tokens_without']} | {row['passes_saved']:.1%} "
                f"of {row['passes_without']} |"
            )
    return 0


def _mini() -> dict[str, list[Any]]:
    from decoding.engine import BatchedEngine
    from retrievers import open_retriever
    from selfrag.backends.checkpoint import load_checkpoint
    from selfrag.evaluation.pruning_savings import CountingBackend, savings
    from selfrag.rag import EMBEDDED_INDEX, EMBEDDED_MODEL, EMBEDDED_RETRIEVER, SelfRAG

    mini = load_checkpoint(EMBEDDED_MODEL)
    counting = CountingBackend(BatchedEngine(mini.model, fingerprint=mini.fingerprint))
    retriever = open_retriever(EMBEDDED_INDEX, EMBEDDED_RETRIEVER)
    found = {}
    with SelfRAG(counting, _prompts(mini), retriever, calibration=mini.calibration) as rag:
        for form, changes in FORMS.items():
            config = rag.config.replace(**changes)
            found[f"selfrag-mini, {form}"] = savings(rag, counting, QUESTIONS, config)
    return found


def _sweep() -> dict[str, dict[str, int]]:
    import tempfile

    from selfrag.evaluation.sweeps import grid, sweep
    from selfrag.rag import SelfRAG

    values = {
        "retrieve_threshold": [0.1, 0.2, 0.5, 0.8],
        "w_ret": [0.0, 1.0, 3.0, 5.0, 10.0],
        "w_rel": [0.5, 1.0],
        "w_sup": [0.0, 0.5, 1.0, 2.0, 4.0],
    }
    found = {}
    for form, changes in FORMS.items():
        with (
            tempfile.TemporaryDirectory() as folder,
            SelfRAG.from_pretrained(record=Path(folder, "recording")) as rag,
        ):
            settings = grid(rag.config.replace(**changes), values)
            calls = requests = 0
            for run in sweep(rag, QUESTIONS[: 12 if form == "short" else 6], settings):
                calls, requests = calls + run.model_calls, requests + run.requests
        found[form] = {"settings": len(settings), "calls": calls, "requests": requests}
    return found


def _prompts(checkpoint: Any) -> Any:
    from decoding.codec import PromptCodec
    from decoding.prompt import PromptBuilder

    vocabulary = checkpoint.vocabulary
    return PromptBuilder(PromptCodec(checkpoint.tokenizer, vocabulary), vocabulary)


def _made(cases: int) -> dict[str, list[Any]]:
    from selfrag.backends.checkpoint import load_checkpoint
    from selfrag.evaluation.pruning_savings import (
        CountingBackend,
        MadeCases,
        MadeRetriever,
        savings,
    )
    from selfrag.rag import EMBEDDED_MODEL, SelfRAG

    mini = load_checkpoint(EMBEDDED_MODEL, weights=False)
    prompts = _prompts(mini)
    words = "some words that the made answers are put together from"
    ids = prompts.codec.encode([words], bos=False)
    found = {}
    for form, changes in FORMS.items():
        for w_ret in (0.0, 3.0):
            counting = CountingBackend(MadeCases(mini.vocabulary, ids))
            with SelfRAG(counting, prompts, MadeRetriever()) as rag:
                config = rag.config.replace(mode="always", w_ret=w_ret, **changes)
                asked = [f"Made question {number}?" for number in range(cases)]
                name = f"made, {form}, w_ret {w_ret:g}"
                found[name] = savings(rag, counting, asked, config)
    return found


if __name__ == "__main__":
    sys.exit(main())

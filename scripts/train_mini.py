"""Trains selfrag-mini from the fact tables: tokenizer, model, export. Can be stopped and run again.

python scripts/train_mini.py runs/mini --minutes 85
"""

import argparse
from dataclasses import fields
from pathlib import Path

import torch
from torch.multiprocessing.spawn import start_processes

from selfrag.training.mini.schemas import FACTS, read_entities
from selfrag.training.mini.texts import tokenizer_texts
from selfrag.training.mini.tokenizer import load_tokenizer, train_tokenizer
from selfrag.training.mini.train import Trainer, TrainingPlan


def train(rank: int, options: argparse.Namespace) -> None:
    """One of the processes that share the work: each has its own data and one model's gradients."""
    torch.set_num_threads(options.threads)
    if options.processes > 1:
        meeting = (options.folder / "meeting").resolve()
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{meeting}", rank=rank, world_size=options.processes
        )
    plan = TrainingPlan(
        **{field.name: getattr(options, field.name) for field in fields(TrainingPlan)}
    )
    trainer = Trainer(
        plan,
        options.folder,
        options.facts,
        options.preview,
        options.start,
        rank,
        options.processes,
    )
    with (options.folder / "log.jsonl").open("a", encoding="utf-8") as log:

        def report(line: str) -> None:
            print(line, flush=True)
            print(line, file=log, flush=True)

        trainer.run(report)


def main() -> None:
    """Reads the options, makes the tokenizer where there is none, and trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds tokenizer, checkpoint, log and export")
    parser.add_argument("--facts", type=Path, default=FACTS)
    parser.add_argument("--preview", type=Path, help="another folder for each checkpoint's export")
    parser.add_argument("--start", type=Path, help="an exported model to begin with")
    parser.add_argument("--pieces", type=int, default=900)
    parser.add_argument("--processes", type=int, default=2, help="each computes a part of a batch")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    for field in fields(TrainingPlan):
        name = f"--{field.name.replace('_', '-')}"
        if field.name == "minutes":
            parser.add_argument(name, type=float, required=True)
        elif field.name == "compiled":
            parser.add_argument("--eager", dest="compiled", action="store_false")
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.start is not None and not (options.folder / "tokenizer").exists():
        load_tokenizer(options.start).save_pretrained(options.folder / "tokenizer")
    if not (options.folder / "tokenizer").exists():
        texts = tokenizer_texts(read_entities(options.facts))
        train_tokenizer(texts, options.pieces).save_pretrained(options.folder / "tokenizer")
    (options.folder / "meeting").unlink(missing_ok=True)
    if options.processes > 1:
        start_processes(  # type: ignore[no-untyped-call]
            train, (options,), nprocs=options.processes, start_method="spawn"
        )
    else:
        train(0, options)


if __name__ == "__main__":
    main()

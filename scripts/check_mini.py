"""Measures a trained selfrag-mini: on invented things of a seed never trained on, then on real
questions with passages found by word overlap (a rough stand-in for the retriever).

    python scripts/check_mini.py runs/mini/export [--questions tests/data/mini_development.tsv]
"""

import argparse
import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfrag.training.mini.examples import PROMPT, Generator
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.schemas import FACTS, read_entities


class Checker:
    """Greedy generation and group probabilities, in batches with padding on the left."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        vocabulary = self.tokenizer.get_vocab()
        self.pad = vocabulary["<pad>"]
        names = (
            "[Retrieval]",
            "[No Retrieval]",
            "[Relevant]",
            "[Irrelevant]",
            "[Fully supported]",
            "[Partially supported]",
            "[No support / Contradictory]",
        )
        self.ids = {name: vocabulary[name] for name in names}

    @torch.inference_mode()
    def write(
        self, prompts: list[str], limit: int = 90
    ) -> tuple[list[list[int]], list[torch.Tensor]]:
        """For each prompt the ids written greedily and the log-probabilities at each of them."""
        rows = [self.tokenizer(prompt).input_ids for prompt in prompts]
        length = max(map(len, rows))
        ids = torch.tensor([[self.pad] * (length - len(row)) + row for row in rows])
        mask = torch.ne(ids, self.pad).long()
        out = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=limit,
            do_sample=False,
            eos_token_id=[2],
            pad_token_id=self.pad,
            return_dict_in_generate=True,
            output_logits=True,
        )
        logs = torch.stack(out.logits, 1).float().log_softmax(-1)
        written = []
        for row in out.sequences[:, length:].tolist():
            written.append(row[: row.index(2) + 1] if 2 in row else row)
        return written, list(logs)

    def text(self, ids: list[int]) -> str:
        """The written ids as text."""
        return str(self.tokenizer.decode(ids))

    def share(self, logs: torch.Tensor, name: str, *others: str) -> float:
        """The probability of a token within its group."""
        values = torch.stack([logs[self.ids[n]] for n in (name, *others)]).softmax(0)
        return float(values[0])

    @torch.inference_mode()
    def wants_passage(self, instruction: str) -> float:
        """The probability of retrieving against not retrieving."""
        ids = self.tokenizer(PROMPT.format(instruction=instruction), return_tensors="pt").input_ids
        logs = self.model(ids).logits[0, -1].log_softmax(-1)
        return self.share(logs, "[Retrieval]", "[No Retrieval]")


def check_examples(
    checker: Checker, inventor: Inventor, count: int, show: int
) -> dict[str, object]:
    """Shares of exact outputs and of right tokens by sort of example, one segment each."""
    generator = Generator(inventor, 987_654, long_share=0.0)
    right: defaultdict[str, Counter[str]] = defaultdict(Counter)
    examples = [generator.example() for _ in range(count)]
    for start in range(0, count, 40):
        batch = examples[start : start + 40]
        prompts, targets = [], []
        for example in batch:
            segment = example.segments[0]
            if segment.passage is None:
                prompts.append(example.prompt)
                targets.append(example.output)
            else:
                title, text = segment.passage
                prompts.append(f"{example.prompt}[Retrieval]<paragraph>{title}\n{text}</paragraph>")
                targets.append(example.output.split("</paragraph>", 1)[1])
        for example, written, target in zip(batch, checker.write(prompts)[0], targets, strict=True):
            output = checker.text(written).removesuffix("</s>")
            counts = right[example.kind]
            counts["all"] += 1
            counts["exact"] += output == target
            counts["first"] += output.split("]")[0] == target.split("]")[0]
            counts["ending"] += output.split("[")[2:] == target.split("[")[2:]
            if output != target and show > 0:
                show -= 1
                print(
                    f"  {example.kind}: {example.instruction}\n    {example.segments[0].passage}"
                    f"\n    wanted {target}\n    got    {output}"
                )
    return {
        kind: {name: round(c[name] / c["all"], 3) for name in ("exact", "first", "ending")}
        | {"of": c["all"]}
        for kind, c in sorted(right.items())
    }


def check_questions(
    checker: Checker, questions: Path, corpus: Path, show: int
) -> dict[str, object]:
    """Decisions, answers and refusals on real questions."""
    import bm25s

    with corpus.open(encoding="utf-8") as handle:
        rows = [json.loads(line) for line in handle]
    retriever = bm25s.BM25()
    retriever.index(
        bm25s.tokenize(
            [f"{r['title']} {r['title']} {r['text']}" for r in rows],
            stopwords="en",
            show_progress=False,
        ),
        show_progress=False,
    )
    with questions.open(encoding="utf-8", newline="") as handle:
        pairs = list(csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    counts: Counter[str] = Counter()
    scores: list[tuple[str, float, float]] = []
    for text, gold in pairs:
        wanted = checker.wants_passage(text)
        right = (wanted > 0.2) == (gold != "-")
        counts["decisions"] += 1
        counts["decisions right"] += right
        if not right:
            print(f"  decision {wanted:.3f}: {text}")
        if gold == "-":
            continue
        found = retriever.retrieve(
            bm25s.tokenize([text], stopwords="en", show_progress=False), k=5, show_progress=False
        )[0][0]
        passages = [rows[int(index)] for index in found]
        prompt = PROMPT.format(instruction=text) + "[Retrieval]<paragraph>"
        prompts = [f"{prompt}{p['title']}\n{p['text']}</paragraph>" for p in passages]
        best: tuple[float, str, float, float, str] = (-1.0, "", 0.0, 0.0, "")
        for written, logs, passage in zip(*checker.write(prompts), passages, strict=True):
            relevant = checker.share(logs[0], "[Relevant]", "[Irrelevant]")
            words, support = [], 0.0
            for at, token in enumerate(written[1:], 1):
                if token in (
                    checker.ids["[Fully supported]"],
                    checker.ids["[Partially supported]"],
                    checker.ids["[No support / Contradictory]"],
                ):
                    full = checker.share(
                        logs[at],
                        "[Fully supported]",
                        "[Partially supported]",
                        "[No support / Contradictory]",
                    )
                    part = checker.share(
                        logs[at],
                        "[Partially supported]",
                        "[Fully supported]",
                        "[No support / Contradictory]",
                    )
                    support = full + part / 2
                    break
                if token >= checker.ids["[No Retrieval]"] or token == 2:
                    break
                words.append(float(logs[at][token]))
            fluent = float(torch.tensor(words).mean().exp()) if words else 0.0
            total = fluent + relevant + support
            if total > best[0]:
                best = (total, checker.text(written), relevant, support, passage["text"])
        scores.append((gold, best[2], best[3]))
        if gold == "?":
            counts["unanswerable"] += 1
            counts["refused at half"] += min(best[2], best[3]) < 0.5
            if min(best[2], best[3]) >= 0.5:
                print(f"  not refused: {text} -> {best[1]}")
            continue
        sentence = best[1].split("]", 1)[-1].split("[")[0]
        held = any(
            option.lower() in passage["text"].lower() or option.lower() in passage["title"].lower()
            for option in gold.split("|")
            for passage in passages
        )
        good = any(option.lower() in sentence.lower() for option in gold.split("|"))
        counts["answerable"] += 1
        counts["passage found"] += held
        counts["answered"] += good
        counts["falsely refused at half"] += min(best[2], best[3]) < 0.5
        if not good and show > 0:
            show -= 1
            print(
                f"  wrong ({'passage found' if held else 'no passage'}; rel {best[2]:.2f} sup "
                f"{best[3]:.2f}): {text} wanted {gold} got {best[1]} from {best[4]}"
            )
    return dict(counts)


def main() -> None:
    """Reads the options and prints the measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--facts", type=Path, default=FACTS)
    parser.add_argument("--examples", type=int, default=400)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--show", type=int, default=10)
    options = parser.parse_args()
    checker = Checker(options.folder)
    if options.examples:
        inventor = Inventor(read_entities(options.facts))
        for kind, shares in check_examples(
            checker, inventor, options.examples, options.show
        ).items():
            print(kind, shares)
    if options.questions and options.corpus:
        print(check_questions(checker, options.questions, options.corpus, options.show))


if __name__ == "__main__":
    main()

"""Measures a trained selfrag-mini: on invented things, and on real questions with passages found by
word overlap, a rough stand-in for the retriever.

It knows the output grammar but neither beam search nor the package's own retrieval: it decodes
greedily, one segment for each passage, and picks by the sum of three scores. Mistakes are printed.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfrag.training.mini.example import (
    FULLY,
    IRRELEVANT,
    NO_RETRIEVAL,
    NO_SUPPORT,
    PARTIALLY,
    PROMPT,
    RELEVANT,
    RETRIEVAL,
    Example,
)
from selfrag.training.mini.generator import Generator
from selfrag.training.mini.inventor import Inventor

SEED = 987_654
"""Of the examples; no training uses it."""
GROUPED = (RETRIEVAL, NO_RETRIEVAL, RELEVANT, IRRELEVANT, FULLY, PARTIALLY, NO_SUPPORT)
Passage = Mapping[str, str]


class Checker:
    """Greedy generation and group probabilities, in batches with padding on the left."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        vocabulary = self.tokenizer.get_vocab()
        self.pad = vocabulary["<pad>"]
        self.ids = {name: vocabulary[name] for name in GROUPED}

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
        return self.share(logs, RETRIEVAL, NO_RETRIEVAL)

    def support(self, logs: torch.Tensor) -> float:
        """The support: fully counts whole, partially half."""
        full = self.share(logs, FULLY, PARTIALLY, NO_SUPPORT)
        part = self.share(logs, PARTIALLY, FULLY, NO_SUPPORT)
        return full + part / 2


def wanted_output(example: Example) -> tuple[str, str]:
    """The prompt up to the first passage and the rest of the output that should follow."""
    passage = example.segments[0].passage
    if passage is None:
        return example.prompt, example.output
    title, text = passage
    prompt = f"{example.prompt}{RETRIEVAL}<paragraph>{title}\n{text}</paragraph>"
    return prompt, example.output.split("</paragraph>", 1)[1]


def check_examples(
    checker: Checker, inventor: Inventor, count: int, show: int
) -> dict[str, object]:
    """Shares of exact outputs and of right tokens by sort of example, one segment each."""
    generator = Generator(inventor, SEED, long_share=0.0)
    right: defaultdict[str, Counter[str]] = defaultdict(Counter)
    examples = [generator.example() for _ in range(count)]
    for start in range(0, count, 40):
        batch = examples[start : start + 40]
        prompts, targets = zip(*(wanted_output(example) for example in batch), strict=True)
        written = checker.write(list(prompts))[0]
        for example, ids, target in zip(batch, written, targets, strict=True):
            output = checker.text(ids).removesuffix("</s>")
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


def word_overlap(corpus: Path) -> Callable[[str], list[Passage]]:
    """A search for the five passages of the corpus file that share most words with a question."""
    import bm25s

    def tokens(texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", show_progress=False)

    with corpus.open(encoding="utf-8") as handle:
        rows: list[Passage] = [json.loads(line) for line in handle]
    retriever = bm25s.BM25()
    texts = [f"{row['title']} {row['title']} {row['text']}" for row in rows]
    retriever.index(tokens(texts), show_progress=False)

    def search(question: str) -> list[Passage]:
        found = retriever.retrieve(tokens([question]), k=5, show_progress=False)[0][0]
        return [rows[int(index)] for index in found]

    return search


@dataclass(frozen=True)
class Judged:
    """What was written for one passage, with the probabilities of its critique."""

    output: str
    fluency: float
    relevance: float
    support: float
    passage: Passage

    @property
    def total(self) -> float:
        """The sum by which the best passage is picked."""
        return self.fluency + self.relevance + self.support

    @property
    def sentence(self) -> str:
        """The words between the critique's tokens."""
        return self.output.split("]", 1)[-1].split("[")[0]

    @property
    def refused(self) -> bool:
        """Whether relevance or support is below one half."""
        return min(self.relevance, self.support) < 0.5


def judged(checker: Checker, ids: list[int], logs: torch.Tensor, passage: Passage) -> Judged:
    """Reads the critique of one output: logs (length, vocabulary) of its ids."""
    relevance = checker.share(logs[0], RELEVANT, IRRELEVANT)
    supports = [checker.ids[name] for name in (FULLY, PARTIALLY, NO_SUPPORT)]
    words: list[float] = []
    support = 0.0
    for at, token in enumerate(ids[1:], 1):
        if token in supports:
            support = checker.support(logs[at])
            break
        if token >= checker.ids[NO_RETRIEVAL] or token == 2:
            break
        words.append(float(logs[at][token]))
    fluency = float(torch.tensor(words).mean().exp()) if words else 0.0
    return Judged(checker.text(ids), fluency, relevance, support, passage)


def best_answer(checker: Checker, question: str, passages: Sequence[Passage]) -> Judged:
    """The output with the highest sum of scores; the first of equal ones."""
    prompt = PROMPT.format(instruction=question) + f"{RETRIEVAL}<paragraph>"
    prompts = [f"{prompt}{p['title']}\n{p['text']}</paragraph>" for p in passages]
    outputs = zip(*checker.write(prompts), passages, strict=True)
    return max((judged(checker, *output) for output in outputs), key=lambda found: found.total)


def check_questions(
    checker: Checker, questions: Path, corpus: Path, show: int
) -> dict[str, object]:
    """Decisions, answers and refusals on real questions. Each line of the file is a question and
    its answers, "|" between them; "-" where no passage is needed, "?" where none answers."""
    search = word_overlap(corpus)
    with questions.open(encoding="utf-8", newline="") as handle:
        pairs = list(csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    counts: Counter[str] = Counter()
    for text, gold in pairs:
        wanted = checker.wants_passage(text)
        right = (wanted > 0.2) == (gold != "-")
        counts["decisions"] += 1
        counts["decisions right"] += right
        if not right:
            print(f"  decision {wanted:.3f}: {text}")
        if gold == "-":
            continue
        passages = search(text)
        best = best_answer(checker, text, passages)
        if gold == "?":
            counts["unanswerable"] += 1
            counts["refused at half"] += best.refused
            if not best.refused:
                print(f"  not refused: {text} -> {best.output}")
            continue
        options = [option.lower() for option in gold.split("|")]
        told = [p[key].lower() for p in passages for key in ("text", "title")]
        held = any(option in said for option in options for said in told)
        good = any(option in best.sentence.lower() for option in options)
        counts["answerable"] += 1
        counts["passage found"] += held
        counts["answered"] += good
        counts["falsely refused at half"] += best.refused
        if not good and show > 0:
            show -= 1
            print(
                f"  wrong ({'passage found' if held else 'no passage'}; rel {best.relevance:.2f} "
                f"sup {best.support:.2f}): {text} wanted {gold} got {best.output} from "
                f"{best.passage['text']}"
            )
    return dict(counts)

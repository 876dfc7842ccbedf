"""Training a generator: loss, resumption, export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generator_rows import (
    FASO,
    chains,
    every_row,
    judged,
    one_paragraph,
    several_paragraphs,
    write,
)
from safetensors.torch import load_file
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

from retrievers import GivenPassages
from selfrag import SelfRAG
from selfrag.training.errors import GateFailed, StageChanged, UnusableBase
from selfrag.training.generator.encoded import encode_files
from selfrag.training.generator.encoding import RowEncoder
from selfrag.training.generator.model import Trainee
from selfrag.training.generator.plan import GeneratorPlan, LlamaSize
from selfrag.training.generator.trainer import GeneratorTrainer
from selfrag.training.generator.training import train_generator
from selfrag.training.masking import IGNORED
from selfrag.training.rows import TrainingRow

SIZE = LlamaSize(layers=2, hidden=32, heads=4, feed_forward=48, context=512)


def silent(line: str) -> None:
    pass


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    byte_level(special=True).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def plan(tokenizer_folder: str) -> GeneratorPlan:
    return GeneratorPlan(
        size=SIZE,
        tokenizer=tokenizer_folder,
        epochs=2,
        tokens=400,
        max_length=512,
        rate=1e-2,
        precision="float32",
        checkpoint_minutes=1e-9,
        log_steps=1,
        export_dtype="float32",
    )


def rows_file(folder: Path, rows: list[TrainingRow], times: int = 3) -> Path:
    named = [replace(row, id=f"{row.id}-{time}") for time in range(times) for row in rows]
    return write(folder / "rows.jsonl", named)


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def trainer_on(
    folder: Path, plan: GeneratorPlan, rows: list[TrainingRow], model: Any
) -> GeneratorTrainer:
    tokenizer = byte_level(special=True)
    encoder = RowEncoder(tokenizer)
    encoded = encode_files(
        [rows_file(folder, rows, 1)],
        folder / "encoded",
        encoder,
        max_length=plan.max_length,
        identity={},
    )
    trainee = Trainee(model, tokenizer, (), 2)
    checkpoints, log = folder / "checkpoints", folder / "log.jsonl"
    return GeneratorTrainer(plan, trainee, encoded, encoder.vocabulary, checkpoints, log, silent)


def batches_of(trainer: GeneratorTrainer) -> list[dict[str, torch.Tensor]]:
    rows = [trainer.rows[number] for number in range(len(trainer.rows))]
    return [trainer._collated(rows)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("direct", [True, False])
def test_the_loss_is_the_weighted_mean_over_paths(
    tmp_path: Path, plan: GeneratorPlan, packed: bool, direct: bool
) -> None:
    """Against one forward pass for each path, each shared token taken once."""
    tokenizer = byte_level(special=True)
    encoder = RowEncoder(tokenizer)
    learnt = encoder.encode(every_row()[0]).labels.tolist()
    word = next(
        one for one in learnt if one != IGNORED and one not in encoder.vocabulary.control_ids
    )
    weighed = {tokenizer.convert_ids_to_tokens(word): 3.0}
    plan = replace(
        plan, packed=packed, control_weight=5.0, relevant_weight=1.5, word_weights=weighed
    )
    model = tiny_llama(500)
    trainer = trainer_on(tmp_path, plan, every_row(), model)
    if not direct:
        trainer._body = False
    found = trainer.compute_loss(model, batches_of(trainer)[0])
    known = RowEncoder(byte_level(special=True)).vocabulary
    control = {*known.read_ids, known.paragraph_start}
    total = weights = 0.0
    for number in range(len(trainer.rows)):
        row = trainer.rows[number]
        for place in np.flatnonzero(row.labels != IGNORED).tolist():
            path = [place]
            while row.before[path[-1]] >= 0:
                path.append(int(row.before[path[-1]]))
            ids = torch.tensor(row.ids[path[:0:-1]].astype(np.int64))[None]
            label = int(row.labels[place])
            weight = 5.0 if label in control else 3.0 if label == word else 1.0
            weight *= 1.5 if label == known.relevant else 1.0
            with torch.no_grad():
                total -= weight * float(model(input_ids=ids).logits[0, -1].log_softmax(0)[label])
            weights += weight
    assert found.item() == pytest.approx(total / weights, rel=1e-5)


@pytest.mark.parametrize("token", ["no such token", "[Relevant]"])
def test_only_words_have_a_words_weight(tmp_path: Path, plan: GeneratorPlan, token: str) -> None:
    with pytest.raises(UnusableBase, match="word_weights"):
        trainer_on(tmp_path, replace(plan, word_weights={token: 2.0}), every_row(), tiny_llama(500))


@pytest.mark.parametrize("kind", ["one", "several", "judged", "cut", "packed"])
def test_masked_places_have_no_gradient_at_all(
    tmp_path: Path, plan: GeneratorPlan, kind: str
) -> None:
    rows = {"one": [one_paragraph()], "judged": [judged()], "packed": every_row()}.get(
        kind, [several_paragraphs()]
    )
    if kind == "cut":
        lengths = len(RowEncoder(byte_level(special=True)).encode(several_paragraphs()))
        plan = replace(plan, max_length=lengths - 1)
    plan = replace(plan, packed=kind == "packed")
    model = tiny_llama(500)
    trainer = trainer_on(tmp_path, plan, rows, model)
    assert trainer.rows.counts.cut == (kind == "cut")
    batch = batches_of(trainer)[0]
    seen: list[torch.Tensor] = []
    head = model.get_output_embeddings()

    def keep(states: torch.Tensor) -> torch.Tensor:
        states = states.detach().requires_grad_()
        seen.append(states)
        return head(states)

    trainer._logits = lambda model, inputs, rows, columns: keep(  # type: ignore[method-assign]
        model.model(input_ids=inputs["input_ids"]).last_hidden_state
    )[rows, columns]
    trainer.compute_loss(model, batch).backward()
    gradient = seen[0].grad
    assert gradient is not None
    touched = gradient.abs().sum(-1) > 0
    expected = torch.zeros_like(touched)
    for row, column in torch.nonzero(batch["labels"] != IGNORED).tolist():
        expected[row, int(batch["before"][row, column])] = True
    assert torch.equal(touched, expected)


def test_a_killed_run_goes_on_with_the_same_losses(tmp_path: Path, plan: GeneratorPlan) -> None:
    source = rows_file(tmp_path, every_row())
    train_generator([source], tmp_path / "whole", plan, silent)
    whole = losses(tmp_path / "whole")
    assert [step for step, _ in whole] == list(range(1, len(whole) + 1)) and len(whole) > 5

    def killed_after(step: int) -> Callable[[str], None]:
        def report(line: str) -> None:
            if line.startswith(f"step {step} "):
                raise KeyboardInterrupt

        return report

    broken = tmp_path / "broken"
    for step in (3, 5):
        with pytest.raises(KeyboardInterrupt):
            train_generator([source], broken, plan, killed_after(step))
    newest = max((broken / "checkpoints").iterdir())
    assert newest.name == "checkpoint-4"
    # A checkpoint that was being written when the run was killed.
    (broken / "checkpoints" / "checkpoint-9").mkdir()
    report = train_generator([source], broken, plan, silent)
    assert losses(broken) == whole
    assert report.steps == len(whole) and report.loss == whole[-1][1]
    again = train_generator([source], broken, plan, silent)
    assert again.steps == report.steps and losses(broken) == whole


def test_muon_and_minutes_resume_too(tmp_path: Path, plan: GeneratorPlan) -> None:
    plan = replace(plan, optimiser="muon", epochs=None, max_minutes=0.02, schedule="constant")
    source = rows_file(tmp_path, chains())

    def report(line: str) -> None:
        if line.startswith("step 4 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_generator([source], tmp_path / "run", plan, report)
    before = losses(tmp_path / "run")
    done = train_generator([source], tmp_path / "run", plan, silent)
    after = losses(tmp_path / "run")
    assert after[:3] == before[:3] and len(after) == done.steps > 4
    assert done.seconds >= 1.2


def test_a_run_that_does_not_learn_is_stopped_at_its_gate(
    tmp_path: Path, plan: GeneratorPlan
) -> None:
    source = rows_file(tmp_path, every_row())
    gated = replace(plan, gate_minutes=1e-9, gate_loss=1e-6)
    with pytest.raises(GateFailed, match="the gate asks for 1e-06"):
        train_generator([source], tmp_path / "run", gated, silent)
    passed = train_generator([source], tmp_path / "run", replace(gated, gate_loss=100.0), silent)
    assert passed.losses["words"] < 100


def test_other_rows_or_another_plan_are_refused(tmp_path: Path, plan: GeneratorPlan) -> None:
    source = rows_file(tmp_path, chains(), 1)
    train_generator([source], tmp_path / "run", replace(plan, epochs=1), silent)
    with pytest.raises(StageChanged, match="rate"):
        train_generator([source], tmp_path / "run", replace(plan, rate=1.0), silent)
    longer = train_generator([source], tmp_path / "run", replace(plan, epochs=3), silent)
    assert longer.steps > 2
    rows_file(tmp_path, chains(), 2)
    with pytest.raises(StageChanged, match="rows"):
        train_generator([source], tmp_path / "run", replace(plan, epochs=3), silent)


def test_accumulated_batches_take_the_step_of_one_large_batch(
    tmp_path: Path, plan: GeneratorPlan
) -> None:
    found = []
    rows = every_row()
    for name, tokens, accumulate in (("large", 10_000, 1), ("small", 1, len(rows))):
        folder = tmp_path / name
        folder.mkdir()
        changed = replace(plan, tokens=tokens, accumulate=accumulate, epochs=1, packed=True)
        source = rows_file(folder, rows, 1)
        train_generator([source], folder / "run", changed, silent)
        found.append(load_file(folder / "run" / "model" / "model.safetensors"))
        assert len(losses(folder / "run")) == 1
    for name, weights in found[0].items():
        assert torch.allclose(weights, found[1][name], atol=1e-4), name


def test_an_exported_model_answers(tmp_path: Path, plan: GeneratorPlan) -> None:
    source = rows_file(tmp_path, every_row(), 1)
    report = train_generator([source], tmp_path / "run", replace(plan, epochs=1), silent)
    rag = SelfRAG.from_pretrained(report.model, retriever=GivenPassages([FASO]))
    answer = rag.ask("What is the capital?")
    assert answer.usage.generated_tokens > 0
    assert (report.model / "README.md").read_text(encoding="utf-8").startswith("# A Self-RAG")

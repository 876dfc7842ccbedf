"""Training critics: what they learn, resumption, what is dropped, temperatures, folders."""

from __future__ import annotations

import errno
import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from critic_helpers import (
    all_groups,
    question,
    relevance,
    save_causal,
    save_pair,
    tiny_encoder,
    write,
)

from decoding.vocabulary import (
    IRRELEVANT,
    RELEVANT,
    RETRIEVAL,
)
from indexes.passage import Passage
from selfrag.training.critic import train as training_module
from selfrag.training.critic.errors import (
    CorruptCritic,
    EmptySplit,
    MissingExtra,
)
from selfrag.training.critic.heads import HeadsNetwork
from selfrag.training.critic.judgements import class_weights
from selfrag.training.critic.language import LanguageNetwork
from selfrag.training.critic.metrics import evaluate_critic
from selfrag.training.critic.model import ModelCritic
from selfrag.training.critic.plan import CriticPlan
from selfrag.training.critic.questions import Judgement, Unjudged
from selfrag.training.critic.tempering import calibrate_critic
from selfrag.training.critic.train import CriticTraining, train_critic
from selfrag.training.errors import StageChanged, StageFailed

FRESH = CriticPlan(
    kind="encoder",
    fresh=tiny_encoder(),
    pieces=400,
    context=96,
    epochs=4,
    batch=16,
    rate=2e-3,
    warmup=0.1,
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a tiny causal and a tiny sequence-to-sequence model."""
    folder = tmp_path_factory.mktemp("bases")
    return {"causal": save_causal(folder / "causal"), "pair": save_pair(folder / "pair")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CriticTraining]:
    """An encoder of fresh weights that has learnt IsRel."""
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("trained")
    file = write(folder / "training.jsonl", relevance(320, seed=1))
    record = train_critic(FRESH, [file], folder / "critic", name="colours")
    return folder / "critic", record


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every step's loss is logged."""
    pytest.importorskip("accelerate")
    monkeypatch.setattr(training_module, "LOG_STEPS", 1)
    yield


def test_a_fresh_encoder_learns_the_overlap_of_words(
    trained: tuple[Path, CriticTraining],
) -> None:
    folder, record = trained
    critic = ModelCritic.from_folder(folder, device="cpu")
    report = evaluate_critic(critic, relevance(60, seed=2))
    metrics = report.group("IsRel")
    assert metrics.accuracy.value is not None and metrics.accuracy.value >= 0.95
    assert metrics.reliability is not None and metrics.reliability.error < 0.1
    assert (record.read, record.used, record.steps) == (320, 320, 80)
    assert [step for step, _ in record.losses] == list(range(10, 81, 10))
    assert record.losses[-1][1] < record.losses[0][1]
    assert record.warnings == [f"No judgement of {g}." for g in ("Retrieve", "IsSup", "IsUse")]


def test_judgements_come_in_order_with_probabilities_and_a_source(
    trained: tuple[Path, CriticTraining],
) -> None:
    asked = [one.question for one in relevance(7, seed=3)]
    asked[3] = replace(asked[3], instruction="name a red or blue or red or blue thing")
    together = ModelCritic.from_folder(trained[0], device="cpu").judge(asked)
    alone = ModelCritic.from_folder(trained[0], device="cpu", batch=1).judge(asked)
    for one, other, wanted in zip(together, alone, asked, strict=True):
        assert isinstance(one, Judgement) and isinstance(other, Judgement)
        assert one.question == wanted
        assert one.source == "model:colours"
        assert set(one.probabilities) == {RELEVANT, IRRELEVANT}
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert one.label == max(one.probabilities, key=lambda label: one.probabilities[label])
        assert one.probabilities == pytest.approx(dict(other.probabilities), abs=1e-4)
    assert ModelCritic.from_folder(trained[0], device="cpu").judge([]) == []


def test_what_cannot_be_judged_is_said_and_cuts_are_counted(
    trained: tuple[Path, CriticTraining],
) -> None:
    critic = ModelCritic.from_folder(trained[0], device="cpu")
    assert critic.name == "model:colours"
    asked = [
        question("IsUse", "red"),
        question("IsRel", "red", instruction="red " * 200),
        question("IsRel", "red", passage=Passage("p", "", "the hat is red " * 90)),
        question("IsRel", "red", "red"),
    ]
    untrained, long, cut, plain = critic.judge(asked)
    assert isinstance(untrained, Unjudged) and "not trained for IsUse" in untrained.reason
    assert isinstance(long, Unjudged) and "the model reads 96" in long.reason
    assert isinstance(cut, Judgement) and isinstance(plain, Judgement)
    usage = critic.usage
    assert (usage.asked, usage.cut, usage.refused) == (4, 1, 2)


def test_a_folder_holds_no_pickle_and_is_not_trained_twice(
    trained: tuple[Path, CriticTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record = trained
    names = {path.name for path in folder.iterdir()}
    assert {"critic.json", "model.safetensors", "config.json", "tokenizer.json"} <= names
    assert {path.suffix for path in folder.iterdir()} <= {".json", ".jsonl", ".safetensors"}
    assert not folder.with_name("critic-run").exists()
    card = json.loads((folder / "critic.json").read_text(encoding="utf-8"))
    assert card["schema"] == 1
    assert card["counts"]["IsRel"][RELEVANT] + card["counts"]["IsRel"][IRRELEVANT] == 320
    monkeypatch.setattr(training_module, "_train", lambda *_: pytest.fail("trained again"))
    file = folder.with_name("training.jsonl")
    assert train_critic(FRESH, [file], folder) == record
    with pytest.raises(StageChanged, match="another plan"):
        train_critic(replace(FRESH, seed=2), [file], folder)


def plan_of(kind: str, bases: dict[str, Path]) -> CriticPlan:
    """Six steps, with a checkpoint after every second; dropout where the model has it."""
    more: dict[str, Any] = {"epochs": 3, "batch": 8, "save_every": 2, "rate": 3e-3}
    if kind == "encoder":
        fresh = {**tiny_encoder(), "hidden_dropout_prob": 0.2}
        return replace(FRESH, fresh=fresh, **more)
    plan = CriticPlan(kind="language", base=str(bases[kind]), context=400, **more)
    return replace(plan, balance=True, gradient_checkpointing=kind == "causal")


@pytest.mark.parametrize("kind", ["encoder", "causal", "pair"])
def test_a_resumed_run_is_the_uninterrupted_one(
    kind: str,
    bases: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    short_steps: None,
) -> None:
    file = write(tmp_path / "training.jsonl", all_groups())
    plan = plan_of(kind, bases)
    whole = train_critic(plan, [file], tmp_path / "whole")

    network = HeadsNetwork if kind == "encoder" else LanguageNetwork
    count, losses = 0, network.losses

    def killed(*arguments: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return losses(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(network, "losses", killed)
        with pytest.raises(KeyboardInterrupt):
            train_critic(plan, [file], tmp_path / "resumed")
    run = tmp_path / "resumed-run"
    assert {path.name for path in run.glob("checkpoint-*")} == {"checkpoint-2"}
    (run / "checkpoint-4").mkdir()  # begun, and not written to its end
    with pytest.raises(StageChanged):
        train_critic(replace(plan, seed=9), [file], tmp_path / "resumed")
    resumed = train_critic(plan, [file], tmp_path / "resumed")

    assert resumed.steps == 6
    assert [step for step, _ in whole.losses] == [1, 2, 3, 4, 5, 6]
    assert resumed.losses == whole.losses
    weights = [
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "resumed")
    ]
    assert weights[0] == weights[1]
    critic = ModelCritic.from_folder(tmp_path / "resumed", device="cpu")
    asked = [one.question for one in all_groups()]
    judged = critic.judge(asked)
    for one in judged:
        assert isinstance(one, Judgement)
        assert sum(one.probabilities.values()) == pytest.approx(1)


def test_a_full_disk_stops_the_training_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_steps: None
) -> None:
    file = write(tmp_path / "training.jsonl", relevance(16, seed=1))
    plan = replace(FRESH, epochs=1, batch=8, save_every=1)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(HeadsNetwork, "save", full)
        with pytest.raises(StageFailed, match=r"No space left.*run the same command again"):
            train_critic(plan, [file], tmp_path / "critic")
    with pytest.raises(CorruptCritic, match=r"critic\.json"):
        ModelCritic.from_folder(tmp_path / "critic")
    monkeypatch.setattr(HeadsNetwork, "losses", lambda *_: pytest.fail("it was trained already"))
    assert train_critic(plan, [file], tmp_path / "critic").steps == 2


def test_unusable_lines_are_counted_and_listed(tmp_path: Path, short_steps: None) -> None:
    good = relevance(6, seed=1)
    long = replace(good[0], question=replace(good[0].question, instruction="red " * 300), row="r7")
    cut = replace(
        good[1], question=replace(good[1].question, passage=Passage("p", "", "hat " * 200))
    )
    wrong = good[0].to_dict() | {"label": "[Utility:1]", "row": "r8"}
    nameless = good[0].to_dict()
    nameless["question"]["passage"]["id"] = ""
    more = ["{", json.dumps(wrong), json.dumps(nameless), "[1]"]
    file = write(tmp_path / "training.jsonl", [*good, long, cut], *more)
    plan = replace(FRESH, epochs=1)
    record = train_critic(plan, [file], tmp_path / "critic")
    assert (record.read, record.used, record.cut) == (12, 7, 1)
    assert record.cut_tokens > 100
    assert record.dropped == {"no judgement": 2, "not JSON": 2, "too long": 1}
    lines = (tmp_path / "critic" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    drops = [json.loads(line) for line in lines]
    assert [(drop["place"], drop["row"], drop["reason"]) for drop in drops] == [
        (7, "r7", "too long"),
        (9, "", "not JSON"),
        (10, "r8", "no judgement"),
        (11, "", "no judgement"),
        (12, "", "not JSON"),
    ]
    assert any("1 of 7 prompts were cut" in warning for warning in record.warnings)
    assert "1 lines were dropped: too long." in record.warnings


def test_a_label_that_never_occurs_is_named(tmp_path: Path, short_steps: None) -> None:
    only = [one for one in relevance(12, seed=1) if one.label == RELEVANT]
    file = write(tmp_path / "training.jsonl", only)
    record = train_critic(replace(FRESH, epochs=1), [file], tmp_path / "critic")
    assert f"IsRel: {IRRELEVANT} never occurs." in record.warnings


def test_balanced_weights_by_hand() -> None:
    relevant, irrelevant = question("IsRel", "red", "red"), question("IsRel", "red", "blue")
    judged = [
        Judgement(relevant, RELEVANT, "gold"),
        Judgement(relevant, RELEVANT, "gold"),
        Judgement(relevant, RELEVANT, "gold"),
        Judgement(irrelevant, IRRELEVANT, "gold"),
        Judgement(question("Retrieve", "red"), RETRIEVAL, "gold"),
    ]
    # Two labels of four judgements each weigh 2 in sum: 4 / (2 * 3) and 4 / (2 * 1).
    assert class_weights(judged) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0, 1.0])


# Temperatures.


def test_a_temperature_is_fitted_saved_and_used(
    trained: tuple[Path, CriticTraining], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained[0], tmp_path / "critic"))
    rng = random.Random(4)
    split = []
    for one in relevance(40, seed=5):
        other = IRRELEVANT if one.label == RELEVANT else RELEVANT
        split.append(replace(one, label=other if rng.random() < 0.25 else one.label))
    plain = ModelCritic.from_folder(folder, device="cpu")
    critic, fits = calibrate_critic(folder, split, device="cpu")
    fit = next(one for one in fits if one.group == "IsRel")
    assert fit.temperature > 2  # a quarter of the labels is wrong, and the critic is sure
    assert fit.after is not None and fit.before is not None and fit.after < fit.before
    assert [one.temperature for one in fits if one.group != "IsRel"] == [1.0] * 3
    saved = ModelCritic.from_folder(folder, device="cpu")
    assert saved.card == critic.card
    assert saved.card.calibrated_on["IsRel"] == 40
    asked = [one.question for one in split[:4]]
    for before, after in zip(plain.judge(asked), saved.judge(asked), strict=True):
        assert isinstance(before, Judgement) and isinstance(after, Judgement)
        assert before.label == after.label
        assert after.probabilities[after.label] < before.probabilities[before.label]


def test_temperatures_that_nothing_determines_stay(
    trained: tuple[Path, CriticTraining], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(trained[0], tmp_path / "critic"))
    critic = ModelCritic.from_folder(folder, device="cpu")
    judged = critic.judge([one.question for one in relevance(30, seed=6)])
    right = [one for one in judged if isinstance(one, Judgement)]
    for split, note in ((right[:5], "fewer than 20"), (right, "all judged right")):
        _, fits = calibrate_critic(folder, split, device="cpu")
        fit = next(one for one in fits if one.group == "IsRel")
        assert fit.temperature == 1.0
        assert note in fit.note
    with pytest.raises(EmptySplit):
        calibrate_critic(folder, [])


# Bad input.


def test_an_empty_training_file_is_refused(tmp_path: Path, short_steps: None) -> None:
    file = write(tmp_path / "empty.jsonl", [], "{")
    with pytest.raises(EmptySplit, match="None of 1 lines"):
        train_critic(FRESH, [file], tmp_path / "critic")
    with pytest.raises(StageFailed, match="Cannot read"):
        train_critic(FRESH, [tmp_path / "absent.jsonl"], tmp_path / "critic")


def test_damaged_folders_are_named(trained: tuple[Path, CriticTraining], tmp_path: Path) -> None:
    with pytest.raises(CorruptCritic, match="holds no critic"):
        ModelCritic.from_folder(tmp_path)
    damages: dict[str, Any] = {
        "schema": 2,
        "labels": {"IsRel": ["yes", "no"]},
        "kind": "x",
        "context": -1,
        "temperatures": {"IsRel": 0},
    }
    for number, (key, value) in enumerate(damages.items()):
        folder = Path(shutil.copytree(trained[0], tmp_path / str(number)))
        card = json.loads((folder / "critic.json").read_text(encoding="utf-8"))
        (folder / "critic.json").write_text(json.dumps({**card, key: value}), encoding="utf-8")
        with pytest.raises(CorruptCritic, match=key.rstrip("s")):
            ModelCritic.from_folder(folder)
    folder = Path(shutil.copytree(trained[0], tmp_path / "weights"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(CorruptCritic, match="cannot be loaded"):
        ModelCritic.from_folder(folder)
    weights.unlink()
    with pytest.raises(CorruptCritic, match="cannot be loaded"):
        ModelCritic.from_folder(folder)


def test_training_without_accelerate_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "training.jsonl", relevance(4, seed=1))
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtra, match=r"selfrag\[train\]"):
        train_critic(FRESH, [file], tmp_path / "critic")


def test_bfloat16_and_accumulated_batches_train_without_a_gpu(
    bases: dict[str, Path], tmp_path: Path, short_steps: None
) -> None:
    file = write(tmp_path / "training.jsonl", all_groups()[:8])
    plan = CriticPlan(
        kind="language",
        base=str(bases["pair"]),
        context=300,
        epochs=1,
        batch=2,
        accumulation=4,
        precision="bfloat16",
        rate=1e-3,
    )
    record = train_critic(plan, [file], tmp_path / "critic")
    # The mean over four batches of two is the mean over one of eight.
    whole = train_critic(replace(plan, batch=8, accumulation=1), [file], tmp_path / "whole")
    assert record.steps == whole.steps == 1
    assert record.losses[0][1] == pytest.approx(whole.losses[0][1], rel=0.02)

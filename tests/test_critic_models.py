"""Critic models: what they read, exact scores, training, resumption, folders, bad input."""

from __future__ import annotations

import errno
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from critic_helpers import (
    UNSEEN,
    all_groups,
    question,
    relevance,
    save_causal,
    save_pair,
    tiny_encoder,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizers import byte_level, llama

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    GROUPS,
    IRRELEVANT,
    NO_RETRIEVAL,
    RELEVANT,
    RETRIEVAL,
)
from indexes.passage import Passage
from selfrag.training.critic import train as training_module
from selfrag.training.critic.base import open_base
from selfrag.training.critic.errors import (
    CorruptCritic,
    EmptySplit,
    InvalidPlan,
    MissingExtra,
    QuestionTooLong,
)
from selfrag.training.critic.features import LEAST_PASSAGE, Frame, QuestionReader, encode_plain
from selfrag.training.critic.heads import HeadsNetwork
from selfrag.training.critic.judgements import class_weights
from selfrag.training.critic.language import LanguageNetwork
from selfrag.training.critic.metrics import evaluate_critic
from selfrag.training.critic.model import ModelCritic
from selfrag.training.critic.network import Example
from selfrag.training.critic.plan import CriticPlan
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.critic.tempering import calibrate_critic
from selfrag.training.critic.train import CriticTraining, train_critic
from selfrag.training.errors import StageChanged, StageFailed, UnusableBase

FRESH = CriticPlan(
    kind="encoder",
    fresh=tiny_encoder(),
    pieces=200,
    context=96,
    epochs=2,
    batch=16,
    rate=3e-3,
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


# What a model reads.


def test_a_prompt_in_full() -> None:
    tokenizer = byte_level(special=False)
    asked = CriticQuestion(
        "IsSup", "Name it.", "First.", Passage("7", "A title", "A text."), "It is this."
    )
    read = QuestionReader(tokenizer, 400).read(asked)
    assert tokenizer.decode(list(read.ids)) == (
        "Does the passage support the sentence?\nInstruction: Name it.\nBefore: First.\n"
        "Passage: A title\nA text.\nSentence: It is this.\nJudgement: "
    )
    assert read.cut == 0


def test_a_prompt_has_only_the_fields_of_its_question() -> None:
    tokenizer = byte_level(special=False)
    asked = CriticQuestion("Retrieve", "Name it.")
    text = tokenizer.decode(list(QuestionReader(tokenizer, 400).read(asked).ids))
    assert text == "Is a passage needed to go on?\nInstruction: Name it.\nJudgement: "


def test_special_tokens_in_a_text_are_text() -> None:
    for tokenizer in (byte_level(special=True), llama(legacy=False)):
        ids = encode_plain(tokenizer, "a </s> [Relevant] <s> b")
        assert not set(ids) & {tokenizer.eos_token_id, tokenizer.bos_token_id}
        assert tokenizer.convert_tokens_to_ids(RELEVANT) not in ids


@settings(deadline=None, max_examples=60)
@given(
    st.integers(90, 260),
    st.text("abc ", min_size=0, max_size=150),
    st.text("def ", min_size=1, max_size=250),
    st.sampled_from(["IsRel", "IsSup"]),
)
def test_instruction_and_sentence_survive_every_cut(
    limit: int, preceding: str, text: str, group: Any
) -> None:
    tokenizer = byte_level(special=False)
    sentence = "" if group == "IsRel" else "THE SENTENCE"
    asked = CriticQuestion(
        group, "THE INSTRUCTION", preceding, Passage("p", "THE TITLE", text), sentence
    )
    whole = QuestionReader(tokenizer, 10_000).read(asked)
    try:
        read = QuestionReader(tokenizer, limit).read(asked)
    except QuestionTooLong:
        least = min(len(encode_plain(tokenizer, text)), LEAST_PASSAGE)
        fixed = replace(asked, preceding="", passage=Passage("p", "THE TITLE", ""))
        base = len(QuestionReader(tokenizer, 10_000).read(fixed).ids)
        heading = len(encode_plain(tokenizer, "\nBefore: ")) if preceding.strip() else 0
        # The preceding text may take a quarter of the room before the passage is refused.
        assert (limit - base - heading) * 3 / 4 < least
        return
    assert len(read.ids) == min(limit, len(whole.ids))
    assert read.cut == len(whole.ids) - len(read.ids)
    shown = tokenizer.decode(list(read.ids))
    for part in ("THE INSTRUCTION", "THE TITLE", sentence, "Judgement: "):
        assert part in shown


def test_the_passage_keeps_its_beginning_and_the_preceding_text_its_end() -> None:
    tokenizer = byte_level(special=False)
    words = [f"w{number:02d}" for number in range(60)]
    passage = Passage("p", "", " ".join(words))
    asked = CriticQuestion("IsSup", "i", " ".join(reversed(words)), passage, "s")
    fixed = len(QuestionReader(tokenizer, 9999).read(asked).ids)
    long = 2 * len(encode_plain(tokenizer, passage.text))
    read = QuestionReader(tokenizer, fixed - long + 80).read(asked)  # room for 80 of the two
    shown = tokenizer.decode(list(read.ids))
    before = shown.split("Before: ")[1].split("\nPassage")[0]
    kept = shown.split("Passage: ")[1].split("\nSentence")[0]
    assert before and " ".join(reversed(words)).endswith(before)
    assert kept and passage.text.startswith(kept)
    assert len(encode_plain(tokenizer, kept)) == 60
    assert read.cut == long - 80


def test_special_tokens_around_a_text() -> None:
    with_both = llama(legacy=False, add_eos_token=True)
    assert Frame.of(with_both) == Frame((with_both.bos_token_id,), (with_both.eos_token_id,))
    assert Frame.of(byte_level(special=False)) == Frame((), ())


# Exact scores.


def log_p_by_hand(network: LanguageNetwork, asked: CriticQuestion, label: str) -> float:
    """log p(label), one row without any filling, token by token."""
    model, tokenizer = network.module, network.tokenizer
    prompt = list(network.reader.read(asked).ids)
    answer = [*encode_plain(tokenizer, label), tokenizer.eos_token_id]
    total = 0.0
    for place, token in enumerate(answer):
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                start = [model.config.decoder_start_token_id, *answer[:place]]
                inputs = {"input_ids": prompt, "decoder_input_ids": start}
            else:
                inputs = {"input_ids": [*prompt, *answer[:place]]}
            tensors = {name: torch.tensor([ids]) for name, ids in inputs.items()}
            logits = model(**tensors).logits[0, -1]
        total += float(torch.log_softmax(logits, dim=-1)[token])
    return total


@pytest.mark.parametrize("kind", ["causal", "pair"])
def test_label_probabilities_are_exact_and_the_loss_is_of_the_label_alone(
    bases: dict[str, Path], kind: str
) -> None:
    network = LanguageNetwork.load(bases[kind], 400)
    network.module.eval()
    asked = [question("IsRel", "red", "blue"), question("IsRel", "red", "red", "long boat house")]
    reads = [network.reader.read(one) for one in asked]
    labels = GROUPS["IsRel"]
    by_hand = [[log_p_by_hand(network, one, label) for label in labels] for one in asked]
    scores = network.scores(reads, labels, "IsRel")
    for row, reference in zip(scores, by_hand, strict=True):
        expected = torch.log_softmax(torch.tensor(reference), dim=-1).tolist()
        assert row == pytest.approx(expected, abs=1e-4)
    examples = [
        Example(read, one, label)
        for read, one in zip(reads, asked, strict=True)
        for label in labels
    ]
    losses = network.losses(network.module, network.collate(examples)).tolist()
    assert losses == pytest.approx([-value for row in by_hand for value in row], abs=1e-3)


def test_a_model_whose_cache_cannot_be_repeated_gives_the_same_scores(
    bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = LanguageNetwork.load(bases["causal"], 400)
    network.module.eval()
    reads = [
        network.reader.read(question("IsUse", "red")),
        network.reader.read(question("IsUse", "blue", noun="longer name")),
    ]
    fast = network.scores(reads, GROUPS["IsUse"], "IsUse")
    monkeypatch.setattr(network, "_scores_with_cache", lambda *_: None)
    slow = network.scores(reads, GROUPS["IsUse"], "IsUse")
    for row, other in zip(fast, slow, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


def test_heads_give_no_probability_to_what_may_not_answer() -> None:
    torch.manual_seed(0)
    network = heads()
    alone = question("Retrieve", "red")
    with_passage = question("Retrieve", "red", passage=Passage("p", "", "text"))
    assert alone.labels == (NO_RETRIEVAL, RETRIEVAL)
    for asked in (alone, with_passage):
        row = network.scores([network.reader.read(asked)], asked.labels, "Retrieve")[0]
        assert len(row) == len(asked.labels)
        assert sum(torch.tensor(row).exp().tolist()) == pytest.approx(1)
    examples = [
        Example(network.reader.read(alone), alone, RETRIEVAL),
        Example(network.reader.read(with_passage), with_passage, CONTINUE_EVIDENCE),
    ]
    losses = network.losses(network.module, network.collate(examples))
    row = network.scores([examples[0].read], alone.labels, "Retrieve")[0]
    assert float(losses[0]) == pytest.approx(-row[1], abs=1e-5)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    gradient = network.module.heads.weight.grad
    assert gradient is not None and bool(torch.isfinite(gradient).all())
    assert bool((gradient[3:] == 0).all()) and bool((gradient[:3] != 0).any())


def heads(context: int = 96, **changes: Any) -> HeadsNetwork:
    """An encoder of fresh weights with a byte-level tokenizer."""
    from transformers import AutoConfig, AutoModel

    tokenizer = byte_level(special=False)
    values = {**tiny_encoder(), "vocab_size": len(tokenizer), **changes}
    body: Any = AutoModel
    return HeadsNetwork(body.from_config(AutoConfig.for_model(**values)), tokenizer, context)


# Training.


def test_a_fresh_encoder_learns_the_overlap_of_words(
    trained: tuple[Path, CriticTraining],
) -> None:
    folder, record = trained
    critic = ModelCritic.from_folder(folder, device="cpu")
    report = evaluate_critic(critic, relevance(60, seed=2, nouns=UNSEEN))
    metrics = report.group("IsRel")
    assert metrics.accuracy.value is not None and metrics.accuracy.value >= 0.95
    assert metrics.reliability is not None and metrics.reliability.error < 0.1
    assert (record.read, record.used, record.steps) == (320, 320, 40)
    assert [step for step, _ in record.losses] == [10, 20, 30, 40]
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
    if kind != "encoder":  # its word pieces are trained for each run, and ties may break otherwise
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
    import shutil

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
    import shutil

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


def test_bases_that_cannot_be_trained_are_named(bases: dict[str, Path], tmp_path: Path) -> None:
    def refused(plan: CriticPlan) -> str:
        with pytest.raises(UnusableBase) as caught:
            open_base(plan, [], tmp_path)
        return str(caught.value)

    language = CriticPlan(kind="language", base=str(bases["causal"]), context=200)
    encoder = CriticPlan(kind="encoder", base=str(bases["causal"]), context=200)
    no_pad = str(save_causal(tmp_path / "no-pad", pad_token=None))
    no_end = str(save_causal(tmp_path / "no-end", eos_token=None))
    assert "no pad token" in refused(replace(encoder, base=no_pad))
    assert "no end of text" in refused(replace(language, base=no_end))
    assert "reads 512" in refused(replace(language, context=1000))
    assert "encoder and a decoder" in refused(replace(encoder, base=str(bases["pair"])))
    assert "cannot be loaded" in refused(replace(language, base=str(tmp_path / "absent")))
    unknown = replace(encoder, base="", fresh={"model_type": "nonsense"}, tokenizer=no_pad)
    assert "cannot be loaded" in refused(unknown)
    # A causal model needs none: what is filled up is masked.
    network = open_base(replace(language, base=no_pad), [], tmp_path)
    asked = [question("IsRel", "red"), question("IsRel", "red", "blue", "longer name")]
    reads = [network.reader.read(one) for one in asked]
    together = network.scores(reads, asked[0].labels, "IsRel")
    alone = [network.scores([read], asked[0].labels, "IsRel")[0] for read in reads]
    for row, other in zip(together, alone, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "nonsense", "base": "x"},
        {"kind": "language"},
        {"kind": "language", "fresh": {"model_type": "bert"}},
        {"kind": "encoder", "fresh": {}},
        {"kind": "encoder", "base": "x", "fresh": {"model_type": "bert"}},
        {"kind": "encoder", "base": "x", "gradient_checkpointing": True},
        {"kind": "language", "base": "x", "precision": "float16"},
        {"kind": "language", "base": "x", "context": 0},
        {"kind": "language", "base": "x", "epochs": 0},
        {"kind": "language", "base": "x", "rate": 0},
        {"kind": "language", "base": "x", "warmup": 1.0},
        {"kind": "language", "base": "x", "nonsense": 1},
        {"base": "x"},
    ],
)
def test_plans_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidPlan, match=r"Allowed|needed"):
        CriticPlan.from_dict(values)


def test_a_plan_comes_back() -> None:
    assert CriticPlan.from_dict(json.loads(json.dumps(FRESH.to_dict()))) == FRESH


def test_damaged_folders_are_named(trained: tuple[Path, CriticTraining], tmp_path: Path) -> None:
    import shutil

    with pytest.raises(CorruptCritic, match="holds no critic"):
        ModelCritic.from_folder(tmp_path)
    for number, (key, value) in enumerate(
        [("schema", 2), ("labels", {"IsRel": ["yes", "no"]}), ("kind", "x"), ("context", -1)]
        + [("temperatures", {"IsRel": 0})]
    ):
        folder = Path(shutil.copytree(trained[0], tmp_path / str(number)))
        card = json.loads((folder / "critic.json").read_text(encoding="utf-8"))
        (folder / "critic.json").write_text(json.dumps({**card, key: value}), encoding="utf-8")
        with pytest.raises(CorruptCritic, match=key):
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

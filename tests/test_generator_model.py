"""The model to be trained: rows of new tokens, low-rank updates, refusals, plans, plots."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from generator_rows import chains, every_row, one_paragraph, several_paragraphs, write
from tiny_models import tiny_llama
from tiny_tokenizers import CORPUS, byte_level, fast_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from decoding.vocabulary import CONTROL_STRINGS, ReflectionVocabulary
from selfrag.training.errors import InvalidRow, UnusableBase
from selfrag.training.generator.curves import plot_curves
from selfrag.training.generator.encoded import encode_files
from selfrag.training.generator.encoding import RowEncoder
from selfrag.training.generator.model import (
    add_control_tokens,
    add_rows,
    check_tokenizer,
    load_trainee,
)
from selfrag.training.generator.packing import TokenBatches
from selfrag.training.generator.plan import GeneratorPlan, InvalidPlan, LoraPlan
from selfrag.training.generator.rows import row_from_output
from selfrag.training.generator.training import train_generator
from selfrag.training.rows import segment_text


def base_tokenizer() -> Any:
    """A tokenizer of an ordinary base model: no control tokens, no padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return fast_tokenizer(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.fixture(params=[False, True], ids=["untied", "tied"])
def base(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    tokenizer = base_tokenizer()
    model = tiny_llama(len(tokenizer), tie_word_embeddings=request.param, initializer_range=0.05)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def plan_for(base: Path, **changes: Any) -> GeneratorPlan:
    settings: dict[str, Any] = {"epochs": 1, "tokens": 600, "max_length": 512, "rate": 1e-2}
    settings |= {"precision": "float32", "log_steps": 1, "export_dtype": "float32"}
    return GeneratorPlan(base=str(base), **{**settings, **changes})


def silent(line: str) -> None:
    pass


def test_new_rows_are_the_mean_of_the_old_ones(base: Path) -> None:
    trainee = load_trainee(plan_for(base))
    assert len(trainee.new_ids) == 16 and trainee.pad_id == trainee.new_ids[-1]
    ReflectionVocabulary.from_tokenizer(trainee.tokenizer)
    old = trainee.new_ids[0]
    for table in (trainee.model.get_input_embeddings(), trainee.model.get_output_embeddings()):
        assert table.weight.shape[0] == old + 16 == trainee.model.config.vocab_size
        mean = table.weight[:old].mean(0)
        assert torch.allclose(table.weight[old:], mean.expand(16, -1), atol=1e-7)
        assert table.weight[:old].std(0).min() > 0.01


def test_rows_that_a_base_has_beyond_its_tokenizer_are_used() -> None:
    model = tiny_llama(64)
    before = model.get_input_embeddings().weight.detach().clone()
    add_rows(model, 50, range(50, 60))
    after = model.get_input_embeddings().weight
    assert after.shape[0] == 64
    assert torch.allclose(after[50:60], before[:50].mean(0).expand(10, -1), atol=1e-7)
    assert torch.equal(after[60:], before[60:]) and torch.equal(after[:50], before[:50])


def test_tokens_that_are_there_are_not_added_again() -> None:
    tokenizer = base_tokenizer()
    tokenizer.add_tokens(list(CONTROL_STRINGS), special_tokens=True)
    tokenizer.pad_token = "</s>"
    assert add_control_tokens(tokenizer) == ()


class Slow:
    eos_token = "</s>"


def test_tokenizers_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(UnusableBase, match="no fast"):
        check_tokenizer(Slow())
    with pytest.raises(UnusableBase, match="No tokenizer can be loaded"):
        load_trainee(GeneratorPlan(base="/nowhere/at/all", epochs=1))


def test_lora_trains_the_new_rows_and_is_merged(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    plan = plan_for(base, lora=LoraPlan(rank=4), checkpoint_minutes=1e-9)
    source = write(tmp_path / "rows.jsonl", every_row())
    begun = load_trainee(replace(plan, lora=None)).model
    old = load_trainee(plan).new_ids[0]

    def killed(line: str) -> None:
        if line.startswith("step 2 "):
            raise KeyboardInterrupt

    whole = train_generator([source], tmp_path / "whole", replace(plan, epochs=2), silent)
    with pytest.raises(KeyboardInterrupt):
        train_generator([source], tmp_path / "run", replace(plan, epochs=2), killed)
    report = train_generator([source], tmp_path / "run", replace(plan, epochs=2), silent)
    assert report.losses == whole.losses and report.steps > 2

    done = load_trainee(GeneratorPlan(base=str(report.model), epochs=1))
    assert done.new_ids == ()
    read = RowEncoder(done.tokenizer).vocabulary
    used = sorted({*read.read_ids} - {read.partially})  # no row has [Partially supported]
    for name in ("get_input_embeddings", "get_output_embeddings"):
        first, last = getattr(begun, name)().weight, getattr(done.model, name)().weight
        assert torch.equal(first[:old], last[:old])
        assert (first[used] - last[used]).abs().sum(1).min() > 0
    inner = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(begun.state_dict()[inner], done.model.state_dict()[inner])


def test_gradient_checkpointing_changes_nothing(base: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", every_row())
    losses = [
        train_generator(
            [source],
            tmp_path / str(used),
            plan_for(base, gradient_checkpointing=used),
            silent,
        ).losses
        for used in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_paper_s_rows_are_trees_without_branches(tmp_path: Path) -> None:
    row = several_paragraphs()
    # Look-alikes of control tokens cannot be told from tokens in the paper's form.
    output = "".join(map(segment_text, (one_paragraph().segments[0],)))
    parsed = row_from_output({"instruction": "What is the capital?", "output": output}, "one")
    encoder = RowEncoder(byte_level(special=True))
    found, expected = encoder.encode(parsed), encoder.encode(one_paragraph())
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.labels.tolist() == expected.labels.tolist()
    chained = "".join(map(segment_text, row.segments[:2])) + "[No Retrieval]Bye.[Utility:2]</s>"
    parsed = row_from_output({"instruction": "x", "output": chained, "input": ""}, "two")
    assert parsed.is_chain and len(parsed.segments) == 3 and parsed.input is None
    assert parsed.segments[-1].utility == 2
    with pytest.raises(InvalidRow, match="'bad' leaves the training grammar"):
        row_from_output({"instruction": "x", "output": "[Retrieval]No passage."}, "bad")


def test_rows_that_cannot_be_used_are_listed_with_their_ids(tmp_path: Path) -> None:
    encoder = RowEncoder(byte_level(special=True))
    good = len(encoder.encode(one_paragraph()))
    path = write(tmp_path / "rows.jsonl", [one_paragraph("kept"), several_paragraphs("cut")])
    long = replace(one_paragraph("long"), instruction="why " * 300)
    with path.open("a", encoding="utf-8") as file:
        file.write("no json\n\n")
        file.write(json.dumps({"id": "broken", "instruction": "x", "output": "[Relevant]"}) + "\n")
        file.write(json.dumps(long.to_dict()) + "\n")
        file.write('{"id": "empty", "instruction": "", "segments": []}\n')
    rows = encode_files([path], tmp_path / "encoded", encoder, max_length=good + 20, identity={})
    counts = rows.counts
    assert (counts.read, counts.kept, counts.cut) == (6, 2, 1)
    assert counts.dropped == {"not JSON": 1, "not a training row": 2, "too long": 1}
    lines = (tmp_path / "encoded/dropped.jsonl").read_text(encoding="utf-8").splitlines()
    dropped = [json.loads(line) for line in lines]
    assert [line["id"] for line in dropped] == ["3", "broken", "long", "empty"]
    assert json.loads((tmp_path / "encoded/cut.jsonl").read_text())["id"] == "cut"
    with pytest.raises(InvalidRow, match="None of the 6 rows"):
        encode_files([path], tmp_path / "encoded", encoder, max_length=5, identity={})


@pytest.mark.parametrize("packed", [False, True])
def test_an_epoch_has_every_row_once_in_batches_of_the_size(packed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(5, 200, (3000,), generator=generator).numpy()
    batches = TokenBatches(lengths, 512, packed=packed, seed=3)
    first, second = batches.epoch(0), batches.epoch(1)
    assert sorted(row for batch in first for row in batch) == list(range(3000))
    assert first != second and first == batches.epoch(0)
    sizes = [sum(lengths[batch]) if packed else len(batch) * max(lengths[batch]) for batch in first]
    assert max(sizes) <= 512
    assert lengths.sum() / (512 * len(first)) > (0.97 if packed else 0.8)
    shares = [
        [batch for batch, _ in zip(share, range(5), strict=False)]
        for share in (
            TokenBatches(lengths, 512, packed=packed, seed=3, rank=rank, processes=2)
            for rank in range(2)
        )
    ]
    assert [one for pair in zip(*shares, strict=True) for one in pair] == first[:10]


def test_schedules() -> None:
    plan = GeneratorPlan(base="x", epochs=1, warmup_steps=10)
    assert plan.rate_at(0, 0.0, 100) == pytest.approx(0.1)
    assert plan.rate_at(10, 0.1, 100) == pytest.approx(1.0)
    assert plan.rate_at(55, 0.55, 100) == pytest.approx(0.5)
    assert plan.rate_at(100, 1.0, 100) == pytest.approx(0.0)
    cosine = replace(plan, schedule="cosine")
    assert cosine.rate_at(55, 0.55, 100) == pytest.approx(0.5)
    assert cosine.rate_at(32, 0.325, 100) == pytest.approx(0.5 + 0.5**1.5)
    constant = replace(plan, schedule="constant", decay=0.5, lowest=0.2)
    assert constant.rate_at(40, 0.4, None) == 1.0
    assert constant.rate_at(40, 0.75, None) == pytest.approx(0.6)
    assert constant.rate_at(40, 1.0, None) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"base": "x"},
        {"base": "x", "epochs": 1, "max_minutes": 1.0},
        {"base": "x", "epochs": 1, "size": {}},
        {"size": {}, "epochs": 1},
        {"size": {"hidden": 30}, "tokenizer": "t", "epochs": 1},
        {"base": "x", "epochs": 1, "rate": 0.0},
        {"base": "x", "epochs": 1, "optimiser": "sgd"},
        {"base": "x", "epochs": 1, "lora": {"rang": 3}},
        {"base": "x", "epochs": 1, "learning_rate": 1e-3},
        {"base": "x", "epochs": 1, "word_weights": {"A": 0.0}},
    ],
)
def test_plans_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidPlan):
        GeneratorPlan.from_dict(settings)


@pytest.mark.parametrize("name", ["mini_first", "1b", "7b", "ablations"])
def test_recipes_are_plans(name: str) -> None:
    path = Path(__file__).parent.parent / "scripts" / "recipes" / f"{name}.yaml"
    plan = GeneratorPlan.load(path)
    assert GeneratorPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_curves_are_an_image(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source = write(tmp_path / "rows.jsonl", chains())
    train_generator([source], tmp_path / "run", plan_for(base, tokens=200), silent)
    image = plot_curves(tmp_path / "run" / "log.jsonl", tmp_path / "curves.png")
    assert image.read_bytes().startswith(b"\x89PNG")

"""Joined and packed products are the modules' own, also after the model has changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine_cases import VOCABULARY, assert_same, run
from tiny_models import tiny_llama
from torch import nn

from decoding.engine import BatchedEngine, projections
from decoding.engine.projections import Product, may_pack
from decoding.generation import Generation
from decoding.reference import ReferenceEngine

REQUESTS = [Generation((5, 6, 7, i), max_tokens=5, read_ids=(1, 2)) for i in range(3)]


def layers(bias: bool, outputs: tuple[int, ...] = (6, 4, 4)) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(8, size, bias=bias) for size in outputs]


def weight_bytes(parts: list[nn.Linear]) -> int:
    storages = {
        p.untyped_storage().data_ptr(): p.untyped_storage() for m in parts for p in m.parameters()
    }
    return sum(storage.nbytes() for storage in storages.values())


@pytest.fixture(params=["joined", "packed"])
def packs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "packed" and not may_pack(tiny_llama(VOCABULARY)):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(projections, "_WORTH_PACKING", 1 if request.param == "packed" else 2**60)
    return bool(request.param == "packed")


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_one_product_is_the_products(packs: bool, bias: bool, rows: int) -> None:
    parts = layers(bias)
    hidden = torch.randn(rows, 8)
    expected = torch.cat([part(hidden) for part in parts], dim=1).detach()
    before = weight_bytes(parts)
    product = Product(parts, pack=True)
    assert product._packed is packs
    assert torch.allclose(product(hidden), expected, atol=1e-6)
    assert torch.equal(torch.cat([part(hidden) for part in parts], dim=1), expected)
    assert weight_bytes(parts) == before


def test_a_second_engine_finds_the_weights_joined() -> None:
    parts = layers(True)
    first = Product(parts, pack=False)
    place = parts[0].weight.data_ptr()
    second = Product(parts, pack=False)
    assert parts[0].weight.data_ptr() == place
    assert first.is_current and second.is_current
    assert torch.equal(first(torch.ones(1, 8)), second(torch.ones(1, 8)))


class Doubled(nn.Linear):
    """Stands for a quantised or wrapped layer."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


class Quantised(torch.Tensor):
    """Stands for a weight that knows by itself how it is multiplied."""


def test_what_is_not_plain_is_called_as_it_is(packs: bool) -> None:
    hooked, wrapped, own, quantised = (layers(False) for _ in range(4))
    quantised[1].weight = nn.Parameter(quantised[1].weight.detach().as_subclass(Quantised))
    hooked[1].register_forward_hook(lambda module, inputs, output: output + 1)
    wrapped[0] = Doubled(8, 6, bias=False)
    forward = own[2].forward
    own[2].forward = lambda hidden: forward(hidden) - 3  # type: ignore[method-assign, assignment]
    hidden = torch.randn(2, 8)
    for parts in (hooked, wrapped, own, quantised):
        places = [part.weight.data_ptr() for part in parts]
        expected = torch.cat([part(hidden) for part in parts], dim=1)
        assert torch.equal(Product(parts, pack=True)(hidden), expected)
        assert [part.weight.data_ptr() for part in parts] == places


def changed_in_place(model: Any) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.3)


def loaded(model: Any) -> None:
    other = tiny_llama(VOCABULARY, seed=9).state_dict()
    model.load_state_dict(other)


def replaced(model: Any) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data * 0.7


@pytest.mark.parametrize("change", [changed_in_place, loaded, replaced])
def test_a_changed_model_is_noticed(packs: bool, change: Any) -> None:
    made = tiny_llama(VOCABULARY)
    engine = BatchedEngine(made, fingerprint="x")
    before = run(engine, REQUESTS)
    change(made)
    if not packs and change is not replaced:  # in place: nothing tells the engine
        engine._memory.tree.evict(engine._memory.tree.bytes)
    found = run(engine, REQUESTS)
    for draft, expected in zip(
        found, run(ReferenceEngine(made, fingerprint="x"), REQUESTS), strict=True
    ):
        assert_same(draft, expected)
    assert found[0].readings != before[0].readings


def test_a_joined_model_can_be_saved_and_read(tmp_path: Any) -> None:
    made = tiny_llama(VOCABULARY)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    BatchedEngine(made, fingerprint="x")
    made.save_pretrained(tmp_path)
    again = type(made).from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in before.items())

"""The prompts' part of a pass: new tokens of several texts, where these go, what they attend to.

A text's new tokens see each other up to themselves, what its own earlier positions hold, and what
it reads together with other texts. Texts of similar length are attended to in one call, the short
ones padded at their ends: behind a causal mask no token sees what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from decoding.engine.attention import Part, attend_all, attend_causal, merge_into, taken
from decoding.engine.keyvalues import Stretch
from decoding.engine.rows import Shared, tokens_of

_LONG = 128
"""Positions from which copying a stretch costs more than a call and a merge of its own."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """New tokens of one text, computed together.

    Attributes:
        ids: the tokens; `position` is the first one's position in the text.
        home: where their keys and values go.
        past: earlier positions that no other text of the pass sees; None where there are none.
        reads: whether the logits after its last token are wanted.
    """

    ids: Sequence[int]
    position: int
    home: Stretch
    past: Stretch | None = None
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Prompts:
    """New tokens of several texts, one text after the other.

    Attributes:
        texts: what is computed.
        shared: what texts see besides, with their places among `texts`; the homes of earlier
            texts of the same pass may be among it.
    """

    texts: Sequence[Fresh] = ()
    shared: Sequence[Shared] = ()

    @property
    def tokens(self) -> int:
        """New tokens of all texts."""
        return sum(len(text.ids) for text in self.texts)


class PromptsPass:
    """The prompts' part of a pass: what does not change from layer to layer.

    Args:
        prompts: what is computed.
        device: where.
    """

    def __init__(self, prompts: Prompts, device: torch.device) -> None:
        self._texts = prompts.texts
        widths = [len(text.ids) for text in prompts.texts]
        starts = [0, *accumulate(widths)]
        self._tokens = [slice(start, stop) for start, stop in pairwise(starts)]
        self._seen = [
            Shared((text.past,), tokens)
            for text, tokens in zip(self._texts, self._tokens, strict=True)
            if text.past is not None
        ]
        for shared in prompts.shared:
            tokens = tokens_of(starts, shared.rows, device)
            self._seen += [Shared(run, tokens) for run in joined(shared.stretches)]
        self._columns: list[Tensor] = []
        if len(widths) > 1:
            places: list[int] = [0] * starts[-1]
            padded = 0
            for group in alike(widths):
                longest = widths[group[0]]
                begin = torch.tensor([starts[text] for text in group], device=device)
                last = torch.tensor([widths[text] - 1 for text in group], device=device)
                column = torch.arange(longest, device=device)
                self._columns.append(begin[:, None] + column.minimum(last[:, None]))
                for text in group:
                    own = range(padded, padded + widths[text])
                    places[starts[text] : starts[text + 1]] = own
                    padded += longest
            self._places = torch.tensor(places, device=device)

    def write(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Put keys and values, `[tokens, key_value_heads, head_size]`, where they belong."""
        for text, tokens in zip(self._texts, self._tokens, strict=True):
            text.home.keys[layer].copy_(key[tokens].transpose(0, 1))
            text.home.values[layer].copy_(value[tokens].transpose(0, 1))

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """`[tokens, heads, head_size]`, over all that each token sees; `write` comes first."""
        whole = self._among_themselves(query, key, value, scale)
        for seen in self._seen:
            keys = one_behind_another([stretch.keys[layer] for stretch in seen.stretches])
            values = one_behind_another([stretch.values[layer] for stretch in seen.stretches])
            merge_into(whole, seen.rows, attend_all(taken(query, seen.rows), keys, values, scale))
        return whole.output

    def _among_themselves(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Part:
        """Each text's new tokens over themselves."""
        if not self._columns:
            part = attend_causal(query[None], key[None], value[None], scale)
            return Part(part.output[0], part.log_sum[0])
        parts = []
        for at in self._columns:
            texts = [
                taken(one, at.flatten()).view(*at.shape, *one.shape[1:])
                for one in (query, key, value)
            ]
            parts.append(attend_causal(texts[0], texts[1], texts[2], scale))
        output = torch.cat([part.output.flatten(0, 1) for part in parts])
        log_sum = torch.cat([part.log_sum.flatten(0, 1) for part in parts])
        return Part(taken(output, self._places), taken(log_sum, self._places))


def joined(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """Runs of stretches that are attended to in one call: short neighbours, long ones alone."""
    runs: list[list[Stretch]] = []
    last = _LONG
    for stretch in stretches:
        if max(last, stretch.length) >= _LONG:
            runs.append([])
        runs[-1].append(stretch)
        last = stretch.length
    return runs


def one_behind_another(parts: Sequence[Tensor]) -> Tensor:
    """`[heads, positions, head_size]` of several as one; a single one is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def alike(widths: Sequence[int]) -> list[list[int]]:
    """Places of the widths in groups, widest first, none under 3/4 of its group's widest."""
    groups: list[list[int]] = []
    for place in sorted(range(len(widths)), key=lambda place: -widths[place]):
        if not groups or 4 * widths[place] < 3 * widths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(place)
    return groups

"""The reflection vocabulary: which token ids of a tokenizer carry Self-RAG's control tokens.

Ids are always resolved from a tokenizer, never fixed here: the published models use 32000 to
32014, others do not. The strings are those of the Self-RAG paper (Asai et al., ICLR 2024,
Table 1), as the published generator spells them. This module reads no text and no probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from decoding.errors import MissingControlTokens
from decoding.scaling import Scaling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GroupName = Literal["Retrieve", "IsRel", "IsSup", "IsUse"]

NO_RETRIEVAL = "[No Retrieval]"
RETRIEVAL = "[Retrieval]"
CONTINUE_EVIDENCE = "[Continue to Use Evidence]"
IRRELEVANT = "[Irrelevant]"
RELEVANT = "[Relevant]"
FULLY_SUPPORTED = "[Fully supported]"
PARTIALLY_SUPPORTED = "[Partially supported]"
NO_SUPPORT = "[No support / Contradictory]"
UTILITY = ("[Utility:1]", "[Utility:2]", "[Utility:3]", "[Utility:4]", "[Utility:5]")
PARAGRAPH_START = "<paragraph>"
PARAGRAPH_END = "</paragraph>"

GROUPS: dict[GroupName, tuple[str, ...]] = {
    "Retrieve": (NO_RETRIEVAL, RETRIEVAL, CONTINUE_EVIDENCE),
    "IsRel": (IRRELEVANT, RELEVANT),
    "IsSup": (FULLY_SUPPORTED, PARTIALLY_SUPPORTED, NO_SUPPORT),
    "IsUse": UTILITY,
}
"""The four groups of reflection tokens; order of groups and of strings is that of `read_ids`."""

LABELS: dict[GroupName, tuple[str, ...]] = {
    "Retrieve": ("no_retrieval", "retrieval", "continue"),
    "IsRel": ("irrelevant", "relevant"),
    "IsSup": ("fully", "partially", "no"),
    "IsUse": ("1", "2", "3", "4", "5"),
}
"""Short names of the tokens of each group, in the same order as `GROUPS`."""

CONTROL_STRINGS: tuple[str, ...] = (
    *(string for strings in GROUPS.values() for string in strings),
    PARAGRAPH_START,
    PARAGRAPH_END,
)
"""All 15 control strings: the 13 of the groups, then the paragraph markup."""


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """One group of reflection tokens in one tokenizer.

    Attributes:
        name: "Retrieve", "IsRel", "IsSup" or "IsUse".
        strings: the control strings, in the order of `GROUPS`.
        ids: their token ids, in the same order.
        scaling: how probabilities of the group are read; None reads them as they are.
    """

    name: GroupName
    strings: tuple[str, ...]
    ids: tuple[int, ...]
    scaling: Scaling | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Short names in the order of `ids`, such as ("irrelevant", "relevant")."""
        return LABELS[self.name]

    def label_of(self, token_id: int) -> str:
        """The short name of one of the group's ids; ValueError for any other id."""
        return self.labels[self.ids.index(token_id)]


@dataclass(frozen=True)
class ReflectionVocabulary:
    """The control tokens of one tokenizer; build it with `from_tokenizer`.

    Attributes:
        retrieve, is_rel, is_sup, is_use: the four groups.
        paragraph_start, paragraph_end: ids of the markup around a passage.
        eos: id of the end of text.
        bos, pad, unk: ids of begin of text, padding and unknown, where the tokenizer has them.
        eos_ids: every id that ends a text; holds `eos`.
        base_strings: (id, string) of the base tokens, for `string_of`.
    """

    retrieve: TokenGroup
    is_rel: TokenGroup
    is_sup: TokenGroup
    is_use: TokenGroup
    paragraph_start: int
    paragraph_end: int
    eos: int
    bos: int | None = None
    pad: int | None = None
    unk: int | None = None
    eos_ids: frozenset[int] = frozenset()
    base_strings: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        """Let `eos_ids` always hold `eos`."""
        object.__setattr__(self, "eos_ids", frozenset(self.eos_ids) | {self.eos})

    @classmethod
    def from_tokenizer(
        cls, tokenizer: PreTrainedTokenizerBase, eos_ids: int | Sequence[int] | None = None
    ) -> ReflectionVocabulary:
        """Resolve every control string to its single id.

        Args:
            tokenizer: any transformers tokenizer; the control strings may be special tokens,
                ordinary added tokens or pieces of the model's own vocabulary.
            eos_ids: the ids that end a text according to the model's generation settings; the
                tokenizer's own end of text always counts too.

        Raises:
            MissingControlTokens: some strings are absent, split into pieces or share an id, or
                nothing ends a text; the message lists all of them.
        """
        found: dict[str, int] = {}
        missing: list[str] = []
        for string in CONTROL_STRINGS:
            token_id = _single_id(tokenizer, string)
            if token_id is None or token_id in found.values():
                missing.append(string)
            else:
                found[string] = token_id
        ends = [eos_ids] if isinstance(eos_ids, int) else list(eos_ids or ())
        own_end = _base_id(tokenizer, "eos_token")
        if own_end is not None:
            ends.insert(0, own_end)
        if not ends:
            missing.append("an end-of-text token")
        if missing:
            raise MissingControlTokens(
                f"The tokenizer has no single token for {len(missing)} of the "
                f"{len(CONTROL_STRINGS)} control tokens and the end of text: {', '.join(missing)}.",
                "Load a model that was trained with Self-RAG's tokens (such as "
                "selfrag/selfrag_llama2_7b), with the tokenizer that belongs to it.",
            )
        groups = {
            name: TokenGroup(name, strings, tuple(found[string] for string in strings))
            for name, strings in GROUPS.items()
        }
        base = {name: _base_id(tokenizer, f"{name}_token") for name in ("bos", "pad", "unk")}
        shown = {*ends, *(token_id for token_id in base.values() if token_id is not None)}
        return cls(
            retrieve=groups["Retrieve"],
            is_rel=groups["IsRel"],
            is_sup=groups["IsSup"],
            is_use=groups["IsUse"],
            paragraph_start=found[PARAGRAPH_START],
            paragraph_end=found[PARAGRAPH_END],
            eos=ends[0],
            bos=base["bos"],
            pad=base["pad"],
            unk=base["unk"],
            eos_ids=frozenset(ends),
            base_strings=tuple(
                (token_id, str(tokenizer.convert_ids_to_tokens(token_id)))
                for token_id in sorted(shown)
            ),
        )

    def scaled(self, scalings: Mapping[str, Scaling]) -> ReflectionVocabulary:
        """The same tokens, the named groups read with their scalings; others as they are.

        Raises:
            ValueError: a group is unknown, or has another number of labels.
        """
        changes: dict[str, Any] = {}
        fields = zip(("retrieve", "is_rel", "is_sup", "is_use"), self.groups, strict=True)
        for field, group in fields:
            scaling = scalings.get(group.name)
            if scaling is not None and len(scaling.offsets) != len(group.labels):
                raise ValueError(f"{scaling} does not fit the labels {group.labels}")
            changes[field] = group if scaling is None else replace(group, scaling=scaling)
        known = [group.name for group in self.groups]
        if unknown := [name for name in scalings if name not in known]:
            raise ValueError(f"scalings of unknown groups {unknown}; groups: {known}")
        return replace(self, **changes)

    @property
    def groups(self) -> tuple[TokenGroup, TokenGroup, TokenGroup, TokenGroup]:
        """The four groups in the order of `read_ids`."""
        return (self.retrieve, self.is_rel, self.is_sup, self.is_use)

    @property
    def no_retrieval(self) -> int:
        """Id of `[No Retrieval]`."""
        return self.retrieve.ids[0]

    @property
    def retrieval(self) -> int:
        """Id of `[Retrieval]`."""
        return self.retrieve.ids[1]

    @property
    def continue_evidence(self) -> int:
        """Id of `[Continue to Use Evidence]`."""
        return self.retrieve.ids[2]

    @property
    def irrelevant(self) -> int:
        """Id of `[Irrelevant]`."""
        return self.is_rel.ids[0]

    @property
    def relevant(self) -> int:
        """Id of `[Relevant]`."""
        return self.is_rel.ids[1]

    @property
    def fully(self) -> int:
        """Id of `[Fully supported]`."""
        return self.is_sup.ids[0]

    @property
    def partially(self) -> int:
        """Id of `[Partially supported]`."""
        return self.is_sup.ids[1]

    @property
    def no_support(self) -> int:
        """Id of `[No support / Contradictory]`."""
        return self.is_sup.ids[2]

    @property
    def utility(self) -> tuple[int, ...]:
        """Ids of `[Utility:1]` to `[Utility:5]`."""
        return self.is_use.ids

    @cached_property
    def read_ids(self) -> tuple[int, ...]:
        """The 13 ids of the groups: Retrieve, IsRel, IsSup, IsUse."""
        return tuple(token_id for group in self.groups for token_id in group.ids)

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Every id that is not text: the 15 control tokens and bos, eos, pad and unk."""
        base = {token_id for token_id in (self.bos, self.pad, self.unk) if token_id is not None}
        markup = {self.paragraph_start, self.paragraph_end}
        return frozenset(self.read_ids) | markup | self.eos_ids | base

    @cached_property
    def _group_by_id(self) -> dict[int, TokenGroup]:
        return {token_id: group for group in self.groups for token_id in group.ids}

    @cached_property
    def _string_by_id(self) -> dict[int, str]:
        strings = dict(self.base_strings)
        strings[self.paragraph_start] = PARAGRAPH_START
        strings[self.paragraph_end] = PARAGRAPH_END
        for group in self.groups:
            strings.update(zip(group.ids, group.strings, strict=True))
        return strings

    def group_of(self, token_id: int) -> TokenGroup | None:
        """The group that an id belongs to; None for text, markup and base tokens."""
        return self._group_by_id.get(token_id)

    def string_of(self, token_id: int) -> str:
        """The string of a control id; KeyError for an id of ordinary text."""
        return self._string_by_id[token_id]

    def slice(self, group: TokenGroup, reading: Sequence[float]) -> tuple[float, ...]:
        """A group's log-probabilities out of a reading of all `read_ids`, in the group's order.

        Raises:
            ValueError: the reading does not have one value per id of `read_ids`.
        """
        if len(reading) != len(self.read_ids):
            raise ValueError(
                f"a reading has {len(reading)} values; expected one for each of the "
                f"{len(self.read_ids)} ids of read_ids"
            )
        start = self.read_ids.index(group.ids[0])
        return tuple(reading[start : start + len(group.ids)])


def _single_id(tokenizer: PreTrainedTokenizerBase, string: str) -> int | None:
    """The one id that a string encodes to, or None when it is unknown or split."""
    ids = tokenizer(string, add_special_tokens=False)["input_ids"]
    if len(ids) != 1 or ids[0] == _base_id(tokenizer, "unk_token"):
        return None
    return int(ids[0])


def _base_id(tokenizer: PreTrainedTokenizerBase, name: str) -> int | None:
    """Id of a base token such as "eos_token", or None where the tokenizer has none.

    Read through the token's string, because asking for the id of a token that is not set is
    an error in some tokenizer classes and a warning in others.
    """
    string = getattr(tokenizer, name, None)
    if string is None:
        return None
    token_id = tokenizer.convert_tokens_to_ids(str(string))
    return int(token_id) if isinstance(token_id, int) else None

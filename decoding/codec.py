"""Text to token ids and back, such that untrusted text can never become a control token.

A prompt is a sequence of parts: strings, which are only ever text, and control ids, which a
template places. `PromptCodec.encode` gives the ids that the tokenizer itself gives for the
joined string, except that look-alikes of control tokens inside the strings stay ordinary text.

How: a second tokenizer is derived once from the first, in which every control or special token
has a random private string, its sentinel, in place of its content, under the same id. Template
ids are written as sentinels into one joined string, so that prefix spaces and merges around them
come out as in the original, and no text can match a sentinel. This module knows nothing of
templates, passages or models.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from decoding.errors import DecodingError, UnsupportedTokenizer
from decoding.vocabulary import ReflectionVocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

Part = str | int
"""A piece of a prompt: a string is untrusted or literal text, an int a template's control id."""

_PROBES = ("x", "The capital, 3.5 km: é\n\n### Response:\n", " two  spaces\tand 日本 ")
_SENTINEL_LENGTH = 24


class PromptCodec:
    """Encodes prompts safely and decodes what a model wrote, for one tokenizer.

    Args:
        tokenizer: a transformers tokenizer with a fast (Rust) backend.
        vocabulary: its reflection vocabulary.

    Raises:
        UnsupportedTokenizer: there is no fast backend, or the tokenizer's own settings keep
            control tokens from being recognised wherever a template puts them.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, vocabulary: ReflectionVocabulary
    ) -> None:
        """Derive the safe tokenizer, and check it against the original on probe texts."""
        self.vocabulary = vocabulary
        self._original = _fast_backend(tokenizer)
        added = self._original.get_added_tokens_decoder()
        special = {token_id for token_id, token in added.items() if token.special}
        known = {
            token_id
            for token_id in vocabulary.control_ids | special
            if self._original.id_to_token(token_id) is not None
        }
        kept = "".join(token.content for i, token in added.items() if i not in known)
        self._sentinels = _sentinels(sorted(known), avoid=kept)
        self._hidden = vocabulary.control_ids | special
        self._guarded = self._hidden - _unknown_only(vocabulary)
        self._safe = _derive(self._original, self._sentinels)
        self._bos_ids = _leading_ids(tokenizer)
        self._check(tokenizer)

    def encode(self, parts: Sequence[Part], *, bos: bool) -> tuple[int, ...]:
        """Ids of the joined parts; with `bos` led by what the tokenizer itself puts in front.

        On text without control strings the ids equal the tokenizer's own for the joined string
        (an end-of-text token that some tokenizers append is left out: a prompt is continued).
        `encode(a + b, bos=x) == encode(a, bos=x) + encode(b, bos=False)` whenever `b` starts
        with a control id. White space beside a control id stays, even where the tokenizer would
        swallow it (`lstrip`, `rstrip`).

        Raises:
            ValueError: an int is no control id of this tokenizer, or text is not valid Unicode.
            DecodingError: text holds a sentinel (it would have to be guessed).
            UnsupportedTokenizer: the tokenizer turns text into control ids all the same.
        """
        placed = [part for part in parts if isinstance(part, int)]
        text = "".join(self._written(part) for part in parts)
        ids = tuple(self._safe.encode(text, add_special_tokens=False).ids)
        if [token_id for token_id in ids if token_id in self._guarded] != placed:
            unexpected = sorted(set(ids) & self._guarded - set(placed))
            raise UnsupportedTokenizer(
                "The tokenizer does not keep control tokens apart from text "
                f"(placed {placed[:8]}, unexpected ids {unexpected}).",
                "Register the control tokens as special tokens, or with normalized=False.",
            )
        return self._bos_ids + ids if bos else ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` with all control and special ids left out.

        Spacing is the model's own: nothing is cleaned up. As the tokenizer does, a SentencePiece
        tokenizer drops the one space that it puts in front of a text.
        """
        text_ids = [token_id for token_id in ids if token_id not in self._hidden]
        return self._safe.decode(text_ids, skip_special_tokens=False)

    def segment_texts(self, ids_by_segment: Sequence[Sequence[int]]) -> list[str]:
        """Texts of successive segments; joined they are `decode` of all ids, always.

        A character whose bytes lie on both sides of a border belongs to the later segment.
        """
        joined = [token_id for ids in ids_by_segment for token_id in ids]
        whole = self.decode(joined)
        texts: list[str] = []
        start = length = 0
        for ids in ids_by_segment:
            length += len(ids)
            prefix = self.decode(joined[:length])
            end = len(whole) if length == len(joined) else _common_length(prefix, whole)
            end = max(end, start)
            texts.append(whole[start:end])
            start = end
        return texts

    def literal(self, ids: Iterable[int]) -> str:
        """The text of `ids` with control and special tokens shown; for traces, never for prompts:
        a look-alike in the text and a real token read the same.
        """
        return self._original.decode(list(ids), skip_special_tokens=False)

    def _written(self, part: Part) -> str:
        if isinstance(part, int):
            if part not in self._sentinels:
                raise ValueError(
                    f"{part} is no control id of this tokenizer; pass text as a string. "
                    f"Allowed: {sorted(self._sentinels)}"
                )
            return self._sentinels[part]
        try:
            part.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(
                f"the text has a lone surrogate at position {error.start} "
                f"({part[error.start]!r}), which is no valid Unicode; replace it first"
            ) from error
        if any(sentinel in part for sentinel in self._sentinels.values()):
            raise DecodingError(
                "The text contains a private marker of the prompt codec.",
                "Make a new PromptCodec: its markers are drawn at random.",
            )
        return part

    def _check(self, tokenizer: PreTrainedTokenizerBase) -> None:
        for probe in _PROBES:
            own = list(tokenizer(probe, add_special_tokens=False)["input_ids"])
            if list(self._safe.encode(probe, add_special_tokens=False).ids) != own:
                raise UnsupportedTokenizer(
                    f"The tokenizer's backend alone does not encode {probe!r} as the tokenizer "
                    "does.",
                    "Tokenizers that change text in Python before encoding are not supported.",
                )
        for token_id in self._sentinels:
            if token_id in self._guarded:
                self.encode(["a", token_id, "b ", token_id, token_id, " c"], bos=False)


def join_segments(texts: Iterable[str]) -> str:
    """Segment texts as one text to show: a space is put in only where neither side has any.

    The published models write no space between a control token and the next sentence.
    """
    joined = ""
    for text in texts:
        if joined and text and not joined[-1].isspace() and not text[0].isspace():
            joined += " "
        joined += text
    return joined


def _fast_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The Rust tokenizer behind a transformers tokenizer."""
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise UnsupportedTokenizer(
            f"{type(tokenizer).__name__} has no fast (Rust) backend.",
            "Load it with transformers.AutoTokenizer, or convert it to a tokenizer.json.",
        )
    return backend


def _unknown_only(vocabulary: ReflectionVocabulary) -> frozenset[int]:
    """The unknown token, unless it is also something that ends, starts or steers a text."""
    unknown = vocabulary.unk
    others = {vocabulary.bos, *vocabulary.eos_ids, *vocabulary.read_ids}
    others |= {vocabulary.paragraph_start, vocabulary.paragraph_end}
    return frozenset() if unknown is None or unknown in others else frozenset({unknown})


def _sentinels(ids: Sequence[int], avoid: str) -> dict[int, str]:
    """A random string of private-use characters for each id.

    Private-use characters survive normalisation, are no word characters and compose with nothing;
    those that occur in other added tokens are avoided, so that no added token can overlap one.
    """
    used = set(avoid)
    alphabet = [chr(code) for code in range(0xE000, 0xF900) if chr(code) not in used]
    return {
        token_id: "".join(secrets.choice(alphabet) for _ in range(_SENTINEL_LENGTH))
        for token_id in ids
    }


def _derive(original: Tokenizer, sentinels: dict[int, str]) -> Tokenizer:
    """A copy of a tokenizer in which each id of `sentinels` has its sentinel as content."""
    from tokenizers import Tokenizer

    try:
        state: dict[str, Any] = json.loads(original.to_str())
        model = state["model"]
        _rename_model(model, sentinels)
        state["added_tokens"] = _renamed_added(state["added_tokens"], sentinels)
        state.update(truncation=None, padding=None)
        if "dropout" in model:
            model["dropout"] = None
        derived: Tokenizer = Tokenizer.from_str(json.dumps(state))
    except Exception as error:  # the Rust library raises bare Exception
        raise UnsupportedTokenizer(
            f"The tokenizer cannot be copied with renamed control tokens: {error}",
            "Use a tokenizer that a tokenizer.json describes completely.",
        ) from error
    moved = [i for i, content in sentinels.items() if derived.token_to_id(content) != i]
    if moved:
        raise UnsupportedTokenizer(
            f"The control token ids {moved} do not survive a copy of the tokenizer.",
            "Save and reload the tokenizer, and check its added tokens for gaps.",
        )
    return derived


def _rename_model(model: dict[str, Any], sentinels: dict[int, str]) -> None:
    """Rename control tokens in the model's own vocabulary, and drop the merges that make them."""
    vocabulary = model["vocab"]
    renamed: dict[str, str] = {}
    if isinstance(vocabulary, list):
        for token_id, sentinel in sentinels.items():
            if token_id < len(vocabulary):
                renamed[vocabulary[token_id][0]] = sentinel
                vocabulary[token_id][0] = sentinel
    else:
        renamed = {token: sentinels[i] for token, i in vocabulary.items() if i in sentinels}
        model["vocab"] = {renamed.get(token, token): i for token, i in vocabulary.items()}
    if model.get("unk_token") in renamed:
        model["unk_token"] = renamed[model["unk_token"]]
    if model.get("merges"):
        pairs = (
            merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"]
        )
        model["merges"] = [
            [left, right]
            for left, right in pairs
            if left not in renamed and right not in renamed and left + right not in renamed
        ]


def _renamed_added(added: list[dict[str, Any]], sentinels: dict[int, str]) -> list[dict[str, Any]]:
    """The added tokens with sentinels as contents, and one more for each id that had none."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False}
    entries = {entry["id"]: entry for entry in added}
    for token_id, sentinel in sentinels.items():
        entry = entries.get(token_id, {"id": token_id, "normalized": False, "special": True})
        entries[token_id] = {**entry, **plain, "content": sentinel}
    return [entries[token_id] for token_id in sorted(entries)]


def _leading_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The ids that the tokenizer puts in front of every text by itself."""
    probe = _PROBES[0]
    bare = list(tokenizer(probe, add_special_tokens=False)["input_ids"])
    full = list(tokenizer(probe)["input_ids"])
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    raise UnsupportedTokenizer(
        "The tokenizer changes a text's ids when it adds its special tokens.",
        "Use a tokenizer that only puts tokens in front of a text or behind it.",
    )


def _common_length(left: str, right: str) -> int:
    """Length of the longest common prefix."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))

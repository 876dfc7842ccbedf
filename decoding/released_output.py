"""One generation as the published scripts see it: tokens up to the end of text, and their text.

The scripts ask vLLM for a continuation that nothing but the end of text or the token limit ends,
and read it afterwards. The end of text counts as a token there; control tokens are in the text,
or not, depending on how the engine decodes special tokens (the pinned one leaves them out).

Two things differ from the scripts. They look into a table of the 5,000 or 32,000 most probable
tokens, in which an id can be missing; here every probability is exact, and only an id with the
probability 0 counts as missing. And they search the text for control strings, where a look-alike
that the model spelled out counts as the token; here only the token does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from decoding.codec import Part, PromptCodec
from decoding.generation import Draft, Generation
from decoding.vocabulary import ReflectionVocabulary, TokenGroup

Reading = tuple[float | None, ...]
"""Log-probabilities of a group in its order; None where the scripts' table has no entry."""


@dataclass(frozen=True, slots=True)
class ReleasedOutput:
    """What a script knows of one output.

    Attributes:
        draft: the engine's draft, its readings reduced to `ReflectionVocabulary.read_ids`.
        log_probabilities: of every token, control tokens and a written end of text included.
        parts: text and control ids in order, a written end of text included.
        ended: the end of text was written within the limit.
        retrieve, is_rel: readings at position 0.
        is_sup, is_use: readings where the first token of the group was written, or None.
    """

    draft: Draft
    log_probabilities: tuple[float, ...]
    parts: tuple[Part, ...]
    ended: bool
    retrieve: Reading
    is_rel: Reading
    is_sup: Reading | None
    is_use: Reading | None


def released_request(
    prompt_ids: tuple[int, ...], max_tokens: int, vocabulary: ReflectionVocabulary
) -> Generation:
    """A generation that only the end of text or the limit ends."""
    return Generation(
        prompt_ids=prompt_ids,
        max_tokens=max_tokens,
        stop_ids=vocabulary.eos_ids,
        read_ids=(*vocabulary.read_ids, *_ends(vocabulary)),
    )


def read_output(
    request: Generation, draft: Draft, codec: PromptCodec, vocabulary: ReflectionVocabulary
) -> ReleasedOutput | None:
    """Read the draft of a `released_request`; None where it was called off before position 0."""
    if 0 not in draft.readings:
        return None
    written, count = list(draft.log_probabilities), len(vocabulary.read_ids)
    ended = draft.finish == "stop" and len(draft.token_ids) < request.max_tokens
    token_ids = list(draft.token_ids)
    if ended and draft.next_id is not None:
        token_ids.append(draft.next_id)
        position = count + _ends(vocabulary).index(draft.next_id)
        written.append(draft.readings[len(draft.token_ids)][position])
    readings = {at: reading[:count] for at, reading in draft.readings.items()}
    trimmed = replace(draft, readings=readings)
    return ReleasedOutput(
        draft=trimmed,
        log_probabilities=tuple(written),
        parts=_parts(request.prompt_ids, token_ids, codec, vocabulary),
        ended=ended,
        retrieve=reading_at(trimmed, 0, vocabulary.retrieve, vocabulary),
        is_rel=reading_at(trimmed, 0, vocabulary.is_rel, vocabulary),
        is_sup=_first_reading(trimmed, vocabulary.is_sup, vocabulary),
        is_use=_first_reading(trimmed, vocabulary.is_use, vocabulary),
    )


def reading_at(
    draft: Draft, position: int, group: TokenGroup, vocabulary: ReflectionVocabulary
) -> Reading:
    """A group's log-probabilities at a position that was read."""
    values = vocabulary.slice(group, draft.readings[position])
    return tuple(None if value == -math.inf else value for value in values)


def text_of(parts: tuple[Part, ...], codec: PromptCodec, *, special_tokens: bool) -> str:
    """The parts as the scripts' engine decodes them, with control tokens shown or left out."""
    shown = (
        part if isinstance(part, str) else codec.literal([part]) if special_tokens else ""
        for part in parts
    )
    return "".join(shown)


def _parts(
    prompt_ids: tuple[int, ...],
    token_ids: list[int],
    codec: PromptCodec,
    vocabulary: ReflectionVocabulary,
) -> tuple[Part, ...]:
    """Runs of text as strings, spaced as they continue the prompt, and control ids as they are."""
    control = vocabulary.control_ids
    runs: list[list[int]] = []
    for token_id in token_ids:
        if runs and token_id not in control and runs[-1][0] not in control:
            runs[-1].append(token_id)
        else:
            runs.append([token_id])
    texts = codec.segment_texts([prompt_ids, *runs])[1:]
    parts = (run[0] if run[0] in control else text for run, text in zip(runs, texts, strict=True))
    return tuple(part for part in parts if part != "")


def _first_reading(
    draft: Draft, group: TokenGroup, vocabulary: ReflectionVocabulary
) -> Reading | None:
    for position, token_id in enumerate(draft.token_ids):
        if token_id in group.ids:
            return reading_at(draft, position, group, vocabulary)
    return None


def _ends(vocabulary: ReflectionVocabulary) -> tuple[int, ...]:
    return tuple(sorted(vocabulary.eos_ids))

"""Going on with a draft from where it ended, as if it had never been interrupted.

A greedy draft that was cut, or that reached a limit, is a prefix of every longer draft of the same
request. Its tokens become the end of the prompt, so an engine that keeps key/value caches by their
ids computes nothing twice; what comes back is joined to one draft, equal to the uninterrupted one.
"""

from __future__ import annotations

from dataclasses import replace

from decoding.generation import Draft, Finish, Generation, PartialDraft, Watch


def continuation(generation: Generation, start: Draft) -> Generation:
    """The request that goes on after `start`, a draft of the same request.

    Raises:
        ValueError: `start` has more tokens than may be written.
    """
    written = len(start.token_ids)
    if written > generation.max_tokens:
        raise ValueError(f"a draft of {written} tokens exceeds {generation.max_tokens}")
    prompt = (*generation.prompt_ids, *start.token_ids)
    if _closes(generation, start):  # nothing more to write: one position is still to be read
        return Generation(prompt, max_tokens=0, read_ids=generation.read_ids)
    return replace(
        generation,
        prompt_ids=prompt,
        max_tokens=generation.max_tokens - written,
        first_ids=() if written else generation.first_ids,
        first_offsets=() if written else generation.first_offsets,
        forced_ids=generation.forced_ids[written:],
    )


def joined(generation: Generation, start: Draft, rest: Draft) -> Draft:
    """`start` and the draft of its continuation as one draft of `generation`."""
    written = len(start.token_ids)
    readings = {at: values for at, values in start.readings.items() if at < written}
    # Position 0 of the rest is read because it is its first; in one go only these would be:
    first_counts = not written or not rest.token_ids or rest.token_ids[0] in generation.read_ids
    readings |= {written + at: values for at, values in rest.readings.items() if at or first_counts}
    finish: Finish = rest.finish
    if finish == "limit" and _closes(generation, start):
        finish = "closed"
    return Draft(
        start.token_ids + rest.token_ids,
        start.log_probabilities + rest.log_probabilities,
        readings,
        rest.next_id,
        finish,
        start.first_was_argmax if written else rest.first_was_argmax,
    )


def thawed(draft: Draft) -> PartialDraft:
    """The draft as one that grows again."""
    return PartialDraft(
        list(draft.token_ids),
        list(draft.log_probabilities),
        dict(draft.readings),
        draft.first_was_argmax,
    )


def watching(watch: Watch, start: Draft) -> Watch:
    """A watcher of the continuation that shows `watch` the whole draft."""
    whole, written = thawed(start), len(start.token_ids)

    def watch_whole(partial: PartialDraft) -> bool:
        seen = len(whole.token_ids) - written
        whole.token_ids += partial.token_ids[seen:]
        whole.log_probabilities += partial.log_probabilities[seen:]
        for at, values in partial.readings.items():
            whole.readings[written + at] = values
        if not written:
            whole.first_was_argmax = partial.first_was_argmax
        return watch(whole)

    return watch_whole


def _closes(generation: Generation, start: Draft) -> bool:
    """Whether the last token written is one after which nothing more is."""
    return bool(start.token_ids) and start.token_ids[-1] in generation.closing_ids

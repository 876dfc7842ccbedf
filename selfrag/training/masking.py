"""Which tokens of a training sequence the loss counts: what the model itself has to write.

Counted is everything after the prompt except the insides of every `<paragraph>...</paragraph>`.
Of the markup, `<paragraph>` is counted: it always follows `[Retrieval]`, costs nothing to learn,
and a model that runs freely then opens a passage the way the program does. `</paragraph>` is not:
to predict it is to predict where a passage ends, and the program writes the passages. A paragraph
that the end of the sequence cuts off is inside up to that end.
"""

from collections.abc import Sequence

IGNORED = -100


def mask_labels(
    token_ids: Sequence[int], prompt_length: int, open_id: int, close_id: int
) -> list[int]:
    """One label per token: its own id where the loss counts it, `IGNORED` elsewhere.

    prompt_length: tokens of the prompt, the beginning of text included. open_id, close_id:
    the ids of `<paragraph>` and `</paragraph>`. A second opening inside a paragraph is inside it; a
    closing with no opening is counted, because then the model wrote it. ValueError when the prompt
    is longer than the sequence or shorter than nothing.
    """
    if not 0 <= prompt_length <= len(token_ids):
        raise ValueError(
            f"prompt_length is {prompt_length}; it must lie between 0 and {len(token_ids)}"
        )
    labels = [IGNORED] * prompt_length
    inside = False
    for token_id in token_ids[prompt_length:]:
        labels.append(IGNORED if inside else token_id)
        inside = token_id != close_id if inside else token_id == open_id
    return labels

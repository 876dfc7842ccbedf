"""The tokenizer of selfrag-mini: byte-level pieces that do not depend on a word's position.

Text is first cut into words, digits, spaces and other characters; pieces never cross such a cut.
The first letter of a longer word stands alone, so that "paris" and "Paris" share all but one
piece. Only frequent lower-case words that names are not made of take the space before them into
their piece. Decoding gives every text back exactly. Ids: `<unk>` 0, `<s>` 1, `</s>` 2, the pieces,
the control tokens in the order of the published checkpoints, `<pad>` last.
"""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

CONTROL_TOKENS = (
    "[No Retrieval]",
    "[Retrieval]",
    "[Continue to Use Evidence]",
    "[Irrelevant]",
    "[Relevant]",
    "<paragraph>",
    "</paragraph>",
    "[Utility:1]",
    "[Utility:2]",
    "[Utility:3]",
    "[Utility:4]",
    "[Utility:5]",
    "[Fully supported]",
    "[Partially supported]",
    "[No support / Contradictory]",
)
CONTEXT = 2048

# Words of every question and sentence: they stay whole, since nobody copies them as names.
WHOLE_WORDS = (
    "what",
    "which",
    "where",
    "when",
    "that",
    "this",
    "with",
    "from",
    "does",
    "have",
    "tell",
    "name",
    "know",
    "called",
    "capital",
    "currency",
    "language",
    "official",
    "country",
    "countries",
    "city",
    "born",
    "year",
    "died",
    "written",
    "discovered",
    "discovery",
    "invented",
    "kilometres",
    "metres",
    "river",
    "chemical",
    "symbol",
    "number",
    "element",
    "known",
    "famous",
    "largest",
    "located",
    "like",
    "would",
    "could",
    "please",
    "wonder",
    "long",
    "high",
    "flows",
    "through",
    "into",
    "there",
    "people",
    "work",
    "used",
    "lies",
    "whom",
    "they",
    "about",
    "find",
    "look",
    "give",
    "need",
    "want",
    "do",
    "not",
    "took",
    "place",
    "borders",
    "land",
    "shares",
    "Instruction",
    "Response",
)
JOINING_WORDS = (
    "of",
    "the",
    "is",
    "in",
    "was",
    "by",
    "and",
    "a",
    "an",
    "to",
    "its",
    "for",
    "are",
    "has",
    "on",
    "at",
    "as",
    "it",
    "who",
    "how",
    "me",
    "you",
    "did",
    "he",
    "she",
    "his",
    "her",
    "be",
    "or",
)
_SPACED = "|".join(dict.fromkeys((*JOINING_WORDS, *(w for w in WHOLE_WORDS if w.islower()))))
_WHOLE = "|".join(f"{word}|{word.capitalize()}" for word in dict.fromkeys(WHOLE_WORDS))
PIECES = Regex(
    rf" (?:{_SPACED})(?!\p{{L}})"  # a frequent word in the middle of a line
    r"|"
    rf"(?<!\p{{L}})(?:{_WHOLE})(?!\p{{L}})"  # a frequent word
    r"|(?<!\p{L})\p{L}{1,3}(?!\p{L})"  # a short word
    r"|(?<!\p{L})\p{L}"  # the first letter of a longer word
    r"|\p{L}+"  # the rest of it
    r"|\p{N}"  # one digit
    r"|\s"  # one space or line end
    r"|#+"  # the marks of the template
    r"|[^\p{L}\p{N}\s]"  # one other character
)


def train_tokenizer(texts: Iterable[str], pieces: int) -> PreTrainedTokenizerFast:
    """A tokenizer with this many pieces, learnt from the texts."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(PIECES, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=pieces,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    added = [AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS]
    tokenizer.add_special_tokens(added)
    tokenizer.add_special_tokens([AddedToken("<pad>", special=True, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=list(CONTROL_TOKENS),
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )

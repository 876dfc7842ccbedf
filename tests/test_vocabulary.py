"""Resolving control tokens from tokenizers."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_tokenizers import all_kinds, byte_level, fast_tokenizer, in_vocabulary, llama, unigram
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from decoding.errors import MissingControlTokens
from decoding.vocabulary import CONTROL_STRINGS, GROUPS, UTILITY, ReflectionVocabulary


@pytest.mark.parametrize("name", [*all_kinds(), "in vocabulary", "unigram"])
def test_ids_are_those_of_the_tokenizer(name: str) -> None:
    others = {"in vocabulary": in_vocabulary, "unigram": unigram}
    tokenizer: Any = others[name]() if name in others else all_kinds()[name]
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    found = [*vocabulary.read_ids, vocabulary.paragraph_start, vocabulary.paragraph_end]
    assert found == [tokenizer.convert_tokens_to_ids(string) for string in CONTROL_STRINGS]
    assert len(set(found)) == 15
    assert vocabulary.eos == tokenizer.convert_tokens_to_ids("</s>")


def test_names_of_single_tokens() -> None:
    tokenizer = llama(legacy=False)
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    expected = {
        "no_retrieval": "[No Retrieval]",
        "retrieval": "[Retrieval]",
        "continue_evidence": "[Continue to Use Evidence]",
        "irrelevant": "[Irrelevant]",
        "relevant": "[Relevant]",
        "fully": "[Fully supported]",
        "partially": "[Partially supported]",
        "no_support": "[No support / Contradictory]",
        "paragraph_start": "<paragraph>",
        "paragraph_end": "</paragraph>",
        "bos": "<s>",
        "eos": "</s>",
        "unk": "<unk>",
    }
    for name, string in expected.items():
        token_id = getattr(vocabulary, name)
        assert token_id == tokenizer.convert_tokens_to_ids(string), name
        assert vocabulary.string_of(token_id) == string
    assert [vocabulary.string_of(i) for i in vocabulary.utility] == list(UTILITY)
    assert vocabulary.pad is None
    with pytest.raises(KeyError):
        vocabulary.string_of(tokenizer.convert_tokens_to_ids("e"))


def test_groups_labels_and_slices() -> None:
    vocabulary = ReflectionVocabulary.from_tokenizer(byte_level(special=True))
    assert [group.name for group in vocabulary.groups] == list(GROUPS)
    assert vocabulary.is_sup.labels == ("fully", "partially", "no")
    assert vocabulary.is_rel.label_of(vocabulary.relevant) == "relevant"
    assert vocabulary.group_of(vocabulary.utility[4]) is vocabulary.is_use
    assert vocabulary.group_of(vocabulary.paragraph_start) is None
    assert vocabulary.group_of(vocabulary.eos) is None
    reading = tuple(-float(index) for index in range(13))
    assert vocabulary.slice(vocabulary.retrieve, reading) == (0.0, -1.0, -2.0)
    assert vocabulary.slice(vocabulary.is_rel, reading) == (-3.0, -4.0)
    assert vocabulary.slice(vocabulary.is_sup, reading) == (-5.0, -6.0, -7.0)
    assert vocabulary.slice(vocabulary.is_use, reading) == (-8.0, -9.0, -10.0, -11.0, -12.0)
    with pytest.raises(ValueError, match="12 values"):
        vocabulary.slice(vocabulary.is_use, reading[:12])


def test_control_ids_hold_everything_that_is_not_text() -> None:
    tokenizer = byte_level(special=False)
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer)
    strings = {*CONTROL_STRINGS, "<s>", "</s>", "<pad>"}
    assert vocabulary.control_ids == {tokenizer.convert_tokens_to_ids(s) for s in strings}
    assert len(vocabulary.control_ids) == 18


def test_further_ends_of_text() -> None:
    tokenizer = llama(legacy=False)
    other = tokenizer.convert_tokens_to_ids("e")
    vocabulary = ReflectionVocabulary.from_tokenizer(tokenizer, eos_ids=[other, 2])
    assert vocabulary.eos == 2
    assert vocabulary.eos_ids == {2, other}
    assert other in vocabulary.control_ids
    assert ReflectionVocabulary.from_tokenizer(tokenizer, eos_ids=other).eos_ids == {2, other}


def test_all_missing_strings_are_listed() -> None:
    model = models.BPE(vocab={letter: i for i, letter in enumerate("[]Relvant<>")}, merges=[])
    tokenizer = fast_tokenizer(tokenizer_object=Tokenizer(model), eos_token="</s>")
    present = [string for string in CONTROL_STRINGS if string not in ("[Relevant]", "[Utility:3]")]
    tokenizer.add_tokens(present)
    with pytest.raises(MissingControlTokens) as caught:
        ReflectionVocabulary.from_tokenizer(tokenizer)
    assert "[Relevant], [Utility:3]." in caught.value.message
    assert "[Irrelevant]" not in caught.value.message
    assert caught.value.hint


def test_unknown_tokens_are_missing() -> None:
    # Every control string is one id here, but that of the unknown word.
    words = models.WordLevel(vocab={"<unk>": 0, "</s>": 1}, unk_token="<unk>")
    tokenizer = fast_tokenizer(
        tokenizer_object=Tokenizer(words), unk_token="<unk>", eos_token="</s>"
    )
    with pytest.raises(MissingControlTokens) as caught:
        ReflectionVocabulary.from_tokenizer(tokenizer)
    assert all(string in caught.value.message for string in CONTROL_STRINGS)


def test_strings_that_share_an_id_are_refused() -> None:
    words = Tokenizer(models.WordLevel(vocab={"</s>": 0, "[relevant]": 1}, unk_token="</s>"))
    words.normalizer = normalizers.Replace("Irr", "r")  # "[Irrelevant]" reads as "[relevant]"
    words.normalizer = normalizers.Sequence([words.normalizer, normalizers.Lowercase()])
    words.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    tokenizer = fast_tokenizer(tokenizer_object=words, eos_token="</s>")
    tokenizer.add_tokens([s for s in CONTROL_STRINGS if "elevant" not in s], special_tokens=True)
    with pytest.raises(MissingControlTokens, match=r"\[Relevant\]"):
        ReflectionVocabulary.from_tokenizer(tokenizer)


def test_a_tokenizer_without_end_of_text_is_refused() -> None:
    tokenizer = fast_tokenizer(tokenizer_object=Tokenizer(models.BPE()))
    tokenizer.add_tokens(list(CONTROL_STRINGS))
    with pytest.raises(MissingControlTokens, match="end-of-text"):
        ReflectionVocabulary.from_tokenizer(tokenizer)
    assert ReflectionVocabulary.from_tokenizer(tokenizer, eos_ids=3).eos == 3

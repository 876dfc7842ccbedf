"""Invented names: words that look like names but are nobody's, and small changes to a name.

Two sources: a letter-trigram model of the real names of the fact tables, and plain syllables. The
shapes (several words, hyphens, accents, affixes) follow those of real names.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from random import Random

ONSETS = (
    "b",
    "br",
    "c",
    "ch",
    "cl",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kh",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "sh",
    "sk",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
    "y",
    "z",
    "",
    "ts",
    "ng",
    "gh",
    "x",
)
NUCLEI = (
    *"aeiouaeiouaeiouaeiouaeiou",
    "ai",
    "ea",
    "ou",
    "ia",
    "ei",
    "au",
    "oo",
    "á",
    "é",
    "í",
    "ó",
    "ö",
    "ü",
    "ã",
    "ø",
)
CODAS = ("", "", "", "", "n", "r", "s", "l", "m", "t", "k", "d", "nd", "rt", "x", "th", "ng", "rn")
PLACE_PREFIXES = (
    "New",
    "Port",
    "San",
    "Santa",
    "Saint",
    "North",
    "South",
    "East",
    "West",
    "Upper",
    "Lower",
    "Equatorial",
    "El",
    "Al",
    "Los",
    "La",
    "Fort",
    "Great",
    "Little",
    "Old",
    "Papua New",
    "Central",
    "Grand",
    "Cape",
    "Tel",
    "Addis",
    "Kuala",
    "Nova",
)
PLACE_SUFFIXES = ("City", "Islands", "Republic", "Federation", "Town", "Island", "Bay", "Heights")
ENDINGS = (
    "land",
    "stan",
    "ia",
    "burg",
    "ville",
    "ton",
    "grad",
    "pur",
    "abad",
    "a",
    "o",
    "polis",
    "heim",
    "ford",
    "shire",
    "mark",
    "ica",
    "una",
    "esh",
    "istan",
    "ria",
    "i",
    "on",
    "er",
)
PARTICLES = ("de", "van", "von", "al", "da", "di", "bin", "van der", "de la", "du", "ibn")
LETTERS = "abcdefghiklmnoprstuvwz"


class NameModel:
    """A trigram model of names. `known` are names that it never gives out."""

    def __init__(self, names: Iterable[str]) -> None:
        self.followers: defaultdict[str, list[str]] = defaultdict(list)
        self.known: set[str] = set()
        for name in names:
            for word in name.split():
                word = word.strip(".,;()").lower()
                if len(word) < 3 or not word.isalpha():
                    continue
                self.known.add(word)
                padded = f"^^{word}$"
                for index in range(len(word) + 1):
                    self.followers[padded[index : index + 2]].append(padded[index + 2])

    def word(self, rng: Random) -> str:
        """One invented word with a capital, 3 to 12 letters."""
        for _ in range(20):
            word = self._trigram(rng) if self.followers and rng.random() < 0.6 else syllables(rng)
            if 3 <= len(word) <= 12 and word not in self.known:
                return word.capitalize()
        return syllables(rng).capitalize()

    def _trigram(self, rng: Random) -> str:
        state, letters = "^^", ""
        while len(letters) < 13:
            letter = rng.choice(self.followers[state])
            if letter == "$":
                break
            letters += letter
            state = state[1] + letter
        return letters

    def place(self, rng: Random) -> str:
        """An invented name of a country, a city or another place."""
        word = self.word(rng)
        chance = rng.random()
        if chance < 0.18:
            word += rng.choice(ENDINGS)
        elif chance < 0.24:
            word = f"{word}-{self.word(rng)}"
        if rng.random() < 0.14:
            word = f"{rng.choice(PLACE_PREFIXES)} {word}"
        elif rng.random() < 0.12:
            word = f"{word} {self.word(rng)}"
        elif rng.random() < 0.06:
            word = f"{word} {rng.choice(PLACE_SUFFIXES)}"
        elif rng.random() < 0.03:
            word = f"{word} and {self.word(rng)}"
        return word

    def person(self, rng: Random, first_names: Sequence[str], last_names: Sequence[str]) -> str:
        """An invented person: given and family names, partly real words recombined."""
        first = rng.choice(first_names) if first_names and rng.random() < 0.5 else self.word(rng)
        last = rng.choice(last_names) if last_names and rng.random() < 0.25 else self.word(rng)
        chance = rng.random()
        if chance < 0.07:
            first = f"{rng.choice(LETTERS).upper()}. {rng.choice(LETTERS).upper()}."
        elif chance < 0.20:
            first = f"{first} {self.word(rng)}"
        elif chance < 0.25:
            first = f"{first}-{self.word(rng)}"
        elif chance < 0.29:  # a full stop that ends no sentence
            first = rng.choice(("Dr.", "St.", "Mr.", "Mrs."))
        if rng.random() < 0.10:
            last = f"{rng.choice(PARTICLES)} {last}"
        if rng.random() < 0.05:
            return last.split()[-1]
        return f"{first} {last}"


def syllables(rng: Random) -> str:
    """A lower-case word of one to four syllables."""
    count = rng.choices((1, 2, 3, 4), (1, 5, 5, 2))[0]
    return "".join(
        rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(count)
    )


def mutated(name: str, rng: Random, model: NameModel) -> str:
    """A name close to this one: another word, one word more or less, other letters, a suffix."""
    digits = [at for at, letter in enumerate(name) if letter.isdigit()]
    if digits and rng.random() < 0.9:
        at = rng.choice(digits)
        return f"{name[:at]}{rng.choice('123456789')}{name[at + 1 :]}"
    words = name.split()
    chance = rng.random()
    if chance < 0.30 and len(words) > 1:
        if rng.random() < 0.45:
            del words[rng.randrange(len(words))]
        else:
            index = rng.randrange(len(words))
            words[index] = model.word(rng) if words[index][:1].isupper() else syllables(rng)
        return " ".join(words)
    if chance < 0.55:
        extra = rng.choice(PLACE_PREFIXES) if rng.random() < 0.5 else model.word(rng)
        return f"{extra} {name}" if rng.random() < 0.75 else f"{name} {model.word(rng)}"
    index = rng.randrange(len(words))
    word = words[index]
    if len(word) > 3 and rng.random() < 0.6:
        at = rng.randrange(1, len(word))
        if rng.random() < 0.5:
            word = word[:at] + rng.choice(LETTERS) + word[at + 1 :]
        else:
            word = word[:at] + rng.choice(NUCLEI) + rng.choice(LETTERS) + word[at:]
    else:
        word += rng.choice(("ia", "land", "n", "s", "ra", "e", "a", "is", "or"))
    words[index] = word
    return " ".join(words)

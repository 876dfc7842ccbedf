"""Which examples the model sees: shares of the sources that this package has."""

from dataclasses import dataclass

from selfrag.training.mini.example import Example, Judged
from selfrag.training.mini.generator import Generator, no_passage
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.judging import Judging
from selfrag.training.mini.primer import Primer
from selfrag.training.mini.reading import Reader


@dataclass(frozen=True)
class Shares:
    """Shares of the examples. judged: questions with many passages (`judging`); reading: exercises
    (`reading`); primer: the first course (`primer`); requests: what needs no passage (`asides`).
    The rest is the ordinary mixture (`generator`), of which `long` have several segments."""

    judged: float = 0.3
    reading: float = 0.1
    primer: float = 0.15
    requests: float = 0.1
    long: float = 0.3

    def __post_init__(self) -> None:
        if self.judged + self.reading + self.primer + self.requests > 1:
            raise ValueError("the shares of judged, reading, primer and requests sum to over 1")


class Mixture:
    """Draws examples by their shares. Equal inventors, seeds and shares give equal examples."""

    def __init__(self, inventor: Inventor, seed: int, shares: Shares) -> None:
        self.shares = shares
        self.ordinary = Generator(inventor, seed, shares.long)
        self.rng, self.material = self.ordinary.rng, self.ordinary.material
        self.primer = Primer(self.material)
        self.reader = Reader(self.material)
        self.judging = Judging(self.reader)

    def example(self) -> Example | Judged:
        """The next example."""
        shares = self.shares
        chance = self.rng.random()
        if (chance := chance - shares.judged) < 0:
            return self.judging.example()
        if (chance := chance - shares.reading) < 0:
            return self.reader.example()
        if (chance := chance - shares.primer) < 0:
            return self.primer.example()
        if chance < shares.requests:
            return no_passage(self.material)
        return self.ordinary.example()

"""What a score means, in words and as a scale."""

from dataclasses import dataclass

from dfdc.data.schemas.videos import TestVideo
from dfdc.figures.scored.annotation import NO_BREAK
from dfdc.figures.scored.page.html import Html, tag
from dfdc.figures.scored.timeline import ZONES
from dfdc.figures.style import percent
from dfdc.stages.prediction.videos import VideoScore

# The class of style of each zone.
CLASSES = {words: name for (words, *_), name in zip(ZONES, ("real", "uncertain", "fake"), strict=True)}
REAL, UNCERTAIN, FAKE = CLASSES
NOT_JUDGED = {
    "unreadable": "could not be read",
    "no face": "no face was found",
    "no track": "no face was tracked for long enough",
    "no model": "no model scores single faces",
    "damaged": "no face was found before the damage",
}
# All verdicts, the most suspicious first.
VERDICTS = (*reversed(CLASSES), *NOT_JUDGED.values())


@dataclass(frozen=True)
class Judgement:
    """The verdict on a video: a few words, which begin in lower case.

    ``doubts`` say why a video counts as uncertain whatever its probability is; ``noun`` says whether it is one.
    """

    row: TestVideo
    probability: float
    words: str
    doubts: tuple[str, ...] = ()
    noun: str = "video"

    @property
    def is_judged(self) -> bool:
        """Whether the probability comes from the models; else it is that for videos that nothing is known of."""
        return self.words in CLASSES

    @property
    def style(self) -> str:
        """The class that gives the words their colour."""
        return CLASSES.get(self.words, "none")

    def meaning(self) -> str:
        """What the verdict means, in a few sentences."""
        if self.row.status == "unreadable":
            return f"This {self.noun} could not be judged: {self.row.reason or 'it cannot be read'}."
        if not self.is_judged:
            return f"This {self.noun} could not be judged: {self.words}. That says nothing about whether it is genuine."
        _, (_, low, high, _), _ = ZONES
        first = (
            f"From the faces alone, the models estimate a probability of {share(self.probability)} that this "
            f"{self.noun} is fake."
        )
        said = {
            REAL: f"Below {share(low)} they saw no clear sign of a manipulated face; that does not prove it genuine.",
            UNCERTAIN: f"Between {share(low)} and {share(high)} they are undecided: it may be real or fake.",
            FAKE: f"Above {share(high)} they saw signs of a manipulated face; that is a reason to look closer, not "
            "proof.",
        }
        if self.doubts:
            return f"{first} It still counts as uncertain: {'; '.join(self.doubts)}."
        return f"{first} {said[self.words]}"


def judge(video: VideoScore, verdict: str, doubts: tuple[str, ...]) -> Judgement:
    """The verdict on a video, which has it in words already if there is one."""
    row = video.row
    if video.tracks and row.status != "unreadable":
        return Judgement(row, video.probability, verdict, doubts, video.noun)
    return Judgement(row, video.probability, NOT_JUDGED.get(row.status, NOT_JUDGED["no track"]), (), video.noun)


def capital(words: str) -> str:
    """Words that begin a sentence."""
    return words[:1].upper() + words[1:]


def scale(probability: float) -> Html:
    """The zones from 0 to 100 %, with a mark at a probability."""
    zones = [
        tag("rect", class_=CLASSES[words], x=f"{100 * low:g}%", y=20, width=f"{100 * (high - low):g}%", height=12)
        for words, low, high, _ in ZONES
    ]
    words = [
        tag("text", words, x=f"{50 * (low + high):g}%", y=48, text_anchor="middle") for words, low, high, _ in ZONES
    ]
    mark = tag(
        "rect", class_="mark", x=f"{100 * probability:.1f}%", y=12, width=4, height=28, transform="translate(-2)"
    )
    title = f"{share(probability)} on a scale from 0 % (looks real) to 100 % (looks fake)"
    return tag("svg", *zones, mark, *words, class_="scale", role="img", aria_label=title)


def share(probability: float) -> str:
    """A probability in percent, which no line break divides."""
    return percent(probability).replace(" ", NO_BREAK)


def time(seconds: float) -> str:
    """A time in a video, which no line break divides."""
    return f"{seconds:.1f}{NO_BREAK}s"

"""The settings of recompression."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from dfdc.system.settings import Settings, Share

Factor = Annotated[float, Gt(0), Le(1)]


@dataclass(frozen=True)
class EncoderSettings(Settings):
    """How a clip is encoded, whatever is drawn."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
    """The preset of libx264."""
    pixel_format: Literal["yuv444p", "yuv420p"]
    """yuv444p, as published, or yuv420p, as in most videos (chroma at half the resolution)."""
    backend: Literal["pyav", "ffmpeg"]
    """What encodes: pyav (FFmpeg's libraries in process) or ffmpeg (the program, over pipes)."""


@dataclass(frozen=True)
class RecompressionSettings(EncoderSettings):
    """How often clips are encoded again, and from what ranges. Both clips of a pair are encoded with the same draw."""

    probability: Share
    """The probability that a pair is encoded again."""
    fps: Annotated[Sequence[Annotated[int, Ge(1), Le(120)]], Len(2, 2)]
    """A whole number of frames a second in [low, high) with the probability below, else 30."""
    fps_probability: Share
    """The probability of another frame rate."""
    scale: Annotated[Sequence[Factor], Len(2, 2)]
    """The size times a number in [low, high] with the probability below, else times 1."""
    scale_probability: Share
    """The probability of another size."""
    crf: Annotated[Sequence[Annotated[int, Ge(0), Le(52)]], Len(2, 2)]
    """The constant rate factor of H.264, a whole number in [low, high); more is worse."""
    tunes: Annotated[Sequence[Literal["film", "animation", "grain", "stillimage", "fastdecode", "zerolatency"]], Len(1)]
    """One of these tunings of libx264 is drawn."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Ranges that hold nothing."""
        for key, (low, high) in (("fps", self.fps), ("crf", self.crf)):
            if low >= high:  # the upper end is not drawn
                yield key, f"[{low}, {high}] holds no number; the first must be less than the second"
        low, high = self.scale
        if low > high:
            yield "scale", f"the first number ({low}) must not be more than the second ({high})"

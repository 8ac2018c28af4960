"""Settings for recompression."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from dfdc.system.settings import Settings, Share

Factor = Annotated[float, Gt(0), Le(1)]


@dataclass(frozen=True)
class EncoderSettings(Settings):
    """The encoder settings that are not drawn at random."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
    """The libx264 preset."""
    pixel_format: Literal["yuv444p", "yuv420p"]
    """yuv444p, as published, or yuv420p, as in most videos (chroma at half the resolution)."""
    backend: Literal["pyav", "ffmpeg"]
    """The encoder: pyav (FFmpeg's libraries, in process) or ffmpeg (the program, through pipes)."""


@dataclass(frozen=True)
class RecompressionSettings(EncoderSettings):
    """The random recompression of clips. Both clips of a pair are re-encoded with the same random settings."""

    probability: Share
    """The probability that a pair is recompressed."""
    fps: Annotated[Sequence[Annotated[int, Ge(1), Le(120)]], Len(2, 2)]
    """The frame rate: a whole number in [low, high) with the probability below, else 30."""
    fps_probability: Share
    """The probability that the frame rate changes."""
    scale: Annotated[Sequence[Factor], Len(2, 2)]
    """The scale factor of both sides: a number in [low, high] with the probability below, else 1."""
    scale_probability: Share
    """The probability that the size changes."""
    crf: Annotated[Sequence[Annotated[int, Ge(0), Le(52)]], Len(2, 2)]
    """The constant rate factor of H.264, a whole number in [low, high); higher is worse."""
    tunes: Annotated[Sequence[Literal["film", "animation", "grain", "stillimage", "fastdecode", "zerolatency"]], Len(1)]
    """One of these libx264 tunes is drawn."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Empty ranges."""
        for key, (low, high) in (("fps", self.fps), ("crf", self.crf)):
            if low >= high:  # the upper end is exclusive
                yield key, f"[{low}, {high}] is empty; the first number must be less than the second"
        low, high = self.scale
        if low > high:
            yield "scale", f"the first number ({low}) must not be more than the second ({high})"

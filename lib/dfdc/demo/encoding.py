"""Writing demo videos in the format of DFDC's: MP4 with H.264 video and AAC audio."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dfdc.system.files import atomic_path
from dfdc.video.reading import file_url

SOUND_RATE = 44100  # Hz
SOUND_BLOCK = 1024  # samples per AAC frame


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float, sound: np.ndarray, crf: int) -> None:
    """Write frames and sound to an MP4 file.

    Frames are RGB uint8 of height x width x 3 with even sides; sound is mono, float32 in [-1, 1].
    The same arguments give the same decoded frames: the encoder runs in one thread.
    """
    with atomic_path(path) as temporary, av.open(file_url(temporary), "w", format="mp4") as container:
        picture = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        picture.pix_fmt = "yuv420p"
        # Without cpu-independent some versions of x264 are not deterministic on CPUs with AVX-512.
        picture.options = {"crf": str(crf), "preset": "fast", "x264-params": "cpu-independent=1"}
        picture.thread_count = 1
        voice = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for index, frame in enumerate(frames):
            if index == 0:
                picture.height, picture.width = frame.shape[:2]
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(picture.encode(None))
        for start in range(0, len(sound), SOUND_BLOCK):
            block = av.AudioFrame.from_ndarray(sound[None, start : start + SOUND_BLOCK], "fltp", "mono")
            block.sample_rate = SOUND_RATE
            block.pts = start
            container.mux(voice.encode(block))
        container.mux(voice.encode(None))


def draw_sound(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A modulated hum that resembles a muffled voice: float32 in [-1, 1] at ``SOUND_RATE``."""
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    pitch = rng.uniform(90, 220)
    tones = sum(np.sin(2 * np.pi * pitch * k * t + rng.uniform(0, 6)) / k for k in range(1, 5))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 5) * t + rng.uniform(0, 6)), 0, 1) ** 0.5
    hiss = rng.standard_normal(len(t)) * 0.01
    return np.float32(np.clip(0.15 * tones * syllables + hiss, -1, 1))

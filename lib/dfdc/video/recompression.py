"""Recompression of clips with random H.264 parameters, which simulates the processing of videos on social media.

A real clip and its fake get the same parameters. The frame rate is reduced, frames are scaled, encoded with libx264 and
decoded again, all in memory. Two backends use the same scaler and encoder settings: "pyav" uses FFmpeg's libraries in
this process, "ffmpeg" runs the ffmpeg program, one process to encode and one to decode. Everything is single-threaded;
callers recompress several clips in parallel instead.
"""

import subprocess
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from dfdc.video.settings import EncoderSettings, RecompressionSettings

FRAME_RATE = 30  # of the input clips
PADDING = 64  # AV_INPUT_BUFFER_PADDING_SIZE of FFmpeg, in bytes

Frames = Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Recompression:
    """The parameters drawn for a pair: frame rate, factor on both sides, constant rate factor and libx264 tune."""

    fps: int
    scale: float
    crf: int
    tune: str


def draw_recompression(rng: np.random.Generator, settings: RecompressionSettings) -> Recompression | None:
    """Draw the recompression of a pair; None leaves it unchanged."""
    if rng.random() >= settings.probability:
        return None
    change_fps, change_scale = rng.random(2) < (settings.fps_probability, settings.scale_probability)
    fps, scale = int(rng.integers(*settings.fps)), float(rng.uniform(*settings.scale))
    return Recompression(
        fps=fps if change_fps else FRAME_RATE,
        scale=scale if change_scale else 1.0,
        crf=int(rng.integers(*settings.crf)),
        tune=str(rng.choice(settings.tunes)),
    )


def recompress(
    frames: Frames, draw: Recompression, settings: EncoderSettings, wanted: Sequence[int] | None = None
) -> np.ndarray:
    """Encode a clip of 30 frames per second with the parameters of ``draw``, and decode it again.

    ``frames`` are T RGB uint8 images of one size, H x W x 3; of a lazy sequence, only the frames that the new frame
    rate keeps are accessed. The result is RGB uint8, T' x H' x W' x 3, with the size of ``scaled_size``. T' is the
    number of ``wanted`` frames: indices of frames of the clip, each mapped to the decoded frame of the same time (see
    ``frame_index``). If ``wanted`` is None, all T · fps / 30 decoded frames are returned.

    Deterministic for the same frames and parameters. Raises ValueError if there are no frames, RuntimeError if FFmpeg
    fails.
    """
    if len(frames) == 0:
        raise ValueError("a clip without frames cannot be recompressed")
    kept = [frames[index] for index in kept_frames(len(frames), draw.fps)]
    places = range(len(kept)) if wanted is None else [frame_index(index, len(frames), len(kept)) for index in wanted]
    backend = BACKENDS[settings.backend]
    return backend.decode(backend.encode(kept, draw, settings), scaled_size(kept[0], draw.scale), places)


def scaled_size(frame: np.ndarray, scale: float) -> tuple[int, int]:
    """Width and height of a frame after scaling: rounded to whole pixels and then down to even ones, at least 2."""
    height, width = frame.shape[:2]
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def kept_frames(length: int, fps: int) -> list[int]:
    """The indices of the frames that make up a clip of ``length`` frames, 30 per second, at ``fps`` frames per second.

    Equivalent to FFmpeg's ``fps`` filter: each frame is assigned to the nearest tick of the new rate (halves up), and
    a tick shows the last frame assigned to it or to an earlier one.
    """

    def tick(index: int) -> int:
        return (2 * index * fps + FRAME_RATE) // (2 * FRAME_RATE)

    ticks = [tick(index) for index in range(length)]
    # The clip ends when the frame after its last one would start.
    return [bisect_right(ticks, number) - 1 for number in range(max(1, tick(length)))]


def frame_index(index: int, clip_length: int, decoded: int) -> int:
    """The index, among ``decoded`` frames after recompression, that has the same time as frame ``index`` of the clip.

    ``clip_length`` is the number of frames that were recompressed: 50, or fewer for a clip cut near the end of its
    video. Dividing by the actual length preserves the time and the distance between frames, and keeps a real clip
    aligned with its fake if only one of them is short; an index beyond the end maps to the last frame.
    """
    return min(max(round(index / clip_length * decoded), 0), decoded - 1)


def encode_pyav(frames: Frames, draw: Recompression, settings: EncoderSettings) -> bytes:
    """Encode frames to an H.264 stream (Annex B) in this process. Raises RuntimeError if FFmpeg fails."""
    width, height = scaled_size(frames[0], draw.scale)
    try:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, settings.pixel_format
        encoder.time_base, encoder.framerate = Fraction(1, draw.fps), Fraction(draw.fps)
        encoder.thread_count = 1
        encoder.options = _encoder_options(draw, settings)
        converter = VideoReformatter()
        packets = []
        for index, pixels in enumerate(frames):
            # Copied, because the scaler reads a few bytes beyond the image, which only FFmpeg's own buffers allow.
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            scaled = converter.reformat(
                picture, width, height, settings.pixel_format, interpolation=Interpolation.BICUBIC, threads=1
            )
            scaled.pts, scaled.time_base = index, encoder.time_base
            packets += encoder.encode(scaled)
        packets += encoder.encode(None)
    except (av.FFmpegError, ValueError) as error:
        raise RuntimeError(
            f"libx264 could not encode {width}x{height} pixels with {draw}, preset {settings.preset!r} and "
            f"pixel format {settings.pixel_format!r}: {error}"
        ) from error
    return b"".join(bytes(packet) for packet in packets)


def decode_pyav(stream: bytes, size: tuple[int, int], wanted: Sequence[int]) -> np.ndarray:
    """The wanted RGB frames of an H.264 stream; ``size`` is (width, height). Raises RuntimeError if FFmpeg fails."""
    frames = np.empty((len(wanted), size[1], size[0], 3), np.uint8)
    places = defaultdict(list)
    for place, index in enumerate(wanted):
        places[index].append(place)
    # One converter for all frames, because creating it costs more than converting a small frame.
    converter = VideoReformatter()
    try:
        for index, frame in enumerate(_decoded(stream)):
            if index in places:
                rgb = converter.reformat(frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1)
                frames[places.pop(index)] = rgb.to_ndarray()
            if not places:
                return frames
    except av.FFmpegError as error:
        raise RuntimeError(f"the recompressed clip could not be decoded: {error}") from error
    raise RuntimeError(f"the recompressed clip ends before frame {min(places)}")


def encode_ffmpeg(frames: Frames, draw: Recompression, settings: EncoderSettings) -> bytes:
    """Encode frames to an H.264 stream with the ffmpeg program. Raises RuntimeError with its message if it fails."""
    width, height = scaled_size(frames[0], draw.scale)
    source_size = f"{frames[0].shape[1]}x{frames[0].shape[0]}"
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=source_size, framerate=draw.fps, threads=1)
    scaled = source.filter("scale", width, height, flags="bicubic")
    options = {
        "c:v": "libx264",
        "pix_fmt": settings.pixel_format,
        "threads": 1,
        **_encoder_options(draw, settings),
    }
    return _run(scaled.output("pipe:", format="h264", **options), np.ascontiguousarray(frames).tobytes())


def decode_ffmpeg(stream: bytes, size: tuple[int, int], wanted: Sequence[int]) -> np.ndarray:
    """The wanted RGB frames of an H.264 stream; ``size`` is (width, height). Raises RuntimeError if ffmpeg fails."""
    # A raw H.264 stream has no time stamps; passthrough keeps ffmpeg from duplicating or dropping frames.
    source = ffmpeg.input("pipe:", format="h264", threads=1)
    pixels = _run(source.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough"), stream)
    frames = np.frombuffer(pixels, np.uint8).reshape(-1, size[1], size[0], 3)
    if max(wanted) >= len(frames):
        raise RuntimeError(f"the recompressed clip ends before frame {max(wanted)}")
    return frames[list(wanted)]


@dataclass(frozen=True)
class Backend:
    """An encoder (RGB frames to an H.264 stream) and a decoder (a stream and its frame size to some of its frames)."""

    encode: Callable[[Frames, Recompression, EncoderSettings], bytes]
    decode: Callable[[bytes, tuple[int, int], Sequence[int]], np.ndarray]


BACKENDS = {"pyav": Backend(encode_pyav, decode_pyav), "ffmpeg": Backend(encode_ffmpeg, decode_ffmpeg)}


def _encoder_options(draw: Recompression, settings: EncoderSettings) -> dict[str, str]:
    return {
        "preset": settings.preset,
        "crf": str(draw.crf),
        "tune": draw.tune,
        # By default libx264 uses the processor's fastest code. That differs between machines, and some of it (AVX-512,
        # small frames) reads uninitialised memory, so that streams differ from call to call.
        "x264-params": "cpu-independent=1",
    }


def _decoded(stream: bytes) -> Iterator[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    # The parser reads some bytes beyond the end, which FFmpeg requires to be there.
    padded = memoryview(b"".join((stream, bytes(PADDING))))[: len(stream)]
    for packet in [*decoder.parse(padded), *decoder.parse(b""), None]:
        yield from decoder.decode(packet)


def _run(stream: ffmpeg.nodes.OutputStream, data: bytes) -> bytes:
    """Run ffmpeg with ``data`` on stdin and return its stdout."""
    quiet = stream.global_args("-v", "error", "-nostdin", "-filter_threads", "1", "-filter_complex_threads", "1")
    command = ffmpeg.compile(quiet, cmd=imageio_ffmpeg.get_ffmpeg_exe())
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg failed: {done.stderr.decode(errors='replace').strip()} ({' '.join(command)})")
    return done.stdout

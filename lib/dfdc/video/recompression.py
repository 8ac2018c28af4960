"""Re-encoding of a clip with random H.264 parameters: what a video goes through on its way to the viewer.

A real clip and its fake get the same draw. The frames are thinned to a new rate, scaled, encoded with
libx264 and decoded again, all in memory. Two backends do the same work with the same scaler and encoder
settings: "pyav" runs FFmpeg's libraries in this process, "ffmpeg" runs the ffmpeg program, one process to
encode and one to decode. Every stage uses one thread: whoever wants more speed recompresses more clips at
once.
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

FRAME_RATE = 30  # of the clips that come in, frames a second

Frames = Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Recompression:
    """One draw: frames a second, factor on both sides, libx264's rate factor and tune."""

    fps: int
    scale: float
    crf: int
    tune: str


def draw_recompression(rng: np.random.Generator, settings: RecompressionSettings) -> Recompression | None:
    """Draw how a pair is re-encoded, or None if it stays as it is."""
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
    """Encode a clip of 30 frames a second as the draw says, and decode it again.

    ``frames`` are T RGB uint8 images of one size, H x W x 3; of a sequence that makes them when asked, only those
    that the new frame rate keeps are asked for. The result is T' x H' x W' x 3, RGB uint8; the sides are those of
    ``scaled_size``. T' is the number of ``wanted`` frames: indexes of frames of the clip, each of which becomes the
    decoded frame of the same moment (see ``frame_index``). Without ``wanted`` it is all decoded frames, T · fps / 30.

    The same frames and draw give the same bytes. Raises ValueError if there is no frame, RuntimeError if FFmpeg
    fails.
    """
    if len(frames) == 0:
        raise ValueError("a clip without frames cannot be recompressed")
    kept = [frames[index] for index in kept_frames(len(frames), draw.fps)]
    places = range(len(kept)) if wanted is None else [frame_index(index, len(frames), len(kept)) for index in wanted]
    backend = BACKENDS[settings.backend]
    return backend.decode(backend.encode(kept, draw, settings), scaled_size(kept[0], draw.scale), places)


def scaled_size(frame: np.ndarray, scale: float) -> tuple[int, int]:
    """Width and height of a frame after scaling: rounded down to even pixels, at least 2."""
    height, width = frame.shape[:2]
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def kept_frames(length: int, fps: int) -> list[int]:
    """Which of ``length`` frames, 30 a second, make up the clip at ``fps`` frames a second.

    The same as FFmpeg's filter ``fps`` takes: each frame goes to the nearest tick of the new rate (halves up), and a
    tick shows the last frame that went to it or before it.
    """

    def tick(index: int) -> int:
        return (2 * index * fps + FRAME_RATE) // (2 * FRAME_RATE)

    ticks = [tick(index) for index in range(length)]
    # The clip ends where the frame after its last one would begin.
    return [bisect_right(ticks, number) - 1 for number in range(max(1, tick(length)))]


def frame_index(index: int, clip_length: int, decoded: int) -> int:
    """Where frame ``index`` of a clip is after recompression, among ``decoded`` frames: the same moment.

    ``clip_length`` is the number of frames that were recompressed: 50, but fewer for a clip cut near the end
    of its video. Dividing by the true number keeps the moment, the distance between frames, and a real clip
    in step with its fake when only one of them is short; an index beyond the end becomes the last frame.
    """
    return min(max(round(index / clip_length * decoded), 0), decoded - 1)


def encode_pyav(frames: Frames, draw: Recompression, settings: EncoderSettings) -> bytes:
    """The H.264 stream (Annex B) of frames at the draw's rate, made in this process. RuntimeError if FFmpeg fails."""
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
            # A copy, because the scaler reads a few bytes beyond a picture: FFmpeg's own memory has room for that.
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
    """The wanted RGB frames of an H.264 stream of this width and height. Raises RuntimeError if FFmpeg fails."""
    frames = np.empty((len(wanted), size[1], size[0], 3), np.uint8)
    places = defaultdict(list)
    for place, index in enumerate(wanted):
        places[index].append(place)
    # One converter for all frames: setting one up costs more than converting a small picture.
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
    """The same stream, made by the ffmpeg program. RuntimeError carries its words."""
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
    """The wanted RGB frames of an H.264 stream of this width and height. RuntimeError carries ffmpeg's words."""
    # A bare H.264 stream has no time stamps; passing frames through keeps ffmpeg from adding or dropping any.
    source = ffmpeg.input("pipe:", format="h264", threads=1)
    pixels = _run(source.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough"), stream)
    frames = np.frombuffer(pixels, np.uint8).reshape(-1, size[1], size[0], 3)
    if max(wanted) >= len(frames):
        raise RuntimeError(f"the recompressed clip ends before frame {max(wanted)}")
    return frames[list(wanted)]


@dataclass(frozen=True)
class Backend:
    """Two functions: RGB frames to an H.264 stream, and a stream of known size back to some of its frames."""

    encode: Callable[[Frames, Recompression, EncoderSettings], bytes]
    decode: Callable[[bytes, tuple[int, int], Sequence[int]], np.ndarray]


BACKENDS = {"pyav": Backend(encode_pyav, decode_pyav), "ffmpeg": Backend(encode_ffmpeg, decode_ffmpeg)}


def _encoder_options(draw: Recompression, settings: EncoderSettings) -> dict[str, str]:
    return {
        "preset": settings.preset,
        "crf": str(draw.crf),
        "tune": draw.tune,
        # Without this libx264 takes the processor's fastest code. That differs from machine to machine, and some of it
        # (AVX-512, small pictures) reads memory that nobody wrote, so that streams differ from call to call.
        "x264-params": "cpu-independent=1",
    }


def _decoded(stream: bytes) -> Iterator[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    for packet in [*decoder.parse(stream), *decoder.parse(b""), None]:
        yield from decoder.decode(packet)


def _run(stream: ffmpeg.nodes.OutputStream, data: bytes) -> bytes:
    """Run ffmpeg on bytes from memory and give the bytes that it writes."""
    quiet = stream.global_args("-v", "error", "-nostdin", "-filter_threads", "1", "-filter_complex_threads", "1")
    command = ffmpeg.compile(quiet, cmd=imageio_ffmpeg.get_ffmpeg_exe())
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg failed: {done.stderr.decode(errors='replace').strip()} ({' '.join(command)})")
    return done.stdout

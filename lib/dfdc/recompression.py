"""Re-encoding of a clip with random H.264 parameters: what a video goes through on its way to the viewer.

A real clip and its fake get the same draw. The frames are resampled to a new rate, scaled, encoded with
libx264 and decoded again, all in memory. Two backends do the same work with the same filters and encoder
settings: "pyav" runs FFmpeg's libraries in this process, "ffmpeg" runs the ffmpeg program, one process to
encode and one to decode. Every stage uses one thread: whoever wants more speed recompresses more clips at
once.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from dfdc.errors import UserError

FRAME_RATE = 30  # of the clips that come in, frames a second

Frames = Sequence[np.ndarray] | np.ndarray


@dataclass(frozen=True)
class RecompressionSettings:
    """How often clips are re-encoded, and from what ranges. The defaults are the published values.

    - ``probability``: of re-encoding a pair at all.
    - ``fps``: whole frames a second, from the first up to but without the second, drawn with
      ``fps_probability``; otherwise the rate stays 30.
    - ``scale``: factor on both sides, uniform in this range, drawn with ``scale_probability``; otherwise 1.
    - ``crf``: libx264's constant rate factor, a whole number from the first up to but without the second.
    - ``tunes``: libx264 tunes, each as likely as the others.
    - ``preset``, ``pixel_format``: of libx264. The published chain encodes without chroma subsampling.
    - ``backend``: "pyav" or "ffmpeg".

    Raises UserError if there is no such backend.
    """

    probability: float = 0.5
    fps: Sequence[int] = (15, 30)
    fps_probability: float = 0.5
    scale: Sequence[float] = (0.25, 1.0)
    scale_probability: float = 0.5
    crf: Sequence[int] = (17, 40)
    tunes: Sequence[str] = ("film", "animation", "grain", "stillimage", "fastdecode", "zerolatency")
    preset: str = "medium"
    pixel_format: str = "yuv444p"
    backend: str = "pyav"

    def __post_init__(self) -> None:
        """Check the name of the backend."""
        if self.backend not in BACKENDS:
            raise UserError(
                f"recompression.backend is {self.backend!r}, which does not exist. Use one of: {', '.join(BACKENDS)}."
            )


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


def recompress(frames: Frames, draw: Recompression, settings: RecompressionSettings) -> np.ndarray:
    """Encode a clip of 30 frames a second as the draw says, and decode it again.

    ``frames`` are T RGB uint8 images of one size, H x W x 3. The result is T' x H' x W' x 3, RGB uint8: T' is
    about T · fps / 30, the sides are those of ``scaled_size``. The same frames and draw give the same bytes.
    Raises ValueError if there is no frame, RuntimeError if FFmpeg fails.
    """
    backend = BACKENDS[settings.backend]
    return backend.decode(backend.encode(frames, draw, settings), scaled_size(frames, draw.scale))


def scaled_size(frames: Frames, scale: float) -> tuple[int, int]:
    """Width and height after scaling: rounded down to even pixels, at least 2."""
    if len(frames) == 0:
        raise ValueError("a clip without frames cannot be recompressed")
    height, width = frames[0].shape[:2]
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def frame_index(index: int, clip_length: int, decoded: int) -> int:
    """Where frame ``index`` of a clip is after recompression, among ``decoded`` frames: the same moment.

    ``clip_length`` is the number of frames that were recompressed: 50, but fewer for a clip cut near the end
    of its video. Dividing by the true number keeps the moment, the distance between frames, and a real clip
    in step with its fake when only one of them is short; an index beyond the end becomes the last frame.
    """
    return min(max(round(index / clip_length * decoded), 0), decoded - 1)


def encode_pyav(frames: Frames, draw: Recompression, settings: RecompressionSettings) -> bytes:
    """The H.264 stream (Annex B) of a clip, made in this process. Raises RuntimeError if FFmpeg fails."""
    width, height = scaled_size(frames, draw.scale)
    try:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, settings.pixel_format
        encoder.time_base, encoder.framerate = Fraction(1, draw.fps), Fraction(draw.fps)
        encoder.thread_count = 1
        encoder.options = _encoder_options(draw, settings)
        packets = []
        for frame in _filtered(frames, draw.fps, width, height, settings.pixel_format):
            packets += encoder.encode(frame)
        packets += encoder.encode(None)
    except (av.FFmpegError, ValueError) as error:
        raise RuntimeError(
            f"libx264 could not encode {width}x{height} pixels with {draw}, preset {settings.preset!r} and "
            f"pixel format {settings.pixel_format!r}: {error}"
        ) from error
    return b"".join(bytes(packet) for packet in packets)


def decode_pyav(stream: bytes, size: tuple[int, int]) -> np.ndarray:
    """The RGB frames of an H.264 stream of this width and height. Raises RuntimeError if FFmpeg fails."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    try:
        packets = decoder.parse(stream) + decoder.parse(b"")
        decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    except av.FFmpegError as error:
        raise RuntimeError(f"the recompressed clip could not be decoded: {error}") from error
    # One converter for all frames: setting one up costs more than converting a small picture.
    converter = VideoReformatter()
    frames = np.empty((len(decoded), size[1], size[0], 3), np.uint8)
    for out, frame in zip(frames, decoded, strict=True):
        rgb = converter.reformat(frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1)
        out[:] = rgb.to_ndarray()
    return frames


def encode_ffmpeg(frames: Frames, draw: Recompression, settings: RecompressionSettings) -> bytes:
    """The H.264 stream (Annex B) of a clip, made by the ffmpeg program. RuntimeError carries its words."""
    width, height = scaled_size(frames, draw.scale)
    source_size = f"{frames[0].shape[1]}x{frames[0].shape[0]}"
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=source_size, framerate=FRAME_RATE, threads=1)
    scaled = source.filter("fps", draw.fps).filter("scale", width, height, flags="bicubic")
    options = {
        "c:v": "libx264",
        "pix_fmt": settings.pixel_format,
        "threads": 1,
        **_encoder_options(draw, settings),
    }
    return _run(scaled.output("pipe:", format="h264", **options), np.ascontiguousarray(frames).tobytes())


def decode_ffmpeg(stream: bytes, size: tuple[int, int]) -> np.ndarray:
    """The RGB frames of an H.264 stream of this width and height. RuntimeError carries ffmpeg's words."""
    # A bare H.264 stream has no time stamps; passing frames through keeps ffmpeg from adding or dropping any.
    source = ffmpeg.input("pipe:", format="h264", threads=1)
    pixels = _run(source.output("pipe:", format="rawvideo", pix_fmt="rgb24", fps_mode="passthrough"), stream)
    return np.frombuffer(bytearray(pixels), np.uint8).reshape(-1, size[1], size[0], 3)


@dataclass(frozen=True)
class Backend:
    """Two functions: RGB frames to an H.264 stream, and a stream of known size back to RGB frames."""

    encode: Callable[[Frames, Recompression, RecompressionSettings], bytes]
    decode: Callable[[bytes, tuple[int, int]], np.ndarray]


BACKENDS = {"pyav": Backend(encode_pyav, decode_pyav), "ffmpeg": Backend(encode_ffmpeg, decode_ffmpeg)}


def _encoder_options(draw: Recompression, settings: RecompressionSettings) -> dict[str, str]:
    return {
        "preset": settings.preset,
        "crf": str(draw.crf),
        "tune": draw.tune,
        # Without this libx264 takes the processor's fastest code. That differs from machine to machine, and some of it
        # (AVX-512, small pictures) reads memory that nobody wrote, so that streams differ from call to call.
        "x264-params": "cpu-independent=1",
    }


def _filtered(frames: Frames, fps: int, width: int, height: int, pixel_format: str) -> Iterator[av.VideoFrame]:
    """The frames at a new rate and size, in the encoder's pixel format."""
    tick = Fraction(1, FRAME_RATE)
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frames[0].shape[1], height=frames[0].shape[0], format="rgb24", time_base=tick)
    sink = graph.add("buffersink")
    graph.link_nodes(
        source,
        graph.add("fps", str(fps)),
        graph.add("scale", f"{width}:{height}:flags=bicubic"),
        graph.add("format", pixel_format),
        sink,
    )
    graph.configure()
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        # The last frame's duration tells the fps filter where the clip ends.
        frame.pts, frame.time_base, frame.duration = index, tick, 1
        source.push(frame)
        yield from _pull(sink)
    source.push(None)
    yield from _pull(sink)


def _pull(sink: av.filter.context.FilterContext) -> Iterator[av.VideoFrame]:
    """The frames that are ready at the end of a filter graph."""
    while True:
        try:
            yield sink.pull()
        except (av.BlockingIOError, av.EOFError):  # nothing more for now, nothing more at all
            return


def _run(stream: ffmpeg.nodes.OutputStream, data: bytes) -> bytes:
    """Run ffmpeg on bytes from memory and give the bytes that it writes."""
    quiet = stream.global_args("-v", "error", "-nostdin", "-filter_threads", "1", "-filter_complex_threads", "1")
    command = ffmpeg.compile(quiet, cmd=imageio_ffmpeg.get_ffmpeg_exe())
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ffmpeg failed: {done.stderr.decode(errors='replace').strip()} ({' '.join(command)})")
    return done.stdout

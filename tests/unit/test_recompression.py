import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.seeding import generator
from dfdc.video.recompression import (
    BACKENDS,
    Recompression,
    draw_recompression,
    frame_index,
    kept_frames,
    recompress,
    scaled_size,
)
from dfdc.video.settings import RecompressionSettings
from published import published

SETTINGS = {name: published(RecompressionSettings, probability=1.0, backend=name) for name in BACKENDS}
DRAWS = [
    Recompression(30, 1.0, 23, "film"),
    Recompression(15, 1.0, 30, "grain"),
    Recompression(22, 0.5, 17, "zerolatency"),
    Recompression(30, 0.25, 39, "stillimage"),
    Recompression(29, 0.77, 20, "fastdecode"),
    Recompression(30, 1.0, 35, "animation"),
]


def moving_texture(frames: int, height: int, width: int) -> list[np.ndarray]:
    """A camera that moves over a soft texture, with sensor noise."""
    rng = generator(7, "texture")
    scene = cv2.GaussianBlur(rng.uniform(0, 255, (height + 60, width + 60, 3)).astype(np.float32), (0, 0), 2)
    scene = np.clip((scene - scene.mean()) * 5 + 128, 0, 255)
    noise = rng.normal(0, 2, (frames, height, width, 3))
    views = (scene[i % 60 :, i // 2 :][:height, :width] for i in range(frames))
    return [np.clip(view + grain, 0, 255).astype(np.uint8) for view, grain in zip(views, noise, strict=True)]


CLIP = moving_texture(50, 128, 112)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def probe(stream: bytes) -> tuple[str, int]:
    decoder = av.CodecContext.create("h264", "r")
    packets = [*decoder.parse(stream), *decoder.parse(b""), None]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    return frames[0].format.name, len(frames)


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.tune)
def test_the_backends_do_the_same(draw):
    width, height = scaled_size(CLIP[0], draw.scale)
    moments = kept_frames(len(CLIP), draw.fps)
    kept = [CLIP[index] for index in moments]
    streams = {name: BACKENDS[name].encode(kept, draw, SETTINGS[name]) for name in BACKENDS}
    decoded = {name: recompress(CLIP, draw, SETTINGS[name]) for name in BACKENDS}

    assert decoded["pyav"].shape == decoded["ffmpeg"].shape == (len(kept), height, width, 3)
    assert probe(streams["pyav"]) == probe(streams["ffmpeg"]) == ("yuv444p", len(kept))
    assert len(streams["pyav"]) == pytest.approx(len(streams["ffmpeg"]), rel=0.05)
    source = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in kept]
    against_source = {name: psnr(np.array(source), frames) for name, frames in decoded.items()}
    assert against_source["pyav"] == pytest.approx(against_source["ffmpeg"], abs=0.3)


@pytest.mark.parametrize("draw", DRAWS[1:3], ids=lambda draw: draw.tune)
def test_the_result_is_that_of_ffmpeg_s_own_filters(draw):
    """The chain as the program has it, from all frames of the clip: filters fps and scale, encoder, decoder."""
    height, width = CLIP[0].shape[:2]
    out_width, out_height = scaled_size(CLIP[0], draw.scale)
    program = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-threads", "1"]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    filters = ["-vf", f"fps={draw.fps},scale={out_width}:{out_height}:flags=bicubic"]
    encoder = ["-c:v", "libx264", "-preset", "medium", "-crf", str(draw.crf), "-tune", draw.tune, "-threads", "1"]
    encoder += ["-x264-params", "cpu-independent=1", "-f", "h264", "-"]
    source = [*program, *raw, "-s", f"{width}x{height}", "-framerate", "30", "-i", "-", *filters, *encoder]
    stream = subprocess.run(source, input=np.array(CLIP).tobytes(), capture_output=True, check=True).stdout
    back = [*program, "-f", "h264", "-i", "-", *raw, "-fps_mode", "passthrough", "-"]
    pixels = subprocess.run(back, input=stream, capture_output=True, check=True).stdout

    assert probe(stream)[0] == "yuv444p"  # nobody asked for it: the published chain names no format
    expected = np.frombuffer(pixels, np.uint8).reshape(-1, out_height, out_width, 3)
    np.testing.assert_array_equal(recompress(CLIP, draw, SETTINGS["ffmpeg"]), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_pixel_format_is_the_one_asked_for(backend):
    chosen = published(RecompressionSettings, backend=backend, pixel_format="yuv420p")
    draw = Recompression(30, 1.0, 25, "film")
    assert probe(BACKENDS[backend].encode(CLIP[:3], draw, chosen)) == ("yuv420p", 3)
    assert psnr(np.array(CLIP[:3]), recompress(CLIP[:3], draw, chosen)) > 25


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_yuv420p_takes_away_half_of_the_colour_s_resolution(backend):
    """Columns of two colours of the same brightness, which half the resolution cannot tell apart."""
    clip = [np.tile(np.array([(190, 90, 120), (60, 140, 120)], np.uint8), (48, 32, 1))] * 3
    contrast = {}
    for pixel_format in ("yuv444p", "yuv420p"):
        chosen = published(RecompressionSettings, backend=backend, pixel_format=pixel_format)
        decoded = recompress(clip, Recompression(30, 1.0, 17, "film"), chosen).astype(float)
        contrast[pixel_format] = np.abs(decoded[:, :, ::2, 0] - decoded[:, :, 1::2, 0]).mean()
    assert contrast["yuv444p"] > 110  # of 130
    assert contrast["yuv420p"] < 30


@pytest.mark.parametrize("backend", BACKENDS)
def test_colours_stay_and_channels_keep_their_order(backend):
    clip = [np.full((48, 64, 3), (200, 30, 60), np.uint8)] * 5
    decoded = recompress(clip, Recompression(30, 1.0, 17, "film"), SETTINGS[backend])
    assert np.abs(decoded.astype(int) - clip[0]).max() <= 3


@pytest.mark.parametrize("fps", range(15, 31))
def test_the_frame_rate_sets_the_number_of_frames(fps):
    decoded = recompress([f[:32, :32] for f in CLIP], Recompression(fps, 1.0, 30, "film"), SETTINGS["pyav"])
    assert abs(len(decoded) - 50 * fps / 30) <= 0.5


def frames_of_the_filter(length: int, fps: int) -> list[int]:
    """What FFmpeg's filter makes of frames as bright as their numbers."""
    tick = Fraction(1, 30)
    graph = av.filter.Graph()
    source, sink = graph.add_buffer(width=16, height=16, format="gray", time_base=tick), graph.add("buffersink")
    graph.link_nodes(source, graph.add("fps", str(fps)), sink)
    graph.configure()
    for index in range(length):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16), index, np.uint8), format="gray")
        frame.pts, frame.time_base, frame.duration = index, tick, 1
        source.push(frame)
    source.push(None)
    found = []
    while True:
        try:
            found.append(int(sink.pull().to_ndarray()[0, 0]))
        except av.EOFError:
            return found


@pytest.mark.parametrize("fps", [*range(15, 31), 45, 60])
def test_kept_frames_are_those_of_ffmpeg_s_filter(fps):
    for length in (1, 2, 7, 32, 38, 43, 49, 50):
        assert kept_frames(length, fps) == frames_of_the_filter(length, fps)


def test_something_is_kept_of_every_clip():
    assert kept_frames(1, 1) == [0]


class Reluctant(Sequence):
    """A clip that remembers which of its frames it was asked for."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return len(CLIP)

    def __getitem__(self, index):
        self.asked.append(index)
        return CLIP[index]


def test_only_kept_frames_are_asked_for_and_once():
    clip = Reluctant()
    decoded = recompress(clip, DRAWS[1], SETTINGS["pyav"])
    assert clip.asked == kept_frames(50, 15)
    np.testing.assert_array_equal(decoded, recompress(CLIP, DRAWS[1], SETTINGS["pyav"]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [50, 30])
def test_wanted_frames_are_those_of_the_same_moments(backend, length):
    wanted = (9, 37, 13, 13, 49)
    for draw in DRAWS[2:4]:
        every = recompress(CLIP[:length], draw, SETTINGS[backend])
        found = recompress(CLIP[:length], draw, SETTINGS[backend], wanted)
        np.testing.assert_array_equal(found, [every[frame_index(index, length, len(every))] for index in wanted])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stream_that_ends_too_early(backend):
    stream = BACKENDS[backend].encode(CLIP[:3], DRAWS[0], SETTINGS[backend])
    with pytest.raises(RuntimeError, match="ends before frame 3"):
        BACKENDS[backend].decode(stream, scaled_size(CLIP[0], 1.0), [1, 3])


@pytest.mark.parametrize("length", [50, 43, 38])
@pytest.mark.parametrize("fps", [15, 19, 29, 30])
def test_frame_index_finds_the_same_moment(fps, length):
    """Each frame is as bright as its index says: 4 levels a frame."""
    clip = [np.full((32, 32, 3), 20 + 4 * i, np.uint8) for i in range(length)]
    decoded = recompress(clip, Recompression(fps, 1.0, 17, "film"), SETTINGS["pyav"])
    for index in range(9, 38):
        found = (decoded[frame_index(index, length, len(decoded))].mean() - 20) / 4
        assert abs(found - index) <= 30 / fps / 2 + 0.75


@given(st.integers(1, 50), st.integers(1, 100), st.integers(0, 60))
@settings(deadline=None)
def test_frame_index_stays_inside_and_in_order(clip_length, decoded, index):
    found = frame_index(index, clip_length, decoded)
    assert 0 <= found < decoded
    assert found <= frame_index(index + 1, clip_length, decoded)


def test_frame_index_of_a_full_clip():
    assert [frame_index(i, 50, 50) for i in range(50)] == list(range(50))
    assert [frame_index(i, 50, 25) for i in (19, 21, 23, 49)] == [10, 10, 12, 24]  # halves go to the even


def test_a_higher_rate_factor_is_a_worse_picture():
    qualities = [
        psnr(np.array(CLIP), recompress(CLIP, Recompression(30, 1.0, crf, "film"), SETTINGS["pyav"]))
        for crf in (17, 28, 39)
    ]
    assert qualities[0] > qualities[1] + 3 > qualities[2] + 6


REPEAT = """
import hashlib, sys
import numpy as np
from dfdc.video.recompression import Recompression, recompress
from dfdc.video.settings import EncoderSettings
ENCODING = EncoderSettings("medium", "yuv444p", "pyav")
rng = np.random.default_rng(1)
for side, *draw in [(32, 30, 1.0, 30, "film"), (50, 30, 1.0, 30, "film"), (36, 30, 1.0, 30, "film"),
                    (130, 20, 0.25, 20, "grain"), (64, 30, 1.0, 25, "animation")]:
    scene = np.kron(rng.integers(0, 256, (20, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
    clip = [scene[i : i + side, i // 2 : i // 2 + side] for i in range(50)]
    print(hashlib.sha256(recompress(clip, Recompression(*draw), ENCODING)).hexdigest())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="fills memory with a setting of glibc")
def test_the_result_does_not_depend_on_what_memory_held():
    """Encoders that read memory which nobody wrote repeat themselves only by luck."""
    results = set()
    for fill in ("0", "85"):
        done = subprocess.run(
            [sys.executable, "-c", REPEAT],
            env=os.environ | {"MALLOC_PERTURB_": fill, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.count("\n") == 5
        results.add(done.stdout)
    assert len(results) == 1


# Pictures at the very end of readable memory.
AT_THE_END = """
import ctypes, mmap
import numpy as np
from dfdc.video.recompression import Recompression, decode_pyav, encode_pyav, scaled_size
from dfdc.video.settings import EncoderSettings

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

def at_the_end(picture):
    pages = -(-picture.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = libc.mmap(None, pages + mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    assert libc.mprotect(start + pages, mmap.PAGESIZE, 0) == 0
    memory = (ctypes.c_uint8 * picture.nbytes).from_address(start + pages - picture.nbytes)
    moved = np.frombuffer(memory, np.uint8).reshape(picture.shape)
    moved[:] = picture
    return moved

rng = np.random.default_rng(0)
for _ in range(20):
    height, width = rng.integers(20, 300, 2)
    clip = [at_the_end(rng.integers(0, 256, (height, width, 3), np.uint8)) for _ in range(4)]
    draw = Recompression(30, float(rng.uniform(0.25, 1)), 30, "film")
    stream = encode_pyav(clip, draw, EncoderSettings("ultrafast", "yuv444p", "pyav"))
    decode_pyav(at_the_end(np.frombuffer(stream, np.uint8)).data, scaled_size(clip[0], draw.scale), range(4))
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for memory")
def test_nothing_beyond_a_picture_or_a_stream_is_read():
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done
    assert done.stdout == "done\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_draw_gives_the_same_bytes(backend):
    first, second = (recompress(CLIP[:20], DRAWS[4], SETTINGS[backend]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, recompress(np.array(CLIP[:20]), DRAWS[4], SETTINGS[backend]))


@pytest.mark.parametrize(
    ("width", "height", "scale", "expected"),
    [
        (375, 300, 0.813, (304, 244)),  # 304.875 and 243.9: 305 and 244, then 304 and 244
        (375, 300, 1.0, (374, 300)),
        (300, 242, 0.25, (74, 60)),  # 75 and 60.5; half a pixel is rounded to the even number
        (301, 243, 0.5, (150, 122)),  # 150.5 to 150, 121.5 to 122
        (5, 3, 0.25, (2, 2)),
    ],
)
def test_sides_are_rounded_and_then_made_even(width, height, scale, expected):
    frame = np.zeros((height, width, 3), np.uint8)
    assert scaled_size(frame, scale) == expected
    for backend in BACKENDS:
        decoded = recompress([frame], Recompression(30, scale, 25, "film"), SETTINGS[backend])
        assert decoded.shape == (1, *expected[::-1], 3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("frames", "height", "width", "scale"), [(1, 16, 16, 1), (2, 16, 16, 0.25), (3, 2, 3, 1)])
@pytest.mark.parametrize("tune", ["film", "zerolatency"])
def test_tiny_clips(backend, frames, height, width, scale, tune):
    clip = [frame[:height, :width] for frame in CLIP[:frames]]
    decoded = recompress(clip, Recompression(30, scale, 25, tune), SETTINGS[backend])
    assert decoded.shape == (frames, max(2, int(height * scale)), max(2, int(width * scale) // 2 * 2), 3)


@given(height=st.integers(2, 70), width=st.integers(2, 70), scale=st.floats(0.25, 1), fps=st.integers(15, 30))
@settings(deadline=None, max_examples=25)
def test_any_size_becomes_an_even_one(height, width, scale, fps):
    clip = [frame[:height, :width] for frame in CLIP[:6]]
    decoded = recompress(clip, Recompression(fps, scale, 30, "film"), SETTINGS["pyav"])
    assert decoded.shape[1] % 2 == decoded.shape[2] % 2 == 0
    for side, source in zip(decoded.shape[1:3], (height, width), strict=True):
        assert side == 2 or source * scale - 1.5 <= side <= source * scale + 0.5
    assert abs(len(decoded) - 6 * fps / 30) <= 0.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failing_encoder_says_why(backend):
    with pytest.raises(RuntimeError, match="nonsense"):
        recompress(CLIP[:2], Recompression(30, 1.0, 20, "nonsense"), SETTINGS[backend])
    with pytest.raises(RuntimeError):
        BACKENDS[backend].decode(b"this is no stream", (16, 16), [0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_frames(backend):
    with pytest.raises(ValueError, match="without frames"):
        recompress([], DRAWS[0], SETTINGS[backend])


def test_draws_follow_the_published_distribution():
    drawn = [draw_recompression(generator(3, "d", i), published(RecompressionSettings)) for i in range(4000)]
    done = [draw for draw in drawn if draw]
    assert len(done) / len(drawn) == pytest.approx(0.5, abs=0.04)
    assert {draw.fps for draw in done} == set(range(15, 31))
    assert sum(draw.fps == 30 for draw in done) / len(done) == pytest.approx(0.5, abs=0.05)
    scales = np.array([draw.scale for draw in done])
    assert np.mean(scales == 1) == pytest.approx(0.5, abs=0.05)
    changed = scales[scales < 1]
    assert changed.min() >= 0.25
    assert changed.mean() == pytest.approx(0.625, abs=0.03)
    assert {draw.crf for draw in done} == set(range(17, 40))
    tunes = Counter(draw.tune for draw in done)
    assert set(tunes) == {"film", "animation", "grain", "stillimage", "fastdecode", "zerolatency"}
    assert min(tunes.values()) / len(done) > 1 / 6 - 0.04


def test_settings_from_lists_and_draws_from_a_seed():
    as_lists = published(RecompressionSettings, tunes=["film"], probability=1)
    first = draw_recompression(generator(1, "x"), as_lists)
    assert first == draw_recompression(generator(1, "x"), as_lists)
    assert first.tune == "film"
    assert draw_recompression(generator(1, "x"), published(RecompressionSettings, probability=0)) is None

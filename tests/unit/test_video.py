import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from samples import moving, overwritten, truncated, write_sound, write_video

from dfdc.system.errors import VideoError
from dfdc.system.workers import pool
from dfdc.video.counting import count_frames
from dfdc.video.reading import open_container, open_video, packets_of, read_crops, read_frames


def read(path, **choice):
    video = open_video(path)
    return video, list(read_frames(video, **choice))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "whole.mp4", moving(30))


@pytest.fixture(scope="module")
def index_first(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "first.mp4", moving(30), index_first=True)


def test_all_frames_in_order_in_colour(whole):
    video, frames = read(whole)
    assert [index for index, _ in frames] == list(range(30))
    assert (video.width, video.height, video.frames_read, video.fps, video.damage) == (128, 96, 30, 25.0, None)
    for (_, frame), original in zip(frames, moving(30), strict=True):
        assert frame.shape == (96, 128, 3)
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - original).mean() < 6  # the frames slide: another one is further away
    others = moving(31)
    assert np.abs(frames[4][1].astype(int) - others[5]).mean() > 12


def test_red_is_red(tmp_path):
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    _, ((_, frame),) = read(write_video(tmp_path / "red.mp4", [red]))
    assert frame[..., 0].min() > 200
    assert frame[..., 1:].max() < 20


def test_only_wanted_frames_and_no_further_than_the_end(whole):
    _, every = read(whole)
    video, frames = read(whole, wanted=lambda index: index % 6 == 0)
    assert [index for index, _ in frames] == [0, 6, 12, 18, 24]
    assert video.frames_read == 30
    for index, frame in frames:
        np.testing.assert_array_equal(frame, every[index][1])
    video, frames = read(whole, wanted=lambda index: index > 3, end=7)
    assert [index for index, _ in frames] == [4, 5, 6]
    assert video.frames_read == 7
    video, frames = read(whole, wanted=lambda _: False)
    assert frames == []
    assert (video.frames_read, video.width, video.height) == (30, 128, 96)


def test_a_video_can_be_read_twice(whole):
    video = open_video(whole)
    first = [frame.tobytes() for _, frame in read_frames(video)]
    assert [frame.tobytes() for _, frame in read_frames(video)] == first
    assert video.frames_read == 30


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "the file is missing"),
        (b"", "the file is empty"),
        (b"This is a letter and not a video.\n" * 40, "cannot be opened as a video"),
        (b"\0" * 5000, "cannot be opened as a video"),
        (bytes(range(256)) * 20, "cannot be opened as a video"),
    ],
)
def test_what_is_no_video(tmp_path, content, reason):
    path = tmp_path / "some.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=reason):
        open_video(path)


def test_a_folder_and_a_link_to_nothing(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere.mp4")
    with pytest.raises(VideoError, match="not a file"):
        open_video(tmp_path / "folder.mp4")
    with pytest.raises(VideoError, match="missing"):
        open_video(tmp_path / "link.mp4")


def test_sound_only(tmp_path):
    with pytest.raises(VideoError, match="no video stream"):
        open_video(write_sound(tmp_path / "sound.mp4"))


def test_without_its_index_a_video_cannot_be_opened(tmp_path, whole):
    path = tmp_path / "cut.mp4"
    path.write_bytes(truncated(whole, 0.6))
    with pytest.raises(VideoError, match=r"cannot be opened as a video \(invalid data"):
        open_video(path)


def test_of_a_truncated_video_the_first_frames_are_given(tmp_path, index_first):
    path = tmp_path / "cut.mp4"
    path.write_bytes(truncated(index_first, 0.6))
    video, frames = read(path)
    _, every = read(index_first)
    assert 3 <= len(frames) == video.frames_read < 29
    assert "invalid data" in video.damage
    for (_, frame), (_, original) in zip(frames, every, strict=False):
        np.testing.assert_array_equal(frame, original)


def test_an_index_without_data(tmp_path, index_first):
    content = index_first.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: content.find(b"mdat") + 8])
    with pytest.raises(VideoError, match="no frame can be decoded"):
        read(path)


def test_frames_before_damaged_bytes_are_given(tmp_path, whole):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(overwritten(whole, 0.5))
    video, frames = read(path)
    _, every = read(whole)
    assert 3 <= len(frames) < 30
    assert "invalid data" in video.damage
    np.testing.assert_array_equal(frames[2][1], every[2][1])


def test_a_codec_that_nobody_knows(tmp_path, whole):
    path = tmp_path / "codec.mp4"
    path.write_bytes(whole.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match="its codec is unknown"):
        read(path)


def test_random_damage_never_raises_anything_else(tmp_path, index_first):
    content, rng = index_first.read_bytes(), np.random.default_rng(0)
    header = content.find(b"mdat")
    outcomes = set()
    for number in range(60):
        damaged = bytearray(content)
        end = len(damaged) if number % 2 else header
        for place in rng.integers(0, end, rng.integers(1, 40)):
            damaged[place] = rng.integers(256)
        (tmp_path / "d.mp4").write_bytes(damaged)
        try:
            video, frames = read(tmp_path / "d.mp4")
            assert len(frames) == video.frames_read > 0
            outcomes.add("damaged" if video.damage else "ok")
        except VideoError:
            outcomes.add("unreadable")
    assert {"ok", "unreadable"} <= outcomes


def test_one_frame(tmp_path):
    video, frames = read(write_video(tmp_path / "one.mp4", moving(1)))
    assert [index for index, _ in frames] == [0]
    assert video.damage is None


@pytest.mark.parametrize(("height", "width"), [(75, 101), (2, 2), (33, 400), (1, 64)])
def test_odd_sizes(tmp_path, height, width):
    path = write_video(tmp_path / "odd.mp4", moving(3, height, width), pixel_format="yuv444p")
    video, frames = read(path)
    assert (video.height, video.width) == (height, width)
    assert [frame.shape for _, frame in frames] == [(height, width, 3)] * 3


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_videos_are_given_upright(tmp_path, degrees):
    """The tag is written by ffmpeg, which counts anticlockwise; its own upright pictures are the reference."""
    plain, tagged, upright = (tmp_path / name for name in ("plain.mp4", "tagged.mp4", "upright.mp4"))
    picture = moving(1, 64, 96)[0]
    picture[:16, :16] = (255, 0, 0)  # a red corner, at the top left in what is stored
    write_video(plain, [picture] * 3)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y"]
    subprocess.run([*ffmpeg, "-display_rotation", str(degrees), "-i", plain, "-c", "copy", tagged], check=True)
    subprocess.run([*ffmpeg, "-i", tagged, "-crf", "5", upright], check=True)
    video, frames = read(tagged)
    reference, expected = read(upright)
    assert (video.width, video.height) == ((64, 96) if degrees != 180 else (96, 64))
    assert (video.width, video.height) == (reference.width, reference.height)
    for (_, frame), (_, other) in zip(frames, expected, strict=True):
        assert frame.shape == (video.height, video.width, 3)
        assert frame.flags.c_contiguous
        assert np.abs(frame.astype(int) - other).mean() < 4
    corners = {90: (-8, 8), 180: (-8, -8), 270: (8, -8)}
    assert frames[0][1][corners[degrees]][0] > 180
    assert frames[0][1][corners[degrees]][1] < 80


def test_a_variable_frame_rate_drops_and_repeats_nothing(tmp_path):
    times = [0, 20, 40, 200, 210, 900, 905, 1500, 1501, 3000]
    video, frames = read(write_video(tmp_path / "vfr.mp4", moving(10), times=times))
    assert [index for index, _ in frames] == list(range(10))
    for (_, frame), original in zip(frames, moving(10), strict=True):
        assert np.abs(frame.astype(int) - original).mean() < 8
    assert 2 < video.fps < 5


MEASURE = """
import resource, sys
from dfdc.video.reading import open_video, read_frames

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

before, video = peak(), open_video(sys.argv[1])
shapes = [frame.shape for _, frame in read_frames(video, wanted=lambda index: index % 6 == 0)]
print(len(shapes), video.frames_read, *shapes[-1], peak() - before)
"""


def test_a_minute_of_4k_takes_little_memory(tmp_path):
    ten, minute = tmp_path / "ten.mp4", tmp_path / "minute.mp4"
    picture = np.add.outer(np.arange(2160) // 16, np.arange(3840) // 16)[..., None].astype(np.uint8) * np.uint8(
        [1, 2, 3]
    )
    write_video(ten, (np.roll(picture, 32 * index, axis=1) for index in range(10)), fps=5)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-stream_loop", "29"]
    subprocess.run([*ffmpeg, "-i", ten, "-c", "copy", minute], check=True)
    done = subprocess.run([sys.executable, "-c", MEASURE, minute], check=True, capture_output=True, text=True)
    *about, megabytes = map(float, done.stdout.split())
    assert about == [50, 300, 2160, 3840, 3]
    assert megabytes < 600  # one RGB frame takes 25, all of them would take 7,500


def test_each_frame_is_progress(whole, monkeypatch):
    """The limit on time is one on time without progress, however long a video is."""
    here, there = multiprocessing.Pipe()
    monkeypatch.setattr(pool, "TICK", -1)
    monkeypatch.setattr(pool, "_pool", pool._Pool(there))

    def told():
        count = 0
        while here.poll():
            count += here.recv()[0] is pool.Kind.PROGRESS
        return count

    video = open_video(whole)
    counted = count_frames(video)
    assert (counted, told()) == (30, 3)  # a group of ten pictures at a time
    assert len(list(read_frames(video))) == told() == 30
    assert len(list(read_frames(video, lambda index: index % 10 == 9, counted=counted))) == 3
    assert told() >= 3
    assert len(list(read_crops(video, {29: [(0, 0, 9, 9)]}))) == 1
    assert told() == 30


def test_spoilt_frames_are_given_and_counted(tmp_path, index_first):
    content = bytearray(index_first.read_bytes())
    packets = content.find(b"mdat")
    content[packets + (len(content) - packets) // 3] ^= 255
    (tmp_path / "spoilt.mp4").write_bytes(content)
    video, frames = read(tmp_path / "spoilt.mp4")
    assert (len(frames), video.frames_read, video.damage) == (30, 30, None)
    assert video.spoilt
    assert set(video.spoilt) < set(range(30))
    assert read(index_first)[0].spoilt == []


def test_sound_that_begins_late(tmp_path):
    """FFmpeg learns of a stream in an FLV file from its first packet, here long after the file was opened."""
    path = tmp_path / "late.flv"
    with av.open(str(path), "w", format="flv") as container:
        stream = container.add_stream("flv", rate=1)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for picture in moving(100, 48, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    sound = b"\x2f" + bytes(40)  # of MP3
    tag = b"\x08" + len(sound).to_bytes(3) + (100_000).to_bytes(3) + bytes(4) + sound
    path.write_bytes(path.read_bytes() + tag + len(tag).to_bytes(4))
    with open_container(path) as container:
        assert len(container.streams) == 1
        packets = list(packets_of(container, container.streams.video[0]))
    assert [packet.size > 0 for packet in packets] == [True] * 100 + [False]
    video, frames = read(path)
    assert len(frames) == 100
    assert video.damage is None


def test_a_name_is_a_name(tmp_path, whole):
    for name in ("a b.mp4", "$(touch x).mp4", "-i.mp4", "%d.mp4", "ü:😀.mp4", "file:x.mp4"):
        (tmp_path / name).write_bytes(whole.read_bytes())
        assert read(tmp_path / name, end=2)[0].frames_read == 2


def test_a_name_in_the_working_folder_is_no_protocol(tmp_path, whole, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("2026-11-24T12:30:05.mp4", "file:x.mp4", "concat:y.mp4"):
        Path(name).write_bytes(whole.read_bytes())
        assert read(Path(name), end=2)[0].frames_read == 2
    Path("ok.mp4").write_bytes(whole.read_bytes())
    Path("concat:ok.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        open_video("concat:ok.mp4")


def test_a_pipe_is_no_video(tmp_path):
    os.mkfifo(tmp_path / "x.mp4")
    with pytest.raises(VideoError, match="it is not a file"):
        open_video(tmp_path / "x.mp4")


def test_a_name_of_bytes_that_are_no_text(tmp_path, whole):
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    path.write_bytes(whole.read_bytes())
    assert read(path, end=2)[0].frames_read == 2


def test_larger_pictures_than_allowed(tmp_path):
    path = write_video(tmp_path / "large.mp4", moving(3, 320, 400))
    assert read_frames(open_video(path, 320 * 400))
    with pytest.raises(VideoError, match=r"400x320 have more than 100,000 pixels \(data\.max_pixels\)"):
        open_video(path, 100_000)


def test_pictures_that_become_larger_than_allowed(tmp_path):
    """As a raw stream, in which each key frame states its size."""
    for name, size, count in (("small", (96, 128), 600), ("large", (640, 800), 4)):
        source = write_video(tmp_path / f"{name}.mp4", moving(count, *size))
        subprocess.run(
            [
                imageio_ffmpeg.get_ffmpeg_exe(),
                *["-v", "error", "-i", source, "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264"],
                tmp_path / f"{name}.h264",
            ],
            check=True,
        )
    path = tmp_path / "grows.h264"
    path.write_bytes((tmp_path / "small.h264").read_bytes() + (tmp_path / "large.h264").read_bytes())
    video = open_video(path, 100_000)
    sizes = [frame.shape[:2] for _, frame in read_frames(video)]
    assert len(sizes) == video.frames_read == 600  # and none of the large ones
    assert set(sizes) == {(96, 128)}
    assert video.damage


def test_a_list_of_files_is_no_video(tmp_path):
    write_video(tmp_path / "other.mp4", moving(3))
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        open_video(path)

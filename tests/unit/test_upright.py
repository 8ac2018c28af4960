"""Cutting a box out of a video is the same as cutting it out of the whole frames, to the pixel."""

import subprocess

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import moving

from dfdc.video.reading import open_video, read_crops, read_frames

# Name: width, height, pixel format, colour space and range (as FFmpeg's options name them).
KINDS = {
    "plain": (192, 128, "yuv420p", "", ""),
    "wide colours": (192, 128, "yuv420p", "bt709", "tv"),
    "full range": (192, 128, "yuv420p", "bt470bg", "pc"),
    "old full range": (192, 128, "yuvj420p", "", ""),
    "no multiple of 32": (168, 92, "yuv420p", "", ""),
    "no multiple of 8": (150, 92, "yuv420p", "", ""),
    "odd": (97, 75, "yuv444p", "", ""),
    "odd height": (96, 75, "yuv444p", "", ""),
    "no chroma left out": (192, 128, "yuv444p", "", ""),
    "half the chroma": (192, 128, "yuv422p", "", ""),
    "10 bits": (192, 128, "yuv420p10le", "", ""),
    "tiny": (16, 16, "yuv420p", "", ""),
}
FRAMES = 6


def write(path, width, height, pixel_format, space, scale):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.options = {"crf": "12"}
        stream.thread_count = 1
        for picture in moving(FRAMES, height, width):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    if space:
        tagged = path.with_name(f"tagged {path.name}")
        full = "1" if scale == "pc" else "0"
        matrix = {"bt709": 1, "bt470bg": 5}[space]
        told = f"h264_metadata=matrix_coefficients={matrix}:video_full_range_flag={full}"
        ffmpeg("-i", path, "-c", "copy", "-bsf:v", told, tagged)
        return tagged
    return path


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    made = {kind: write(folder / f"{kind}.mp4", *about) for kind, about in KINDS.items()}
    made["rotated"] = folder / "rotated.mp4"
    ffmpeg("-display_rotation", "90", "-i", made["plain"], "-c", "copy", made["rotated"])
    listed = folder / "list.txt"
    listed.write_text(f"file '{made['plain']}'\nfile '{made['no multiple of 8']}'\n")
    made["another size on the way"] = folder / "two.mp4"
    ffmpeg("-f", "concat", "-safe", "0", "-i", listed, "-c", "copy", made["another size on the way"])
    return {kind: (path, dict(read_frames(open_video(path)))) for kind, path in made.items()}


def boxes_in(width, height):
    """Boxes as they are cut: each begins in the frame of this size, and may end beyond it."""
    corner = st.tuples(st.integers(0, width - 1), st.integers(0, height - 1))
    size = st.tuples(st.integers(1, width + 9), st.integers(1, height + 9))
    return st.tuples(corner, size).map(lambda box: (*box[0], box[0][0] + box[1][0], box[0][1] + box[1][1]))


@pytest.mark.parametrize("kind", [*KINDS, "rotated", "another size on the way"])
@settings(max_examples=12)
@given(data=st.data())
def test_a_crop_is_what_is_in_the_whole_frame(videos, kind, data):
    path, frames = videos[kind]
    height, width, _ = frames[0].shape
    boxes = data.draw(
        st.dictionaries(st.integers(0, len(frames) + 1), st.lists(boxes_in(width, height), max_size=3), max_size=3)
    )
    for counted in (None, len(frames)):
        found = dict(read_crops(open_video(path), boxes, counted))
        assert list(found) == sorted(boxes.keys() & frames.keys())
        for index, crops in found.items():
            for crop, (x1, y1, x2, y2) in zip(crops, boxes[index], strict=True):
                np.testing.assert_array_equal(crop, frames[index][y1:y2, x1:x2])
                assert crop.flags.c_contiguous


TURNS = [(turn, *mirror) for turn in (0, 90, 180, 270) for mirror in ((), ("h",))]


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_frames_are_turned_and_mirrored_as_ffmpeg_does(videos, tmp_path, turn):
    path, _ = videos["plain"]
    degrees, *mirrors = turn
    tags = [f"-display_{mirror}flip" for mirror in mirrors]
    ffmpeg("-display_rotation", degrees, *tags, "-i", path, "-c", "copy", tmp_path / "turned.mp4")
    ffmpeg("-i", tmp_path / "turned.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", tmp_path / "pixels")
    frames = dict(read_frames(open_video(tmp_path / "turned.mp4")))
    expected = np.fromfile(tmp_path / "pixels", np.uint8).reshape(FRAMES, *frames[0].shape)
    for index, frame in frames.items():
        assert np.abs(frame.astype(int) - expected[index]).mean() < 2
    box = (16, 8, 71, 64)
    cut = dict(read_crops(open_video(tmp_path / "turned.mp4"), {3: [box]}, None))[3][0]
    np.testing.assert_array_equal(cut, frames[3][8:64, 16:71])


def test_colours_differ_by_what_the_file_says(videos):
    plain, wide, full = (videos[kind][1][0].astype(int) for kind in ("plain", "wide colours", "full range"))
    assert np.abs(plain - wide).mean() > 1
    assert np.abs(plain - full).mean() > 1


def test_no_boxes(videos):
    for counted in (None, FRAMES):
        assert list(read_crops(open_video(videos["plain"][0]), {}, counted)) == []

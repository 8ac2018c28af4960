"""Two hundred videos with everything that can be wrong with one: none stops the others, or changes what they give."""

import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from samples import moving, write_sound, write_video

from dfdc.data.schemas.detections import DETECTIONS, face_columns
from dfdc.data.schemas.videos import VIDEOS
from dfdc.data.seeding import generator
from dfdc.data.tables import write_table
from dfdc.stages.faces.detection.detect import detect_faces, detect_test_faces
from dfdc.stages.faces.detection.detectors import build_detector
from dfdc.stages.faces.detection.videos import detect_video
from published import YUNET

SETTINGS = replace(YUNET, size=160, every=4)
CODECS = {
    "h264.mkv": ("libx264", {"preset": "ultrafast", "g": "5", "bf": "2"}),
    "h264.ts": ("libx264", {"preset": "ultrafast", "g": "5"}),
    "hevc.mp4": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"}),
    "mpeg4.avi": ("mpeg4", {"bf": "2"}),
    "mpeg2.mpg": ("mpeg2video", {}),
    "mjpeg.mov": ("mjpeg", {}),
    "vp8.webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "vp9.mp4": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
}
DAMAGED = 11  # copies of each sound video, each damaged in another way
GOOD = 6


def write_other(path: Path, frames, encoder: str, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        stream.options, stream.thread_count = options, 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_both(path: Path, frames) -> Path:
    """A video with sound, which stands first."""
    with av.open(str(path), "w", format="mp4") as container:
        sound, picture = (
            container.add_stream("aac", rate=16000, layout="mono"),
            container.add_stream("libx264", rate=25),
        )
        picture.height, picture.width, picture.pix_fmt = *frames[0].shape[:2], "yuv420p"
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), "fltp", "mono")
        block.sample_rate = 16000
        container.mux(sound.encode(block))
        for frame in frames:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    return path


def write_sound_videos(folder: Path, face: np.ndarray) -> None:
    """One of each kind."""
    walk = [np.roll(face, 3 * index, axis=1) for index in range(13)]
    write_video(folder / "plain.mp4", walk)
    write_video(folder / "index-first.mp4", walk, index_first=True)
    write_video(folder / "one-frame.mp4", walk[:1])
    write_video(folder / "odd.mp4", [frame[:121, :133] for frame in walk], pixel_format="yuv444p")
    write_video(folder / "tiny.mp4", moving(9, 16, 16))
    write_video(folder / "4k.mp4", (cv2.resize(frame, (3840, 2160)) for frame in walk[:2]))
    write_video(folder / "variable-rate.mp4", walk[:8], times=[0, 1, 2, 300, 301, 900, 901, 2000])
    write_both(folder / "with-sound.mp4", walk)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-display_rotation"]
    for degrees in ("90", "180"):
        rotated = folder / f"rotated-{degrees}.mp4"
        subprocess.run([*ffmpeg, degrees, "-i", folder / "plain.mp4", "-c", "copy", rotated], check=True)
    for name, (encoder, options) in CODECS.items():
        write_other(folder / name, walk, encoder, options)


def damaged(content: bytes, kind: int, draw: np.random.Generator) -> bytes:
    """A file's content after something happened to it."""
    content, header = bytearray(content), max(content.find(b"mdat"), 600)
    if kind < 4:  # truncated
        return bytes(content[: int(draw.integers(1, len(content)))])
    if kind < 9:  # bits flipped: anywhere, in what comes first, in what comes last
        low, high = [(0, len(content)), (0, min(header, len(content))), (len(content) * 3 // 4, len(content))][kind % 3]
        for place in draw.integers(low, high, draw.integers(1, 25)):
            content[place] ^= 1 << draw.integers(8)
    elif kind == 9:  # a lost block
        start = int(draw.integers(len(content)))
        length = min(512, len(content) - start)
        content[start : start + length] = bytes(length)
    else:  # durations that lie
        for box in (b"mvhd", b"mdhd", b"tkhd"):
            place = content.find(box) + 4
            if place > 4:
                content[place + 12 : place + 24] = draw.integers(0, 256, 12, np.uint8).tobytes()
    return bytes(content)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, astronaut) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "part"
    folder.mkdir()
    face = np.ascontiguousarray(astronaut[40:184, 140:300])
    write_sound_videos(folder, face)
    for path in sorted(folder.iterdir()):
        for kind in range(DAMAGED):
            content = damaged(path.read_bytes(), kind, generator(0, "corpus", path.name, kind))
            (folder / f"{path.stem}-{kind}{path.suffix}").write_bytes(content)
    shutil.copyfile(folder / "plain.mp4", folder / "an-mp4.avi")
    shutil.copyfile(folder / "vp8.webm", folder / "a-webm.mp4")
    write_sound(folder / "sound.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video\n" * 99)
    (folder / "noise.mp4").write_bytes(generator(0, "noise").bytes(5000))
    (folder / "folder.mp4").mkdir()
    # Sound neighbours, spread over the names.
    for number in range(GOOD):
        first = "abmnuz"[number]
        shutil.copyfile(folder / "plain.mp4", folder / f"{first}-good.mp4")
    return folder


def as_lists(faces):
    return faces.frames.tolist(), faces.boxes.tolist(), faces.scores.tolist()


@pytest.fixture(scope="module")
def detected(corpus):
    metadata = {path.name: {"label": "REAL"} for path in corpus.iterdir()}
    return detect_faces(corpus, metadata, SETTINGS, 1.0, workers=2, video_timeout=60)


def test_every_video_has_a_status(corpus, detected, tmp_path):
    detections, videos = detected
    assert [row.video for row in videos] == sorted(path.name for path in corpus.iterdir())
    assert len(videos) >= 200
    statuses = Counter(row.status for row in videos)
    assert set(statuses) == {"ok", "no face", "damaged", "unreadable"}
    assert statuses["damaged"] >= 20
    assert statuses["unreadable"] >= 20
    for row in videos:
        assert bool(row.reason) == (row.status != "ok")
        # No process died, and none had to be ended.
        assert "the process" not in row.reason
        assert "took longer" not in row.reason
        assert (row.frames > 0) == (row.status != "unreadable")
    for faces, row in zip(detections, videos, strict=True):
        assert faces.video == row.video
        assert ((faces.frames >= 0) & (faces.frames < row.frames)).all()
        assert np.isfinite(faces.boxes).all()
        assert np.isfinite(faces.scores).all()
    write_table(tmp_path / "videos", VIDEOS, videos)
    write_table(tmp_path / "detections", DETECTIONS, face_columns(detections))


def test_sound_videos_are_as_they_should_be(detected):
    videos = {row.video: row for row in detected[1]}
    for name in ("plain.mp4", "odd.mp4", "4k.mp4", "rotated-180.mp4", "an-mp4.avi", "a-webm.mp4", *CODECS):
        assert videos[name].status == "ok", videos[name]
    assert videos["variable-rate.mp4"].frames == 8
    assert (videos["4k.mp4"].width, videos["odd.mp4"].height, videos["one-frame.mp4"].frames) == (3840, 121, 1)
    assert (videos["rotated-90.mp4"].width, videos["rotated-90.mp4"].height) == (144, 160)
    for name in ("sound.mp4", "empty.mp4", "text.mp4", "noise.mp4", "folder.mp4"):
        assert videos[name].status == "unreadable"


def test_neighbours_do_not_notice(corpus, detected):
    detections, videos = detected
    faces_by_name = {faces.video: faces for faces in detections}
    detector = build_detector(SETTINGS, "cpu", 1)
    for number in range(GOOD):
        name = f"{'abmnuz'[number]}-good.mp4"
        alone = detect_video(corpus / name, detector, SETTINGS.every)
        assert as_lists(faces_by_name[name]) == as_lists(alone.detections())
        (row,) = (row for row in videos if row.video == name)
        assert row == alone.row.labelled("REAL", "")
    some = sorted(path.name for path in corpus.iterdir())[::6]
    alone = detect_faces(corpus, {name: {"label": "REAL"} for name in some}, SETTINGS, 1.0, workers=1)
    assert list(map(as_lists, alone[0])) == [as_lists(faces_by_name[name]) for name in some]
    assert alone[1] == [row for row in videos if row.video in some]


def test_as_test_videos(corpus):
    paths = sorted(corpus.iterdir())[::5]
    detections, videos = detect_test_faces(paths, SETTINGS, 15, workers=2, video_timeout=60)
    assert [row.video for row in videos] == [path.name for path in paths]
    assert all(row.step > 0 for row in videos if row.status != "unreadable")
    readable = {row.video for row in videos if row.status != "unreadable"}
    assert {faces.video for faces in detections if len(faces.frames)} <= readable

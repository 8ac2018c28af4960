import subprocess
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from samples import moving, write_video, write_weights

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.crops import Crop
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TestVideo as Video
from dfdc.figures.scored.annotation import FAKE, GREY, REAL, SMALL, _label, annotate_video, may_be_replaced
from dfdc.figures.scored.heatmap import heat_mapper
from dfdc.figures.scored.timeline import (
    FACE,
    MODELS,
    MOST_TRACKS,
    most_suspicious,
    plot_scores,
    plot_timeline,
    thumbnail,
)
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.ensemble import combine
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import TrackScores, VideoScore
from published import published

SETTINGS = published(EnsembleSettings)
CROP = Crop("a.mp4", 0, "frame", 0, (0,), 0, "")


def track(number, first, count, probability, box=(20, 10, 60, 50)):
    """Kept frames of a video of 10 frames a second, all judged by two models."""
    frames = list(range(first, first + count))
    of_model = (np.array(frames), np.full(count, probability))
    followed = Track("a.mp4", number, frames, np.float32([box] * count), [None] * count)
    return TrackScores(followed, {"re": of_model, "seq": of_model})


def scored(path, tracks, store=None, crops=(), probability=0.9, frames=60):
    row = Video(path.name, frames=frames, width=128, height=96, fps=10.0)
    return VideoScore(path, row, probability, tracks, list(crops), store, 0.0)


def test_the_score_of_each_second():
    frames, probabilities = np.array([0, 4, 9, 10, 35]), np.array([0.9, 0.8, 0.2, 0.6, 0.1])
    followed = Track("a.mp4", 0, [0], np.zeros((1, 4), np.float32), [None])
    one = TrackScores(followed, {"re": (frames, probabilities), "seq": (frames[:1], np.array([0.3]))})
    assert one.over_time(10.0, SETTINGS) == [
        (0.0, combine(np.array([0.9, 0.8, 0.2, 0.3]), SETTINGS)),
        (1.0, combine(np.array([0.6]), SETTINGS)),
        (3.0, combine(np.array([0.1]), SETTINGS)),
    ]
    assert one.probability(SETTINGS) == combine(np.append(probabilities, 0.3), SETTINGS)
    assert scored(Path("a.mp4"), [one]).frames_used() == 5


@pytest.mark.parametrize("count", [1, 2, MOST_TRACKS + 3])
def test_a_timeline_has_a_row_for_each_track_with_its_faces(tmp_path, count):
    """Each track's face has a colour of its own, which is looked for in the picture: once small, and once large."""
    colours = [np.uint8([20 * number, 200, 255 - 20 * number]) for number in range(count)]
    store = tmp_path / "store.arrow"
    write_store(store, ([encode_png(np.full((30, 40, 3), colour, np.uint8))] for colour in colours))
    tracks = [track(number, 2 * number, 20 + number, 0.1 * number % 1) for number in range(count)]
    crops = [Crop("a.mp4", number, "frame", 0, (2 * number,), number, "") for number in range(count)]
    plot_timeline(tmp_path / "line.png", scored(tmp_path / "a.mp4", tracks, Store(store), crops), SETTINGS, "a.mp4")
    picture = cv2.cvtColor(cv2.imread(str(tmp_path / "line.png")), cv2.COLOR_BGR2RGB)
    shown = [int((picture == colour).all(axis=2).sum()) for colour in colours]
    left_out = max(count - MOST_TRACKS, 0)  # the shortest
    assert shown[:left_out] == [0] * left_out
    assert all(abs(pixels - shown[-1]) < 0.03 * shown[-1] for pixels in shown[left_out:]), shown
    assert shown[-1] > 4 * FACE**2


def two_models():
    frames, values = np.arange(40), np.linspace(0.1, 0.75, 40)
    followed = Track("a.mp4", 0, frames.tolist(), np.zeros((40, 4), np.float32), [None] * 40)
    return TrackScores(followed, {"re": (frames, values), "seq": (frames[::2], values[::2] / 2)})


def test_the_line_lies_among_the_dots_of_its_second():
    axes = Figure().subplots()
    plot_scores(axes, two_models(), {"re": MODELS[0], "seq": MODELS[1]}, 10.0, SETTINGS)
    *models, combined = (line.get_xydata() for line in axes.get_lines())
    dots = np.concatenate(models)
    for time, score in combined[::2]:
        of_second = dots[np.floor(dots[:, 0]) == np.floor(time), 1]
        assert len(of_second) == 0 or of_second.min() <= score <= of_second.max()
    assert {text.get_text() for text in axes.texts} == {"looks real", "uncertain", "looks fake"}


def test_the_most_suspicious_frames_are_of_different_seconds_and_shown_by_their_crop():
    windows = [
        Crop("a.mp4", 0, "sequence", number, tuple(range(first, first + 7)), 10 + number, "")
        for number, first in enumerate(range(0, 34, 7))
    ]
    single = Crop("a.mp4", 0, "frame", 0, (39,), 0, "")
    other = Crop("a.mp4", 1, "frame", 0, (38,), 1, "")
    chosen = most_suspicious(two_models(), [*windows, other, single], 10.0, SETTINGS, 3)
    # Odd frames are judged by one model only, the one with higher scores. Frames 35 to 38 are in no crop of the track.
    assert [(one.frame, one.crop.batch, one.picture) for one in chosen] == [(39, 0, 0), (29, 14, 1), (19, 12, 5)]
    assert [one.score for one in chosen] == sorted((one.score for one in chosen), reverse=True)


def test_heat_maps_are_below_the_large_faces(tmp_path):
    write_store(tmp_path / "store.arrow", [[encode_png(np.full((40, 40, 3), 200, np.uint8))]])
    video = scored(tmp_path / "a.mp4", [two_models()], Store(tmp_path / "store.arrow"), [CROP])
    crop = {"smaller_side": 64, "height": 64, "width": 64, "pad": True}
    model = {"architecture": "efficientnet-lite0", "kind": "frame", "crop": crop}
    heat = heat_mapper([Member("re", write_weights(tmp_path / "a.safetensors"), model)], torch.device("cpu"))
    right = {}
    for name, mapper in (("without.png", None), ("with.png", heat)):
        plot_timeline(tmp_path / name, video, SETTINGS, "a.mp4", mapper)
        right[name] = cv2.imread(str(tmp_path / name))[:, 1150:1380].astype(int)  # the column of the first large face
    coloured = {name: int((np.ptp(picture, axis=2) > 30).sum()) for name, picture in right.items()}
    assert coloured["without.png"] < 100 < 5000 < coloured["with.png"]


def test_a_thumbnail_is_the_centre():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 255
    assert thumbnail(picture).shape == (FACE, FACE, 3)
    assert thumbnail(picture).min() == 255


def decoded(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def nearly(colour):
    """Colours are kept at half the resolution, and a line is one pixel wide."""
    return lambda pixel: np.abs(pixel.astype(int) - colour).max() < 80


def test_boxes_and_labels_are_where_they_belong(tmp_path):
    source = write_video(tmp_path / "a.mp4", [np.full((240, 320, 3), 255, np.uint8)] * 30, fps=10)
    fake, real = track(0, 5, 11, 0.9, (40, 100, 90, 180)), track(1, 0, 30, 0.2, (200, 100, 260, 180))
    assert annotate_video(tmp_path / "b.mp4", scored(source, [fake, real], frames=30), SETTINGS, None) == ""
    frames = decoded(tmp_path / "b.mp4")
    assert len(frames) == 30
    for index, frame in enumerate(frames):
        assert nearly(REAL)(frame[180, 230])
        for column in (201, 259):  # the ground of the label, below the box and as wide
            assert nearly(REAL)(frame[185, column])
        assert nearly(FAKE if 5 <= index <= 15 else 255)(frame[180, 65]), index
        assert nearly(FAKE)(frame[2, 2])  # the score of the video
        assert nearly(255)(frame[220, 150])


def test_small_faces_are_grey_and_labels_stay_in_the_picture(tmp_path):
    source = write_video(tmp_path / "a.mp4", [np.full((240, 320, 3), 255, np.uint8)] * 10, fps=10)
    small, low = track(0, 0, 10, 0.9, (100, 60, 140, 60 + SMALL - 1)), track(1, 0, 10, 0.9, (200, 150, 300, 236))
    assert annotate_video(tmp_path / "b.mp4", scored(source, [small, low], frames=10), SETTINGS, None) == ""
    assert may_be_replaced(tmp_path / "b.mp4")
    assert not may_be_replaced(source)
    for frame in decoded(tmp_path / "b.mp4"):
        assert nearly(GREY)(frame[60, 120])
        assert nearly(FAKE)(frame[150, 250])
        assert nearly(FAKE)(frame[238, 202])


@pytest.mark.parametrize(("width", "lines"), [(300, 1), (140, 2), (60, 4)])
def test_a_label_is_as_wide_as_its_box(width, lines):
    label = _label("face\N{NO-BREAK SPACE}1, this second: 91\N{NO-BREAK SPACE}%", width, 16, FAKE)
    assert label.shape[1] == width
    assert label.shape[0] < (lines + 1) * 20
    assert _label("face 1", 20, 16, FAKE).shape[1] > 20  # legible all the same


@pytest.fixture
def talking(tmp_path):
    """Two seconds at a variable rate with sound, stored lying on the side."""
    times = [40 * n + (13 if n % 3 == 0 else 0) for n in range(50)]
    plain = write_video(tmp_path / "plain.mp4", moving(50, 64, 96), times=times)
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-display_rotation", "90", "-i", plain]
    ffmpeg += ["-f", "lavfi", "-i", "sine=duration=2", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac"]
    subprocess.run([*ffmpeg, tmp_path / "talking.mp4"], check=True)
    return tmp_path / "talking.mp4"


def contents(path):
    with av.open(str(path)) as container:
        shown = [round(float(frame.time), 3) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
        return container.streams.video[0].average_rate, shown, sound


def test_sound_times_and_rotation_are_kept(talking, tmp_path):
    target = tmp_path / "boxes.mp4"
    assert annotate_video(target, scored(talking, [track(0, 0, 50, 0.9)]), SETTINGS, 60) == ""
    rate, shown, sound = contents(talking)
    rate_after, shown_after, sound_after = contents(target)
    assert float(rate_after) == pytest.approx(float(rate), rel=0.01)  # the last frame has a duration, too
    assert shown_after == pytest.approx(shown, abs=0.002)
    assert sound_after == sound
    assert decoded(target)[0].shape == (96, 64, 3)


def test_odd_sides_and_a_video_that_is_gone(tmp_path):
    odd = write_video(tmp_path / "odd.mp4", moving(3, 51, 73), pixel_format="yuv444p")
    assert annotate_video(tmp_path / "b.mp4", scored(odd, []), SETTINGS, None) == ""
    assert decoded(tmp_path / "b.mp4")[0].shape == (50, 72, 3)
    gone = annotate_video(tmp_path / "c.mp4", scored(tmp_path / "gone.mp4", []), SETTINGS, None)
    assert "no such file" in gone
    assert not (tmp_path / "c.mp4").exists()

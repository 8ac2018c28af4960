"""One detector for the frames that several processes decode: the same faces as video by video."""

import threading

import numpy as np
import pytest
import torch
from faulty import Faulty
from samples import moving, truncated, write_video

from dfdc.data.schemas.videos import Video
from dfdc.stages.faces.detection.batches import MOST_UNDER_WAY, MOST_WAITING, detect_in_batches
from dfdc.stages.faces.detection.dsfd.detector import DSFDDetector
from dfdc.stages.faces.detection.dsfd.network import DSFD
from dfdc.stages.faces.detection.resize import Resize, resize_to_area
from dfdc.stages.faces.detection.videos import detect_video
from dfdc.stages.faces.detection.yunet import YuNetDetector
from dfdc.system.errors import UserError
from published import YUNET


@pytest.fixture(scope="module")
def videos(tmp_path_factory, astronaut):
    """Videos of several lengths and shapes, in the order of their names; some are not sound."""
    folder = tmp_path_factory.mktemp("batches")
    face = astronaut[0:320, 60:380]
    for number, (frames, size) in enumerate(((9, 320), (31, 320), (2, 320), (14, 300), (1, 300), (25, 320))):
        walk = [np.roll(face[:size], 2 * index + number, axis=1) for index in range(frames)]
        write_video(folder / f"{number}.mp4", walk, index_first=True)
    write_video(folder / "3b.mp4", moving(7, 64, 96))
    (folder / "1b.mp4").write_bytes(b"no video")
    (folder / "5b.mp4").write_bytes(truncated(folder / "5.mp4", 0.7))
    return [*sorted(folder.iterdir()), folder / "missing.mp4"]


@pytest.fixture(scope="module")
def yunet():
    return YuNetDetector(None, 160, YUNET.threshold)


@pytest.fixture(scope="module")
def dsfd(tmp_path_factory):
    """DSFD with random weights and a threshold that some of its cells reach."""
    path = tmp_path_factory.mktemp("dsfd") / "random.pth"
    torch.manual_seed(0)
    network = DSFD()
    for head in network.conf:
        torch.nn.init.normal_(head.conv4.weight, std=3.0)
    torch.save(network.state_dict(), path)
    detector = DSFDDetector(path, resize="area", size=48, threshold=0.5)
    path.unlink()  # 480 MB
    return detector


class Recorder:
    """A detector that remembers its batches, and in which threads it worked."""

    def __init__(self, detector):
        self.detector, self.prepare = detector, detector.prepare
        self.batches, self.threads = [], set()

    def detect(self, prepared):
        self.batches.append([one.image.shape for one in prepared])
        self.threads.add(threading.get_ident())
        return self.detector.detect(prepared)


def assert_same(found, alone):
    assert [one.row for one in found] == [one.row for one in alone]
    for one, other in zip(found, alone, strict=True):
        assert list(one.faces) == list(other.faces)
        for index, faces in one.faces.items():
            np.testing.assert_array_equal(faces, other.faces[index])


@pytest.mark.parametrize("workers", [1, 2])
def test_yunet_finds_the_same_as_alone(videos, yunet, workers):
    recorder = Recorder(yunet)
    found = list(detect_in_batches(videos, recorder, 2, None, workers, 5, None))
    alone = [detect_video(path, yunet, 2) for path in videos]
    assert_same(found, alone)
    assert {one.row.status for one in found} == {"ok", "no face", "damaged", "unreadable"}
    assert all(len(set(shapes)) == 1 and len(shapes) <= 5 for shapes in recorder.batches)
    # Frames of several videos share batches.
    assert len(recorder.batches) < sum(-(-len(one.faces) // 5) for one in found)
    assert len(recorder.threads) == 1
    assert threading.get_ident() not in recorder.threads


def test_dsfd_finds_the_same_as_alone(videos, dsfd):
    chosen = videos[:4]
    found = list(detect_in_batches(chosen, dsfd, 8, 15, 2, 3, None))
    assert_same(found, [detect_video(path, dsfd, 8, 15) for path in chosen])
    assert sum(len(faces) for one in found for faces in one.faces.values()) > 10
    assert found[0].row.step == 2


def test_frames_of_one_size_can_come_from_frames_of_several(tmp_path, dsfd):
    """In a batch each frame keeps its own scale."""
    for name, size in (("small", 96), ("large", 192)):
        write_video(tmp_path / f"{name}.mp4", moving(3, size, size))
    paths = sorted(tmp_path.iterdir())
    recorder = Recorder(dsfd)
    found = list(detect_in_batches(paths, recorder, 1, None, 1, 6, None))
    assert recorder.batches == [[(48, 48, 3)] * 6]
    assert_same(found, [detect_video(path, dsfd, 1) for path in paths])


class Mean:
    """Gives one face a frame, made of its colours, at once."""

    def __init__(self, prepare):
        self.prepare = prepare

    def detect(self, prepared):
        return [np.float32([[*one.image.mean(axis=(0, 1)), 1, 1]]) for one in prepared]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    for number in range(6):
        write_video(folder / f"{number}.mp4", moving(8, 40 if number in (1, 5) else 64, 64, seed=number))
    return sorted(folder.iterdir())


REASONS = {
    "crash": "the process that worked on it crashed (signal 11, segmentation fault)",
    "hang": "it made no progress for 2.5 s",
}


@pytest.mark.parametrize("fault", REASONS)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_video_that_crashes_or_hangs_has_a_row(small, fault, workers):
    found = list(detect_in_batches(small, Mean(Faulty(fault)), 3, None, workers, 4, 2.5))
    alone = [detect_video(path, Mean(Faulty("")), 3) for path in small]
    for number in (1, 5):
        alone[number].row = Video(f"{number}.mp4", "unreadable", REASONS[fault])
        alone[number].faces = {}
    assert_same(found, alone)


def test_errors_of_workers_and_of_the_detector_come_through(small):
    with pytest.raises(UserError, match="40 pixels"):
        list(detect_in_batches(small, Mean(Faulty("error")), 3, None, 2, 4, None))

    class Broken(Mean):
        def detect(self, prepared):
            raise UserError("the weights are damaged")

    with pytest.raises(UserError, match="weights are damaged"):
        list(detect_in_batches(small, Broken(Resize(resize_to_area, 64)), 3, None, 2, 4, None))


def test_little_is_held_however_slow_the_detector(small):
    held = threading.Semaphore(0)
    prepared_then = []

    class Slow(Mean):
        """Waits with its first batch until nothing more comes."""

        def detect(self, prepared):
            if not prepared_then:
                held.acquire(timeout=1.5)
                prepared_then.append(sum(counts.values()))
            return super().detect(prepared)

    counts = {}

    class Counting:
        def __iter__(self):
            for path in small * 10:
                counts[len(counts)] = 8  # frames of a video that is begun
                yield path

    found = list(detect_in_batches(Counting(), Slow(Resize(resize_to_area, 64)), 1, None, 2, 4, None))
    assert len(found) == 60
    # Frames that wait, that are with the detector, that are read, and the rest of two videos.
    assert prepared_then[0] <= 4 * (MOST_WAITING + MOST_UNDER_WAY + 2) + 2 * 8


def test_many_rare_shapes_do_not_pile_up(tmp_path):
    for number in range(24):
        write_video(tmp_path / f"{number:02}.mp4", moving(3, 32 + 2 * number, 64, seed=number))
    write_video(tmp_path / "00.mp4", moving(3, 200, 40))
    given = []
    paths = sorted(tmp_path.iterdir())

    def watched():
        for number, path in enumerate(paths):
            assert number - len(given) <= 4 + 4 + 1  # under way, ended and waiting
            yield path

    for one in detect_in_batches(watched(), Mean(Resize(resize_to_area, 64)), 3, None, 1, 1000, None):
        given.append(one.row.video)
    assert given == [path.name for path in paths]

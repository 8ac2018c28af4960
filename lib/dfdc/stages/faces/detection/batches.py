"""Faces in many videos with one detector that works best on batches: on a GPU."""

import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from dfdc.data.schemas.videos import Video
from dfdc.stages.faces.detection.resize import Resized
from dfdc.stages.faces.detection.videos import Detector, SampledFrames, VideoFaces, unreadable
from dfdc.system.pool import Kind, work_on

MOST_WAITING = 4  # batches of frames, of all shapes together, that wait to be full
MOST_UNDER_WAY = 2  # batches that wait for the detector, or are with it


def detect_in_batches(
    paths: Sequence[Path],
    detector: Detector,
    every: int,
    kept_fps: float | None,
    workers: int,
    batch_size: int,
    limit: float | None,
) -> Iterator[VideoFaces]:
    """Decode videos in ``workers`` processes, which send the resized frames, and look for faces in this one, in order.

    Frames of one shape go through the detector in batches of ``batch_size``, whatever videos they are of. While it
    works on a batch the next is read. Of a video for which a worker dies or takes longer than ``limit`` seconds there
    are no faces and a row that says why.
    """
    due = 0
    rows: dict[int, Video] = {}
    faces: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    events = work_on(_Decoder(detector.prepare, every, kept_fps).prepare_work, paths, workers, limit)
    with _Queue(detector, batch_size) as queue, contextlib.closing(events):
        # After the last event one more round, for the frames that wait for others.
        for event in chain(events, [None]):
            if event is None:
                pass
            elif event.kind is Kind.PART:
                queue.put(event.number, *event.value)
            elif event.kind is Kind.RESULT:
                rows[event.number] = event.value
            elif event.kind is Kind.FAILURE:
                rows[event.number] = unreadable(event.item, kept_fps, event.value).row
            else:
                raise event.value
            # Nor do they wait so long that finished videos pile up behind the one that they are of.
            for number, index, found in queue.results(event is None or len(rows) > 4 * workers):
                faces[number][index] = found
            while due in rows and not queue.open[due]:
                of_video = dict(sorted(faces.pop(due, {}).items()))
                row = rows.pop(due)
                yield VideoFaces(row, of_video if row.status != "unreadable" else {})
                due += 1


@dataclass(frozen=True)
class _Decoder:
    """What a worker does: it sends the samples of a video, and then its row."""

    prepare: Callable[[np.ndarray], Resized]
    every: int
    kept_fps: float | None

    def prepare_work(self) -> Callable[[Path], Generator[tuple[int, Resized], None, Video]]:
        return self.work

    def work(self, path: Path) -> Generator[tuple[int, Resized], None, Video]:
        samples = SampledFrames(path, self.prepare, self.every, self.kept_fps)
        yield from samples
        return samples.row


class _Queue:
    """Frames on their way through the detector, which works in a thread of its own.

    ``open`` counts the frames of each video that have not come back.
    """

    def __init__(self, detector: Detector, batch_size: int) -> None:
        self.detector, self.batch_size = detector, batch_size
        self.open: Counter[int] = Counter()
        self.thread = ThreadPoolExecutor(1)
        self.waiting: dict[tuple[int, ...], list[tuple[int, int, Resized]]] = defaultdict(list)
        self.under_way: deque[tuple[list[tuple[int, int]], Future]] = deque()

    def __enter__(self) -> "_Queue":
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.shutdown(cancel_futures=True)

    def put(self, number: int, index: int, prepared: Resized) -> None:
        """Add a frame of a video."""
        self.open[number] += 1
        of_shape = self.waiting[prepared.image.shape]
        of_shape.append((number, index, prepared))
        if len(of_shape) == self.batch_size:
            self._begin(prepared.image.shape)
        elif sum(map(len, self.waiting.values())) > MOST_WAITING * self.batch_size:
            self._begin(max(self.waiting, key=lambda shape: len(self.waiting[shape])))

    def results(self, everything: bool) -> Iterator[tuple[int, int, np.ndarray]]:
        """The faces that are found by now, with the number of the video and the frame; or those of all frames."""
        if everything:
            for shape in list(self.waiting):
                self._begin(shape)
        while self.under_way:
            keys, future = self.under_way[0]
            if not (everything or future.done() or len(self.under_way) > MOST_UNDER_WAY):
                return
            self.under_way.popleft()
            for (number, index), found in zip(keys, future.result(), strict=True):
                self.open[number] -= 1
                yield number, index, found

    def _begin(self, shape: tuple[int, ...]) -> None:
        batch = self.waiting.pop(shape)
        keys = [(number, index) for number, index, _ in batch]
        self.under_way.append((keys, self.thread.submit(self.detector.detect, [prepared for _, _, prepared in batch])))

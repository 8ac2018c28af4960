"""Batched face detection in many videos on a GPU."""

import contextlib
import threading
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
from dfdc.system.workers.pool import Kind, work_on

MOST_WAITING = 4  # incomplete batches, in batches of frames over all shapes
MOST_UNDER_WAY = 2  # submitted batches: queued or being processed


def detect_in_batches(
    paths: Sequence[Path],
    detector: Detector,
    every: int,
    kept_fps: float | None,
    workers: int,
    batch_size: int,
    limit: float | None,
    max_pixels: int | None = None,
    ended: threading.Event | None = None,
) -> Iterator[VideoFaces]:
    """Decode and resize frames in ``workers`` processes and detect faces in this one; results are in order.

    Frames of the same shape form batches of ``batch_size``, regardless of their video. The next batch is read while the
    detector processes one. A video whose worker crashes or makes no progress for ``limit`` seconds has no faces, and
    the reason is in its row. Soon after ``ended`` is set, by another thread, the results end.
    """
    due = 0
    rows: dict[int, Video] = {}
    faces: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    work = _Decoder(detector.prepare, every, kept_fps, max_pixels).prepare_work
    events = work_on(work, paths, workers, limit, ended)
    with _Queue(detector, batch_size) as queue, contextlib.closing(events):
        # One more round after the last event, for the frames in incomplete batches.
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
            # Incomplete batches are also processed if decoded videos pile up behind one that waits for them.
            for number, index, of_frame in queue.results(event is None or len(rows) > 4 * workers):
                faces[number][index] = of_frame
            while due in rows and not queue.open[due]:
                yield VideoFaces(rows.pop(due), dict(sorted(faces.pop(due, {}).items())))
                due += 1


@dataclass(frozen=True)
class _Decoder:
    """The task of a worker: yield the sampled frames of a video, then return its row."""

    prepare: Callable[[np.ndarray], Resized]
    every: int
    kept_fps: float | None
    max_pixels: int | None

    def prepare_work(self) -> Callable[[Path], Generator[tuple[int, Resized], None, Video]]:
        return self.work

    def work(self, path: Path) -> Generator[tuple[int, Resized], None, Video]:
        samples = SampledFrames(path, self.prepare, self.every, self.kept_fps, self.max_pixels)
        yield from samples
        return samples.row


class _Queue:
    """Batches frames for the detector, which runs in its own thread.

    ``open`` counts the frames of each video whose results are pending.
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
        """Yield video number, frame index and faces of the frames that are done, or of all frames if ``everything``."""
        if everything:
            for shape in list(self.waiting):
                self._begin(shape)
        while self.under_way:
            keys, future = self.under_way[0]
            if not (everything or future.done() or len(self.under_way) > MOST_UNDER_WAY):
                return
            self.under_way.popleft()
            for (number, index), faces in zip(keys, future.result(), strict=True):
                self.open[number] -= 1
                yield number, index, faces

    def _begin(self, shape: tuple[int, ...]) -> None:
        batch = self.waiting.pop(shape)
        keys = [(number, index) for number, index, _ in batch]
        self.under_way.append((keys, self.thread.submit(self.detector.detect, [prepared for _, _, prepared in batch])))

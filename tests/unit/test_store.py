import io
import pickle
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import moving, write_clips

from dfdc.data.pictures.decoding import decode_png
from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.store import Store
from dfdc.data.pictures.writing import write_store
from dfdc.system.errors import UserError


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_png_loses_nothing(height, width, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    np.testing.assert_array_equal(decode_png(encode_png(picture)), picture)


def test_others_see_the_same_colours():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    as_bgr = cv2.imdecode(np.frombuffer(encode_png(red), np.uint8), cv2.IMREAD_COLOR)
    assert as_bgr[0, 0].tolist() == [0, 0, 200]


def test_pictures_are_stored_as_differences_to_the_row_above():
    """Of PNG's filters the one that is undone fastest."""
    picture = moving(1, 40, 44)[0]
    data = encode_png(picture)
    start = data.index(b"IDAT")
    length = int.from_bytes(data[start - 4 : start], "big")  # of the only block of a small picture
    rows = np.frombuffer(zlib.decompress(data[start + 4 : start + 4 + length]), np.uint8).reshape(40, 1 + 3 * 44)
    assert (rows[:, 0] == 2).all()  # PNG's number of the filter "Up"
    np.testing.assert_array_equal(np.cumsum(rows[:, 1:], 0, dtype=np.uint8).reshape(picture.shape), picture)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
@settings(max_examples=10)
def test_others_can_read_the_pictures(height, width, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    data = encode_png(picture)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), picture)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # the checksums of all chunks
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), picture)


def test_what_is_no_png():
    for data in (b"", b"something else", b"something longer than the header of a PNG file" * 3):
        with pytest.raises(ValueError, match="not a PNG"):
            decode_png(data)


def test_pngs_of_another_kind():
    picture = moving(1, 300, 300)[0]
    for other, options in ((picture, []), (picture[..., 0], []), (picture, [cv2.IMWRITE_PNG_FILTER, 0])):
        with pytest.raises(ValueError, match=r"format that stores do not use|damaged"):
            decode_png(cv2.imencode(".png", other, options)[1].tobytes())


@given(st.data())
def test_a_damaged_png_is_an_error_or_the_same_picture(data):
    picture = moving(1, 20, 24)[0]
    content = bytearray(encode_png(picture))
    cut = data.draw(st.integers(0, len(content)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(content), encode_png(picture)[:cut]):
        try:
            found = decode_png(damaged)
        except ValueError:
            continue
        np.testing.assert_array_equal(found, picture)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_no_png_is_made_of(picture):
    with pytest.raises(ValueError, match="cannot be encoded as PNG"):
        encode_png(picture)


def test_any_picture_of_any_clip(tmp_path):
    store = Store(write_clips(tmp_path / "s.arrow", [5, 1, 8]))
    assert len(store) == 3
    assert [store.length(clip) for clip in range(3)] == [5, 1, 8]
    for clip, length in enumerate((5, 1, 8)):
        np.testing.assert_array_equal(store.read(clip), moving(length, 40, 44, clip))
    picked = store.read(2, [7, 0, 0, 3])
    np.testing.assert_array_equal(picked, [moving(8, 40, 44, 2)[index] for index in (7, 0, 0, 3)])


def test_a_clip_decodes_what_is_asked_for(tmp_path):
    intact = [encode_png(picture) for picture in moving(5, 40, 44)]
    write_store(tmp_path / "s.arrow", [[*intact[:3], b"no picture", intact[4]]])
    store = Store(tmp_path / "s.arrow")
    clip = store.clip(0)
    assert (len(clip), len(store.clip(0, 2)), len(store.clip(0, 9))) == (5, 2, 5)
    np.testing.assert_array_equal([clip[index] for index in (4, 0, -1)], [moving(5, 40, 44)[n] for n in (4, 0, 4)])
    np.testing.assert_array_equal(list(store.clip(0, 3)), moving(5, 40, 44)[:3])
    with pytest.raises(UserError, match=r"image 3 of clip 0: .*not a PNG"):
        clip[3]
    with pytest.raises(IndexError):
        store.clip(0, 2)[2]


def test_the_same_clips_give_the_same_bytes(tmp_path):
    one, other = (write_clips(tmp_path / name, [3, 2]).read_bytes() for name in ("a", "b"))
    assert one == other


def test_an_empty_store(tmp_path):
    write_store(tmp_path / "s.arrow", [])
    assert len(Store(tmp_path / "s.arrow")) == 0


def test_a_store_appears_when_it_is_complete(tmp_path):
    def clips():
        yield [encode_png(moving(1)[0])]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_store(tmp_path / "s.arrow", clips())
    assert list(tmp_path.iterdir()) == []


def test_a_store_can_be_sent_to_another_process(tmp_path):
    store = pickle.loads(pickle.dumps(Store(write_clips(tmp_path / "s.arrow", [2]))))
    np.testing.assert_array_equal(store.read(0), moving(2, 40, 44))


def test_what_is_no_store(tmp_path):
    whole = write_clips(tmp_path / "s.arrow", [4]).read_bytes()
    for name, content in (("absent", None), ("empty", b""), ("text", b"hello" * 50), ("cut", whole[:-100])):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name} is (missing|damaged).*[Rr]un snakemake"):
            Store(tmp_path / name)
    with pytest.raises(UserError, match="is damaged"):
        Store(tmp_path)

"""Images: reading strangers' files, and scoring the faces in them."""

import contextlib
import io
import json
import os
import random
import struct
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from samples import moving, write_video, write_weights

from dfdc.cli import score as score_module
from dfdc.cli.main import main
from dfdc.cli.score import find_videos
from dfdc.cli.scoring.resume import _entry
from dfdc.system.errors import UserError, VideoError
from dfdc.video.images import is_image, read_image

PICTURE = moving(1, 24, 40)[0]
# How what is stored becomes upright, by the number of the orientation (Exif 2.32, 4.6.4, tag 274).
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}


def orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def saved(path, kind, picture=PICTURE, **options):
    Image.fromarray(picture).save(path, kind, **options)
    return path


def content(kind, **options):
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, kind, **options)
    return file.getvalue()


def bomb(width, height):
    """A PNG file of a few bytes that says that it has so many pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})])
def test_a_picture_is_what_was_saved_whatever_its_file_is_called(tmp_path, kind, options):
    for name in ("a.png", "a.mp4", "a"):
        path = saved(tmp_path / name, kind, **options)
        assert is_image(path)
        read = read_image(path, PICTURE[..., 0].size)
        assert (read.picture.shape, read.picture.dtype, read.pictures) == (PICTURE.shape, np.uint8, 1)
        assert np.abs(read.picture.astype(int) - PICTURE).mean() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("number", UPRIGHT)
def test_pictures_are_turned_as_their_exif_data_say(tmp_path, number):
    path = saved(tmp_path / "a.png", "PNG", exif=orientation(number))
    assert np.array_equal(read_image(path).picture, UPRIGHT[number](PICTURE))


def test_odd_exif_data_turn_nothing(tmp_path):
    for number, exif in enumerate([orientation(77).tobytes(), b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0nonsense"]):
        path = saved(tmp_path / f"{number}.png", "PNG", exif=exif)
        assert np.array_equal(read_image(path).picture, PICTURE)


def test_a_picture_that_memory_is_too_small_to_turn_is_not_read_as_it_lies(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", "PNG", exif=orientation(6))

    def transpose(_):
        raise MemoryError

    monkeypatch.setattr("dfdc.video.images.ImageOps.exif_transpose", transpose)
    with pytest.raises(VideoError, match="it cannot be decoded as an image"):
        read_image(path)


def test_pictures_of_other_kinds_become_rgb(tmp_path):
    grey = PICTURE[..., 0]
    for mode, kind in (("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("CMYK", "JPEG")):
        Image.fromarray(PICTURE).convert(mode).save(tmp_path / "a", kind)
        assert read_image(tmp_path / "a").picture.shape == PICTURE.shape, mode
    deep = saved(tmp_path / "deep.png", "PNG", grey.astype(np.uint16) * 257)
    assert np.array_equal(read_image(deep).picture, np.repeat(grey[..., np.newaxis], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_is_read(tmp_path, kind):
    others = [Image.fromarray(picture) for picture in moving(4, 24, 40)[1:]]
    path = saved(tmp_path / "a.png", kind, save_all=True, append_images=others, lossless=True)
    read = read_image(path)
    assert np.array_equal(read.picture, PICTURE)
    assert read.pictures == 4


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jpg", b"", "the file is empty"),
        ("a.jpg", b"no image", "it is no JPEG, PNG or WebP image"),
        ("a.png", b"GIF89a" + bytes(50), "it is a GIF image, which cannot be read here"),
        ("a.gif", content("GIF"), "it is a GIF image"),
        ("a", content("BMP"), "it is a BMP image"),
        ("a.tiff", content("TIFF"), "it is a TIFF image"),
        ("a", b"\0\0\0\x18ftypavif" + bytes(50), "it is an AVIF image"),
        ("a.jpg", HEIC, "it is a HEIC image, which cannot be read here: save it as JPEG or PNG"),
        ("a", HEIC, "it is a HEIC image"),
        ("a.png", bomb(30_000, 2000), r"it has 30000x2000 pixels, more than 1,000,000 \(data.max_pixels\)"),
        ("a.png", bomb(200_000, 200_000), "it has too many pixels"),
        ("a.png", bomb(100, 100), "it cannot be decoded as an image"),
        ("a.jpg", content("JPEG")[:-200], "it cannot be decoded as an image"),
        ("a.png", content("PNG")[:200], "it cannot be decoded as an image"),
        ("a.webp", content("WEBP")[:-20], "it (cannot be decoded as an|is no JPEG, PNG or WebP) image"),
    ],
)
def test_files_that_are_no_sound_images(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    assert is_image(path)
    with pytest.raises(VideoError, match=said):
        read_image(path, 10**6)


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    for name, said in (("pipe", "not a file"), ("folder", "not a file"), ("link", "missing")):
        assert is_image(tmp_path / f"{name}.jpg")
        with pytest.raises(VideoError, match=said):
            read_image(tmp_path / f"{name}.jpg")
    assert not is_image(tmp_path / "absent.mp4")
    assert not is_image(write_video(tmp_path / "a.mp4", moving(2)))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_damaged_images_are_read_or_refused(tmp_path, kind):
    whole, draw = content(kind), random.Random(0)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        (tmp_path / "a").write_bytes(data)
        with contextlib.suppress(VideoError):
            picture = read_image(tmp_path / "a", 10**6).picture
            assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3)


def test_folders_are_searched_for_images_too(tmp_path):
    for name in ("a.mp4", "b.JPG", "c.heic", "d.txt", "below/e.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(find_videos([tmp_path]).values()) == ["a.mp4", "b.JPG", "c.heic"]
    assert list(find_videos([tmp_path], recursive=True).values()) == ["a.mp4", "b.JPG", "below/e.webp", "c.heic"]


# --- scores


@pytest.fixture
def images(tmp_path, monkeypatch, astronaut):
    """Photos of one face, sound and not, and the weights of a model for single faces and of one for windows."""
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path / "re.safetensors")
    write_weights(tmp_path / "seq.safetensors", "sequence", 7)
    folder = tmp_path / "images"
    folder.mkdir()
    saved(folder / "face.png", "PNG", astronaut)
    saved(folder / "turned.png", "PNG", np.rot90(astronaut), exif=orientation(6))
    saved(folder / "moving.webp", "WEBP", astronaut, save_all=True, append_images=[Image.fromarray(astronaut // 2)])
    saved(folder / "none.png", "PNG", moving(1, 200, 200)[0])
    for number, shape in enumerate([(1, 1), (1, 20_000), (20_000, 2)]):
        saved(folder / f"odd{number}.png", "PNG", np.zeros((*shape, 3), np.uint8))
    (folder / "bomb.png").write_bytes(bomb(9000, 9000))
    (folder / "short.jpg").write_bytes(content("JPEG")[:-200])
    return folder


def test_images_are_scored_by_the_models_that_look_at_single_faces(images, capsys, monkeypatch):
    words = "--detector yunet --device cpu --workers 1 --json all.json --html pages --resume done"
    weights = ["--weights", "re.safetensors", "--weights", "seq.safetensors"]
    assert main(["score", "images", *weights, *words.split()]) == 1
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    told = {image["video"]: image for image in json.loads(Path("all.json").read_text())["videos"]}
    assert list(told) == sorted(path.name for path in images.iterdir())
    assert {image["kind"] for image in told.values()} == {"image"}
    face = told["face.png"]
    assert (face["status"], face["frames"], len(face["tracks"])) == ("ok", 1, 1)
    assert face["notes"] == ["single images cannot be scored by seq"]
    assert rows["face.png"].endswith("single images cannot be scored by seq")
    (track,) = face["tracks"]
    assert list(track["models"]) == ["re"]
    assert track["models"]["re"]["faces"] == 2  # as it is and mirrored
    assert track["probability"] == face["probability"] != 0.5
    # The same picture, however it is stored.
    assert told["turned.png"]["probability"] == face["probability"]
    assert told["moving.webp"]["notes"][1] == "only the first of its 2 frames was scored"
    assert told["none.png"]["status"] == "no face"
    assert {told[f"odd{number}.png"]["status"] for number in range(3)} == {"no face"}
    assert (told["bomb.png"]["status"], told["short.jpg"]["status"]) == ("unreadable", "unreadable")
    assert "(data.max_pixels)" in told["bomb.png"]["reason"]

    page = Path("pages/face.png.html").read_text()
    for said in ("this image is fake", "Single images cannot be scored by seq.", "The image; the boxes", "mirrored"):
        assert said in page
    assert page.count("<img") == 3  # the whole image, the face and its heat map
    for absent in ("second", "video can", "over time", "sound"):
        assert absent not in page.split("<main>")[1].split("Provenance")[0]
    assert "This image could not be judged: it has 9000x9000 pixels" in Path("pages/bomb.png.html").read_text()
    index = Path("pages/index.html").read_text()
    assert "Scored files" in index
    assert index.count("<img") == 3

    # Only what could not be read is tried again, and what has no page.
    def stopped(paths, *_):
        raise UserError(" ".join(path.name for path in paths))

    monkeypatch.setattr(score_module, "score_videos", stopped)
    assert main(["score", "images", *weights, *words.split()]) == 2
    assert capsys.readouterr().err == "dfdc score: bomb.png short.jpg\n"
    rows = Path("pages/index.html").read_text().count("<tr>")
    assert rows == 1 + len(told) - 2  # those of before are in the index, beside the headings
    Path("pages/odd1.png.html").unlink()
    assert main(["score", "images", *weights, *words.split()]) == 2
    assert capsys.readouterr().err == "dfdc score: bomb.png odd1.png short.jpg\n"
    # What is done is known, and is the same.
    known = dict(map(_entry, Path("done").read_bytes().splitlines()))
    assert [json.loads(json.dumps(asdict(each))) for each in known.values()] == [
        told[each.video] for each in known.values()
    ]
    assert len(known) == len(told) - 2


@pytest.mark.parametrize("option", ["--timeline", "--annotate"])
def test_pictures_of_time_are_refused_if_there_are_only_images(images, capsys, option):
    words = f"images --weights re.safetensors --detector yunet --device cpu {option} out"
    assert main(["score", *words.split()]) == 2
    assert f"{option} is for videos, but there are only images. --html shows" in capsys.readouterr().err

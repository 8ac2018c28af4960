"""Leaving out what is not needed changes nothing: every test compares with decoding from the start."""

import contextlib
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import moving, overwritten, truncated

from dfdc.data.seeding import generator
from dfdc.system.errors import VideoError
from dfdc.video.counting import count_frames
from dfdc.video.h264 import Doubt, sei_types
from dfdc.video.order import MAX_REORDERED, most_reordered, read_parameters
from dfdc.video.reading import open_video, read_frames
from dfdc.video.selective import MAX_GROUP, decode_wanted

FRAMES = 40
# Fills all of the video usability information, in which the reordering depth stands last.
DETAILS = (
    "sar=9/7:overscan=show:videoformat=pal:range=pc:colorprim=bt709:transfer=bt709:colormatrix=bt709:chromaloc=2:"
    "nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"
)
# Name: file's ending, encoder, its options.
KINDS = {
    "h264, no B-frames": ("mp4", "libx264", {"g": "7", "bf": "0"}),
    "h264, B-frames": ("mp4", "libx264", {"g": "9", "bf": "3"}),
    "h264, pyramid": ("mp4", "libx264", {"g": "12", "bf": "5", "b-pyramid": "normal", "refs": "4"}),
    "h264, every frame a key": ("mp4", "libx264", {"g": "1"}),
    "h264, one group": ("mp4", "libx264", {"g": "250", "bf": "2"}),
    "h264, uneven groups": ("mp4", "libx264", {"g": "250", "bf": "2", "forced-idr": "1"}),
    "h264, temporal direct": ("mp4", "libx264", {"g": "20", "bf": "4", "x264-params": "direct=temporal:weightp=2"}),
    "h264, no references between B-frames": ("mp4", "libx264", {"g": "30", "bf": "8", "x264-params": "b-pyramid=none"}),
    "h264, picture timing": ("mp4", "libx264", {"g": "9", "bf": "3", "x264-params": "pic-struct=1:aud=1"}),
    "h264, weights": ("mp4", "libx264", {"g": "30", "bf": "3", "preset": "slow"}),
    "h264, open groups": ("mp4", "libx264", {"g": "8", "bf": "3", "x264-params": "open-gop=1"}),
    "h264, slices": ("mp4", "libx264", {"g": "10", "bf": "2", "x264-params": "slices=4"}),
    "h264, fields": ("mp4", "libx264", {"g": "10", "bf": "2", "x264-params": "interlaced=1"}),
    "h264, intra refresh": ("mp4", "libx264", {"g": "10", "intra-refresh": "1"}),
    "h264, every detail": ("mp4", "libx264", {"g": "30", "bf": "3", "b-pyramid": "normal", "x264-params": DETAILS}),
    "h264, mov": ("mov", "libx264", {"g": "9", "bf": "3"}),
    "h264, mkv": ("mkv", "libx264", {"g": "9", "bf": "3"}),
    "h264, ts": ("ts", "libx264", {"g": "9", "bf": "3"}),
    "h264, avi": ("avi", "libx264", {"g": "9", "bf": "3"}),
    "hevc": ("mp4", "libx265", {"g": "9", "x265-params": "log-level=none:pools=none:frame-threads=1"}),
    "mpeg4": ("mp4", "mpeg4", {"g": "9", "bf": "2"}),
    "mpeg2": ("mp4", "mpeg2video", {"g": "9", "bf": "2"}),
    "mjpeg": ("mov", "mjpeg", {}),
    "vp8": ("webm", "libvpx", {"g": "9", "deadline": "realtime", "cpu-used": "8"}),
    "vp9": ("mp4", "libvpx-vp9", {"g": "9", "deadline": "realtime", "cpu-used": "8"}),
}
CERTAIN = [
    "temporal direct",
    "no references between B-frames",
    "picture timing",
    "weights",
    "no B-frames",
    "B-frames",
    "pyramid",
    "every frame a key",
    "uneven groups",
    "slices",
    "every detail",
    "mov",
]


def write(path, encoder, options, frames=FRAMES, size=(64, 48), times=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", **options} if encoder.startswith("libx26") else options
        for index, picture in enumerate(moving(frames, size[1], size[0])):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if "forced-idr" in options and index in (3, 4, 19):
                frame.pict_type = av.video.frame.PictureType.I
            if times:
                frame.pts = times[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def ffmpeg(*arguments):
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments], check=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    made = {
        kind: write(folder / f"{number}.{ending}", encoder, options)
        for number, (kind, (ending, encoder, options)) in enumerate(KINDS.items())
    }
    plain = made["h264, B-frames"]
    times = np.cumsum(generator(0, "times").integers(1, 9, FRAMES)).tolist()
    made["variable rate"] = write(folder / "vfr.mp4", *KINDS["h264, B-frames"][1:], times=times)
    for kind, arguments in {
        "rotated": ["-display_rotation", "90", "-i", plain, "-c", "copy"],
        "edit list": ["-ss", "0.5", "-i", plain, "-c", "copy"],
        "fragments": ["-i", plain, "-c", "copy", "-movflags", "frag_keyframe+empty_moov"],
        "parameters in band": ["-i", plain, "-c", "copy", "-bsf:v", "dump_extra=freq=k"],
        "index first": ["-i", plain, "-c", "copy", "-movflags", "faststart"],
        "lost reordering": ["-i", plain, "-c", "copy", "-bsf:v", "setts=pts=DTS"],
    }.items():
        made[kind] = folder / f"{kind}.mp4"
        ffmpeg(*arguments, made[kind])
    joined = folder / "joined.mp4"  # the second half has another size and other parameters
    other = write(folder / "other.mp4", *KINDS["h264, B-frames"][1:], size=(96, 80))
    listed = folder / "list.txt"
    listed.write_text(f"file '{plain}'\nfile '{other}'\n")
    ffmpeg("-f", "concat", "-safe", "0", "-i", listed, "-c", "copy", joined)
    made["two sizes"] = joined
    first = made["index first"]
    for number in range(14):
        draw = generator(number, "damage")
        content = bytearray(first.read_bytes())
        start = content.find(b"mdat")
        for place in draw.integers(start, len(content), draw.integers(1, 6)):
            content[place] ^= 1 << draw.integers(8)
        made[f"damaged {number}"] = folder / f"d{number}.mp4"
        made[f"damaged {number}"].write_bytes(content)
    for number, share in enumerate((0.4, 0.6, 0.95)):
        made[f"truncated {number}"] = folder / f"t{number}.mp4"
        made[f"truncated {number}"].write_bytes(truncated(first, share))
    made["hole"] = folder / "hole.mp4"
    made["hole"].write_bytes(overwritten(plain, 0.5, 300))
    return made


@pytest.fixture(scope="module")
def known(videos):
    """The number of frames that decoding from the start gives, None where anything is damaged or out of order."""
    found = {}
    for kind, path in videos.items():
        video = open_video(path)
        try:
            frames = len(list(read_frames(video)))
            found[kind] = None if video.damage or video.spoilt or not video.in_order else frames
        except VideoError:
            found[kind] = None
    return found


def read(path, wanted, end, counted):
    video = open_video(path)
    try:
        pictures = list(read_frames(video, wanted, end, counted))
    except VideoError as error:
        return str(error)
    about = video.width, video.height, video.frames_read, video.damage
    return [(index, picture.tobytes()) for index, picture in pictures], about


NAMES = [
    *KINDS,
    *("variable rate", "rotated", "edit list", "fragments", "parameters in band", "index first", "lost reordering"),
    *("two sizes", "hole", *(f"damaged {n}" for n in range(14)), *(f"truncated {n}" for n in range(3))),
]


@pytest.mark.parametrize("kind", NAMES)
@settings(max_examples=8)
@given(
    chosen=st.sets(st.integers(0, FRAMES + 3)),
    window=st.tuples(st.integers(0, FRAMES), st.integers(0, 12)),
    end=st.none() | st.integers(0, FRAMES + 5),
)
def test_nothing_changes(videos, known, kind, chosen, window, end):
    counted = known[kind]
    for wanted in (chosen.__contains__, set(range(window[0], sum(window))).__contains__):
        assert read(videos[kind], wanted, end, counted) == read(videos[kind], wanted, end, None)


def decoded(path, wanted, counted, end=FRAMES):
    """Which frames were decoded, and whether that came to its end."""
    with av.open(str(path)) as container:
        indices = []
        try:
            for index, _ in decode_wanted(container, container.streams.video[0], wanted, end, counted):
                indices.append(index)
        except Doubt:
            return indices, False
        return indices, True


@pytest.mark.parametrize("kind", [*(f"h264, {kind}" for kind in CERTAIN), "variable rate"])
def test_what_is_not_needed_is_left_out(videos, known, kind):
    assert known[kind] == FRAMES
    assert decoded(videos[kind], lambda _: False, FRAMES) == ([0], True)
    for index in (5, 25, FRAMES - 1):
        indices, ended = decoded(videos[kind], {index}.__contains__, FRAMES)
        assert ended
        assert index in indices
        assert indices == sorted(indices)
        assert len(indices) < FRAMES * 0.7
    assert decoded(videos[kind], lambda _: True, FRAMES) == (list(range(FRAMES)), True)


def types_of_pictures(path) -> str:
    with av.open(str(path)) as container:
        return "".join(av.video.frame.PictureType(frame.pict_type).name for frame in container.decode(video=0))


def test_a_frame_that_no_other_needs_is_decoded_only_if_it_is_wanted(videos):
    path = videos["h264, no references between B-frames"]
    types = types_of_pictures(path)
    unneeded = [index for index, kind in enumerate(types) if kind == "B"]
    assert len(unneeded) > FRAMES / 2
    indices, ended = decoded(path, lambda index: index == 20, FRAMES)
    assert ended
    assert set(indices) & set(unneeded) <= {20}
    # Nor what comes after the last wanted frame and is not shown before it.
    assert max(indices) <= types.index("P", 20)


def test_time_stamps_out_of_order_are_known(videos, known):
    assert known["lost reordering"] is None
    video = open_video(videos["lost reordering"])
    assert len(list(read_frames(video))) > FRAMES / 2
    assert (video.damage, video.spoilt, video.in_order) == (None, [], False)


@pytest.mark.parametrize(
    "kind",
    ["h264, mkv", "h264, ts", "hevc", "mpeg4", "vp9", "fragments", "parameters in band", "two sizes"],
)
def test_in_doubt_all_is_decoded(videos, known, kind):
    indices, ended = decoded(videos[kind], {FRAMES - 1}.__contains__, known[kind])
    assert not ended
    assert indices in ([], [0])


def test_another_count_is_a_doubt(videos):
    for counted in (0, FRAMES - 1, FRAMES + 1, 2 * FRAMES):
        assert decoded(videos["h264, B-frames"], {30}.__contains__, counted) == ([], False)


def test_what_comes_after_the_end_is_not_read(tmp_path, videos):
    content = bytearray(videos["index first"].read_bytes())
    content[len(content) * 3 // 4 :] = bytes(len(content) - len(content) * 3 // 4)
    (tmp_path / "cut.mp4").write_bytes(content)
    wanted = {12}.__contains__
    for counted in (None, FRAMES):
        assert read(tmp_path / "cut.mp4", wanted, 13, counted) == read(videos["index first"], wanted, 13, None)


def test_a_doubt_on_the_way_goes_on_after_what_was_given(videos, known):
    """The count is a lie: damage is met in a group that is wanted, after others were given."""
    met = 0
    for kind in (f"damaged {n}" for n in range(14)):
        path = videos[kind]
        indices, ended = decoded(path, lambda _: True, FRAMES)
        met += not ended and len(indices) > 1
        assert read(path, lambda _: True, None, FRAMES) == read(path, lambda _: True, None, None)
    assert met


def test_a_group_that_is_too_large_is_decoded_from_the_start(videos, monkeypatch):
    assert MAX_GROUP < 100_000_000
    path, wanted = videos["h264, one group"], {FRAMES - 1}.__contains__
    assert decoded(path, wanted, FRAMES)[1]
    monkeypatch.setattr("dfdc.video.selective.MAX_GROUP", 200)
    assert decoded(path, wanted, FRAMES) == ([], False)
    assert read(path, wanted, None, FRAMES) == read(path, wanted, None, None)


def sei(*messages: tuple[int, bytes]) -> memoryview:
    """A NAL unit of supplemental information, as an encoder writes it (7.3.1 and 7.3.2.3)."""
    body = b"".join(
        b"\xff" * (kind // 255) + bytes([kind % 255]) + b"\xff" * (len(data) // 255) + bytes([len(data) % 255]) + data
        for kind, data in messages
    )
    for last in range(4):  # emulation prevention
        body = body.replace(b"\0\0" + bytes([last]), b"\0\0\3" + bytes([last])) if last != 3 else body
    return memoryview(b"\6" + body + b"\x80")


@given(
    st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=600).map(lambda b: b.replace(b"\0", b"\1"))))
)
def test_the_types_of_supplemental_information(messages):
    assert sei_types(sei(*messages)) == {kind for kind, _ in messages}


def test_types_of_supplemental_information_behind_zeros():
    assert sei_types(sei((1, b"\0\0\0\0\1"), (47, b"\0"))) == {1, 47}


def test_supplemental_information_that_may_turn_a_picture_is_a_doubt(tmp_path, videos):
    """Display orientation (type 47) in later pictures holds on."""
    path = tmp_path / "turned.mp4"
    plain = videos["h264, B-frames"]
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90", path)
    video = open_video(path)
    assert len(list(read_frames(video))) == FRAMES
    wanted = {FRAMES - 1}.__contains__
    assert decoded(path, wanted, FRAMES)[1] is False
    assert read(path, wanted, None, FRAMES) == read(path, wanted, None, None)


def sampled(path, certain):
    """Every sixth frame, as detection reads them, and what is known of the video afterwards (None if unreadable)."""
    try:
        video = open_video(path)
        counted = count_frames(video) if certain else None
        frames = {index: frame.tobytes() for index, frame in read_frames(video, lambda n: n % 6 == 0, counted=counted)}
    except VideoError:
        return {}, None
    return frames, (video.width, video.height, video.frames_read, video.in_order, video.damage, video.spoilt)


@pytest.mark.parametrize("kind", [*(f"h264, {kind}" for kind in CERTAIN), "variable rate", "rotated", "index first"])
def test_frames_are_counted_without_decoding(videos, known, kind):
    video = open_video(videos[kind])
    assert count_frames(video) == known[kind] == FRAMES
    with video.container() as container:  # which still can be read from the start
        indices = [n for n, _ in decode_wanted(container, container.streams.video[0], {7}.__contains__, FRAMES, FRAMES)]
    assert len(indices) < FRAMES * 0.7


@pytest.mark.parametrize("kind", NAMES)
def test_a_count_is_right_or_there_is_none(videos, known, kind):
    with contextlib.suppress(VideoError):
        assert count_frames(open_video(videos[kind])) in (None, known[kind] or FRAMES)
    if known[kind]:
        assert sampled(videos[kind], certain=True) == sampled(videos[kind], certain=False)


UNCERTAIN = ["h264, open groups", "h264, fields", "h264, mkv", "h264, avi", "hevc", "mpeg4", "vp9"]


@pytest.mark.parametrize(
    "kind", [*UNCERTAIN, "edit list", "fragments", "parameters in band", "lost reordering", "two sizes"]
)
def test_what_is_uncertain_is_not_counted(videos, kind):
    assert count_frames(open_video(videos[kind])) is None


@pytest.mark.parametrize("reordered", [None, 0, 1])
def test_pictures_that_a_decoder_may_drop_are_not_counted(videos, monkeypatch, reordered):
    """A stream that does not say for how many pictures a decoder has to wait, or names fewer than it takes."""

    def read(extradata):
        return replace(read_parameters(extradata), reordered=reordered)

    monkeypatch.setattr("dfdc.video.counting.read_parameters", read)
    assert count_frames(open_video(videos["h264, pyramid"])) is None
    assert count_frames(open_video(videos["h264, no B-frames"])) == FRAMES


def test_damage_is_noticed_where_it_matters(tmp_path, videos):
    """Whatever is damaged: the sampled frames are those that decoding everything gives, or the undamaged ones."""
    sound, whole = sampled(videos["index first"], certain=False)[0], videos["index first"].read_bytes()
    start = whole.find(b"mdat")
    outcomes = Counter()
    for number in range(150):
        draw = generator(number, "more damage")
        content, place = bytearray(whole), int(draw.integers(start, len(whole)))
        if number % 3:
            content[place] ^= 1 << draw.integers(8)
        else:
            length = min(int(draw.integers(1, 400)), len(content) - place)
            content[place : place + length] = bytes(length)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(content)
        frames, about = sampled(path, certain=True)
        all_frames, about_all = sampled(path, certain=False)
        if about == about_all:
            outcomes["the same"] += 1
            read = about[2] if about else 0
            assert {n: frame for n, frame in frames.items() if n < read} == all_frames
        else:
            outcomes["unnoticed"] += 1
            *_, damage, spoilt = about_all
            assert about == (64, 48, FRAMES, True, None, [])
            assert damage or not any(n % 6 == 0 for n in spoilt)
            assert frames == sound
    assert min(outcomes["the same"], outcomes["unnoticed"]) >= 5


def parameters(path):
    with av.open(str(path)) as container:
        return read_parameters(container.streams.video[0].codec_context.extradata)


def test_parameters_of_streams(videos):
    for kind, reordered in {
        "no B-frames": 0,
        "no references between B-frames": 1,
        "pyramid": 2,
        "every detail": 2,
    }.items():
        found = parameters(videos[f"h264, {kind}"])
        assert found.reordered == reordered
        assert (found.order_bits == 0) == (kind == "no B-frames")
    for extradata in (b"", bytes(40), b"\1\x64\0\x0d\xff\xe1\0\x20\x67\x64\0\x0d"):
        with pytest.raises(Doubt):
            read_parameters(extradata)


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x55"])
def test_parameters_of_strangers_take_no_time(filling):
    """Sets of the greatest size, of codes that are too long, or of as many codes as fit."""
    parameters = b"\1\x64\0\x0d\xff\xe1\xff\xff\x67" + filling * 65534 + b"\1\0\4\x68\xee\x3c\x80"
    begun = time.process_time()
    with pytest.raises(Doubt):
        read_parameters(parameters)
    assert time.process_time() - begun < 0.5


def test_reordering_of_pictures():
    assert most_reordered([]) == most_reordered([0, 1, 2, 3]) == 0
    assert most_reordered([0, 4, 2, 1, 3]) == 2
    assert most_reordered([0, 2, 1, 4, 3]) == 1
    assert most_reordered(range(100_000, 0, -1)) == MAX_REORDERED + 1

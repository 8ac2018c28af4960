"""Small inputs that several tests need: moving pictures, videos, stores of clips, weights."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import torch

from dfdc.data.pictures.encoding import encode_png
from dfdc.data.pictures.writing import write_store
from dfdc.data.schemas.alignment import AlignedTrack
from dfdc.data.schemas.pairs import Pair
from dfdc.networks.efficientnet import Classifier
from dfdc.networks.families import build_model
from dfdc.networks.inputs import IMAGENET
from dfdc.networks.settings import CropPolicy
from dfdc.networks.weights.files import save_weights
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.samples import SampleSettings
from dfdc.video.settings import RecompressionSettings
from published import published


def moving(count: int, height: int = 96, width: int = 128, seed: int = 0) -> list[np.ndarray]:
    """A soft texture that slides: each frame differs from every other."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return [np.roll(picture, 5 * index, axis=1) for index in range(count)]


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: int | Fraction = 25,
    times: Sequence[int] | None = None,
    pixel_format: str = "yuv420p",
    index_first: bool = False,
    b_frames: int = 0,
) -> Path:
    """An H.264 MP4 file; ``times`` are time stamps in milliseconds, ``index_first`` puts the index at the beginning."""
    options = {"movflags": "faststart"} if index_first else {}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt, stream.thread_count = pixel_format, 1
        stream.options = {"crf": "12", "preset": "ultrafast", "g": "10", "bf": str(b_frames)}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(frames):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """An MP4 file with sound and no picture."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        block.sample_rate = 16000
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return path


def frame_data(path: Path) -> list[tuple[int, int]]:
    """Place and size of each frame's data in an MP4 file, in the order in which frames are shown."""
    with av.open(str(path)) as container:
        packets = [(packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    return [(place, size) for _, place, size in sorted(packets)]


def truncated(path: Path, share: float) -> bytes:
    """The first part of a file."""
    content = path.read_bytes()
    return content[: int(len(content) * share)]


def overwritten(path: Path, share: float, length: int = 4000) -> bytes:
    """A file with some bytes zeroed from a place on, as a bad block of a disk leaves it."""
    content = bytearray(path.read_bytes())
    start = int(len(content) * share)
    length = min(length, len(content) - start)
    content[start : start + length] = bytes(length)
    return bytes(content)


def write_clips(path: Path, lengths: Sequence[int], side: int = 40) -> Path:
    """A store of clips of moving pictures of these lengths, each of another texture."""
    write_store(
        path,
        ([encode_png(frame) for frame in moving(length, side, side + 4, seed)] for seed, length in enumerate(lengths)),
    )
    return path


def pair_rows(pairs: int, frames: int, part: str = "part") -> list[Pair]:
    """Rows of a table of pairs: clip 2 n is real, clip 2 n + 1 its fake."""
    return [
        Pair(
            part=part,
            real=f"real{number}.mp4",
            fake=f"fake{number}.mp4",
            real_clip=2 * number,
            fake_clip=2 * number + 1,
            frames=frames,
            real_sha256="",
            fake_sha256="",
            difference=5.0,
            split="train",
        )
        for number in range(pairs)
    ]


def sample_settings(kind: str = "frame", frames: tuple[int, ...] = (1, 3), **changes) -> SampleSettings:
    """Everything random switched on, at 32 x 32 pixels."""
    settings = {
        "kind": kind,
        "frames": frames,
        "whole_clip": True,
        "crop": CropPolicy(32, False, 32, 32),
        "augment": published(AugmentSettings, erasing=0.5),
        "recompression": published(RecompressionSettings, probability=0.5, preset="ultrafast"),
        "mixup_alpha": 0.5,
        "seed": 3,
    }
    return SampleSettings(**(settings | changes))


def lively_model(kind: str = "frame", sequence_length: int = 3, architecture: str = "efficientnet-lite0") -> Classifier:
    """A small network with random weights through which signals pass: the usual ones die away in so deep a network."""
    torch.manual_seed(1)
    model = build_model(architecture, kind, (32, 32), sequence_length)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # takes the mean and the variance of one batch
    with torch.no_grad():
        model(torch.randn(8 * sequence_length, 3, 32, 32))
    return model


def write_weights(path: Path, kind: str = "frame", sequence_length: int = 3, dtype=torch.float16) -> Path:
    """Random weights of a small network for pictures of 32 x 32, as prediction reads them."""
    model = lively_model(kind, sequence_length)
    about = {
        "architecture": "efficientnet-lite0",
        "kind": kind,
        "crop": {"smaller_side": 32, "pad": False, "height": 32, "width": 32},
        "mean": IMAGENET.mean,
        "std": IMAGENET.std,
        "sequence_length": sequence_length,
    }
    save_weights(path, model.state_dict(), about, dtype)
    return path


# A value for each type of column that tables have.
VALUES_OF_TYPES = {
    pa.string(): "text",
    pa.int32(): 7,
    pa.int64(): 2**40,
    pa.float32(): 0.5,
    pa.bool_(): True,
    pa.float64(): 0.1,
    pa.list_(pa.float32(), 4): [1.5, 2.0, 3.0, 4.0],
    pa.list_(pa.int32(), 4): [1, 2, 3, 4],
    pa.list_(pa.int32()): [1, 2, 3],
    pa.list_(pa.list_(pa.float32(), 4)): [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]],
}


def columns(schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns of a table; what a row does not name is null."""
    return {name: [row.get(name) for row in rows] for name in schema.names}


BOX = [30.0, 20.0, 70.0, 60.0]


def aligned_track(real="r.mp4", fake="f.mp4", entries=12, first=0, **changes) -> AlignedTrack:
    """An aligned track of two videos, whose boxes move by a pixel from one sampled frame to the next."""
    aligned = AlignedTrack(
        real,
        fake,
        "aligned",
        real_track=0,
        fake_track=0,
        frames=[6 * (first + n) for n in range(entries)],
        real_boxes=[[side + n for side in BOX] for n in range(entries)],
        fake_boxes=[[side + n + 0.5 for side in BOX] for n in range(entries)],
    )
    return replace(aligned, **changes)

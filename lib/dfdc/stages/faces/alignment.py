"""Which track of a real video and which track of its fake show the same face at the same time."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from dfdc.data.tables import boxes_of
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.stages.faces.tracking import Track
from dfdc.video.boxes import iou


def align_tracks(tracks: pa.Table, videos: pa.Table, settings: AlignmentSettings) -> list[dict[str, Any]]:
    """Rows of the table of aligned tracks of a part.

    For every real video, each of its fakes and each real track of at least ``min_boxes`` boxes: the first fake
    track of that length with a common frame and an overlap of more than ``min_iou`` in all common frames. What
    finds no partner gets a row that says why.
    """
    tracks_of = _tracks(tracks, settings.min_boxes)
    by_name = {row["video"]: row for row in videos.to_pylist()}
    rows = []
    for row in sorted(by_name.values(), key=lambda row: (row["original"], row["video"])):
        if row["label"] != "FAKE":
            continue
        fake, real = row["video"], row["original"]
        if reason := _obstacle(by_name[real], row, tracks_of):
            rows.append(_row(real, fake, "unaligned", reason))
        else:
            rows += _align(real, fake, tracks_of, settings.min_iou)
    return rows


def _obstacle(real: dict, fake: dict, tracks_of: dict[str, dict[int, Track]]) -> str:
    """Why two videos cannot be aligned at all; empty if they can."""
    for which, video in (("real video", real), ("fake", fake)):
        if video["status"] == "unreadable":
            return f"the {which} is unreadable: {video['reason']}"
    if (real["width"], real["height"]) != (fake["width"], fake["height"]):
        return f"other size: real {real['width']}x{real['height']}, fake {fake['width']}x{fake['height']}"
    for which, video in (("real video", real), ("fake", fake)):
        if not tracks_of[video["video"]]:
            return f"the {which} has no track that is long enough"
    return ""


def _align(real: str, fake: str, tracks_of: dict, min_iou: float) -> Iterator[dict[str, Any]]:
    for real_number, real_track in tracks_of[real].items():
        real_boxes = dict(zip(real_track.frames, real_track.boxes, strict=True))
        for fake_number, fake_track in tracks_of[fake].items():
            fake_boxes = dict(zip(fake_track.frames, fake_track.boxes, strict=True))
            shared = [frame for frame in real_track.frames if frame in fake_boxes]
            if shared and min(iou(real_boxes[frame], fake_boxes[frame]) for frame in shared) > min_iou:
                yield _row(
                    real,
                    fake,
                    "aligned",
                    real_track=real_number,
                    fake_track=fake_number,
                    frames=shared,
                    real_boxes=[real_boxes[frame] for frame in shared],
                    fake_boxes=[fake_boxes[frame] for frame in shared],
                )
                break
        else:
            yield _row(real, fake, "unaligned", "no track of the fake covers this face", real_track=real_number)


def _row(real: str, fake: str, status: str, reason: str = "", **columns: Any) -> dict[str, Any]:
    empty = {"real_track": None, "fake_track": None, "frames": [], "real_boxes": [], "fake_boxes": []}
    return {"real": real, "fake": fake, "status": status, "reason": reason, **empty, **columns}


def _tracks(table: pa.Table, min_boxes: int) -> dict[str, dict[int, Track]]:
    """Video to number to track, for the tracks of at least ``min_boxes`` boxes."""
    tracks: dict[str, dict[int, Track]] = defaultdict(lambda: defaultdict(Track))
    columns = (
        table["video"].to_pylist(),
        table["track"].to_pylist(),
        table["frame"].to_pylist(),
        boxes_of(table["box"]).tolist(),
        table["score"].to_pylist(),
    )
    for video, number, *face in zip(*columns, strict=True):
        tracks[video][number].append(*face)
    return defaultdict(
        dict,
        {
            video: {number: track for number, track in of_video.items() if len(track.frames) >= min_boxes}
            for video, of_video in tracks.items()
        },
    )

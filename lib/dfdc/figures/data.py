"""Figures of the data: status of videos, faces, tracks, alignment, clips."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from dfdc.data.arrays import boxes_of
from dfdc.figures.style import LABELS, NAMES, bars, drawing, outlines, say_nothing, thousands

REASONS = 8  # the most frequent reasons have a bar each, the rest share one
MOST_FACES = 5  # the last bin counts frames with this many faces or more


@dataclass(frozen=True)
class Found:
    """Statistics of some videos, by label: REAL and FAKE, or "" if labels are unknown.

    - ``videos``: for each label, the number of videos by status and reason;
    - ``faces``: numbers of sampled frames with 0, 1, … faces; the last bin is ``MOST_FACES`` or more;
    - ``heights``: heights of all face boxes, in pixels;
    - ``tracks``: duration of each track from its first to its last frame, in seconds.
    """

    videos: dict[str, Counter]
    faces: dict[str, np.ndarray]
    heights: dict[str, np.ndarray]
    tracks: dict[str, np.ndarray]


def found_in(videos: pa.Table, detections: pa.Table, tracks: pa.Table, every: int) -> Found:
    """Statistics of the videos of a part or a shard.

    Faces were detected in every ``every``-th frame (for test videos: in every ``every``-th kept frame).
    """
    by_video = videos.to_pandas(use_threads=False).set_index("video")
    label_of = by_video["label"] if "label" in by_video else pd.Series("", by_video.index)
    labels = ("REAL", "FAKE") if "label" in by_video else ("",)
    step = every * (by_video["step"].clip(lower=1) if "step" in by_video else 1)
    sampled = np.ceil(by_video["frames"] / step).astype(int).groupby(label_of).sum()

    faces = pd.DataFrame({"video": detections["video"].to_numpy(), "frame": detections["frame"].to_numpy()})
    boxes = boxes_of(detections["box"])
    per_frame = faces.groupby(["video", "frame"]).size()
    label_of_frame = label_of[per_frame.index.get_level_values("video")].to_numpy()
    label_of_face = label_of[faces["video"]].to_numpy()

    spans = (
        tracks.select(["video", "track", "frame"])
        .to_pandas(use_threads=False)
        .groupby(["video", "track"])["frame"]
        .agg(["min", "max"])
    )
    of_track = spans.index.get_level_values("video")
    seconds = (spans["max"] - spans["min"]).to_numpy() / by_video["fps"][of_track].to_numpy()
    label_of_track = label_of[of_track].to_numpy()

    def frames_by_faces(label: str) -> np.ndarray:
        counts = np.bincount(np.minimum(per_frame[label_of_frame == label], MOST_FACES), minlength=MOST_FACES + 1)
        counts[0] = sampled.get(label, 0) - counts.sum()
        return counts

    return Found(
        {label: _states(by_video[label_of == label]) for label in labels},
        {label: frames_by_faces(label) for label in labels},
        {label: (boxes[:, 3] - boxes[:, 1])[label_of_face == label] for label in labels},
        {label: seconds[label_of_track == label] for label in labels},
    )


def together(parts: Sequence[Found]) -> Found:
    """Merge the statistics of several parts or shards."""
    labels = list(parts[0].videos)
    return Found(
        {label: sum((part.videos[label] for part in parts), Counter()) for label in labels},
        {label: np.sum([part.faces[label] for part in parts], axis=0) for label in labels},
        {label: np.concatenate([part.heights[label] for part in parts]) for label in labels},
        {label: np.concatenate([part.tracks[label] for part in parts]) for label in labels},
    )


def _states(videos: pd.DataFrame) -> Counter:
    rows = zip(videos["status"], videos["reason"], strict=True)
    return Counter(_state(status, in_general(reason or "")) for status, reason in rows)


def _state(status: str, reason: str) -> str:
    """Status and reason; the reason alone if it begins with the status (no face: no face was detected …)."""
    return reason if reason.startswith(status) else f"{status}: {reason}" if reason else status


def in_general(reason: str) -> str:
    """A reason without the details of one video: numbers become …, and the position in the file is dropped."""
    return re.sub(r"\d+(?:[.x:]\d+)*(?:, …)?", "…", re.sub(r"^after frame -?\d+: ", "", reason))


def most_frequent(counts: dict[str, Counter], limit: int = REASONS) -> dict[str, dict[str, int]]:
    """The counts of the names that are most frequent over all labels; the rest are summed as "others"."""
    names = [name for name, _ in sum(counts.values(), Counter()).most_common(limit)]
    return {
        label: {name: of_label[name] for name in names}
        | ({"others": rest} if (rest := sum(of_label.values()) - sum(of_label[name] for name in names)) else {})
        for label, of_label in counts.items()
    }


def plot_videos(path: str | Path, stats: Found) -> None:
    """Number of videos by status and reason."""
    counts = most_frequent(stats.videos)
    rows = len({name for of_label in counts.values() for name in of_label})
    with drawing(path, 8, 1.4 + 0.5 * max(rows, 1)) as (axes,):
        bars(axes, counts)
        total = sum(sum(of_label.values()) for of_label in counts.values())
        axes.set_title(f"{thousands(total)} videos by state")
        axes.set_xlabel("videos")


def plot_faces(path: str | Path, stats: Found) -> None:
    """Histogram of faces per sampled frame."""
    with drawing(path, 7, 3.6) as (axes,):
        width = 0.8 / len(stats.faces)
        for number, (label, counts) in enumerate(stats.faces.items()):
            places = np.arange(len(counts)) + (number - (len(stats.faces) - 1) / 2) * width
            share = 100 * counts / max(counts.sum(), 1)
            name = f"{NAMES[label]} ({thousands(counts.sum())} frames)"
            axes.bar(places, share, width * 0.92, color=LABELS[label], label=name)
            for place, value in zip(places, share, strict=True):
                axes.text(place, value, f"{value:.1f}" if value else "0", ha="center", va="bottom", fontsize=8)
        axes.set_xticks(range(MOST_FACES + 1), [*map(str, range(MOST_FACES)), f"{MOST_FACES} or more"])
        axes.set_xlabel("faces in the frame")
        axes.set_ylabel("sampled frames (%)")
        axes.set_title("Faces per sampled frame")
        axes.grid(axis="x", visible=False)
        axes.legend()


def plot_heights(path: str | Path, stats: Found) -> None:
    """Histogram of face heights."""
    heights = np.concatenate(list(stats.heights.values()))
    with drawing(path, 7, 3.6) as (axes,):
        if not len(heights):
            return say_nothing(axes, "no faces found")
        low, high = np.maximum(np.percentile(heights, [0, 100]), 1)
        outlines(axes, stats.heights, np.geomspace(low * 0.98, high * 1.02, 41))
        axes.set_xscale("log")
        ticks = [size for size in (8, 16, 32, 64, 128, 256, 512, 1024, 2048) if low * 0.7 <= size <= high * 1.5]
        axes.set_xticks(ticks, list(map(str, ticks)), minor=False)
        axes.minorticks_off()
        axes.set_xlabel("height of the face box (pixels, log scale)")
        axes.set_ylabel("faces (%)")
        axes.set_title(f"Face height, median {np.median(heights):.0f} pixels")


def plot_tracks(path: str | Path, stats: Found) -> None:
    """Histogram of track durations."""
    seconds = np.concatenate(list(stats.tracks.values()))
    with drawing(path, 7, 3.6) as (axes,):
        if not len(seconds):
            return say_nothing(axes, "no tracks")
        longest = max(float(np.percentile(seconds, 99.9)), 0.5)
        outlines(axes, stats.tracks, np.linspace(0, longest * 1.001, 31))
        axes.set_xlabel("duration from first to last frame (seconds)")
        axes.set_ylabel("tracks (%)")
        axes.set_title(f"Track duration, median {np.median(seconds):.1f} seconds")


def alignment_of(aligned: Iterable[pa.Table]) -> tuple[Counter, Counter]:
    """Numbers of track pairs by alignment status and reason, and of fakes "with" and "without" an aligned track."""
    tracks, fakes = Counter(), Counter()
    for table in aligned:
        status, reason = table["status"].to_pylist(), table["reason"].to_pylist()
        tracks.update(
            "aligned" if state == "aligned" else f"unaligned: {in_general(why)}"
            for state, why in zip(status, reason, strict=True)
        )
        names = table["fake"].to_pylist()
        aligned_fakes = {name for name, state in zip(names, status, strict=True) if state == "aligned"}
        fakes.update({"with": len(aligned_fakes), "without": len(set(names) - aligned_fakes)})
    return tracks, fakes


def plot_alignment(path: str | Path, aligned: Iterable[pa.Table]) -> None:
    """Number of real tracks that were aligned with a track of each fake, and the reasons for those that were not."""
    tracks, fakes = alignment_of(aligned)
    counts = most_frequent({"FAKE": tracks})
    with drawing(path, 8, 1.6 + 0.4 * max(len(counts["FAKE"]), 1)) as (axes,):
        bars(axes, counts)
        total, of_fakes = sum(tracks.values()), sum(fakes.values())
        share, of_share = tracks["aligned"] / max(total, 1), fakes["with"] / max(of_fakes, 1)
        axes.set_title(
            f"{share:.1%} of {thousands(total)} track pairs are aligned;\n"
            f"{of_share:.1%} of {thousands(of_fakes)} fakes have an aligned track"
        )
        axes.set_xlabel("track pairs")


def plot_clip_lengths(path: str | Path, clips: Iterable[pa.Table]) -> None:
    """Histograms of clip lengths and of the differences between fake clips and their real counterparts."""
    frames: dict[str, list[np.ndarray]] = {"REAL": [], "FAKE": []}
    differences = []
    for table in clips:
        label, length = np.array(table["label"].to_pylist()), table["frames"].to_numpy()
        for name, of_label in frames.items():
            of_label.append(length[label == name])
        differences.append(table["difference"].drop_null().to_numpy())
    lengths = {label: np.concatenate(of_label) for label, of_label in frames.items()}
    difference = np.concatenate(differences)
    with drawing(path, 9, 3.6, columns=2) as (left, right):
        longest = max(map(max, filter(len, lengths.values())), default=0)
        if not longest:
            say_nothing(left, "no clips")
            return say_nothing(right, "")
        outlines(left, lengths, np.arange(longest + 2) - 0.5)
        left.legend(loc="upper left")
        left.set_xlabel("frames (0: the clip could not be cut)")
        left.set_ylabel("clips (%)")
        left.set_title("Clip length")
        outlines(right, {"FAKE": difference}, np.linspace(0, max(float(difference.max(initial=1)), 1) * 1.001, 41))
        right.set_xlabel("mean absolute difference (0 to 255)")
        right.set_ylabel("fake clips (%)")
        equal = int((difference == 0).sum())
        right.set_title(f"Difference from the real clip ({thousands(equal)} identical)")

"""The scores of a video over time, one row per face track."""

from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from dfdc.data.schemas.tracks import Track
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import BIN, TrackScores, VideoScore
from dfdc.system.files import atomic_path

# From the colour-blind-safe palette of Okabe and Ito; the markers differ as well.
MODELS = (("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#56B4E9", "v"))
COMBINED = "#000000"
MOST_TRACKS = 8
FACES = 10  # thumbnails that fit side by side
FACE = 72  # pixels
DPI = 120


def plot_timeline(path: Path, video: VideoScore, settings: EnsembleSettings, name: str) -> None:
    """Plot the scores of a video with at least one track to a PNG file.

    Each track has a row: thumbnails of its faces, the scores of each model for each face, and the combined score of
    each second. If there are more than eight tracks, the longest are drawn. Needs ``video.store``.
    """
    longest = sorted(video.tracks, key=lambda scored: len(scored.track.frames), reverse=True)[:MOST_TRACKS]
    shown = sorted(longest, key=lambda scored: scored.track.number)
    figure = Figure(figsize=(10, 1.1 + 2.6 * len(shown)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    left_out = f" (the longest {len(shown)} of {len(video.tracks)} tracks)" if len(shown) < len(video.tracks) else ""
    figure.suptitle(f"{name}: probability of fake {video.probability:.2f}{left_out}", fontsize=12, fontweight="bold")
    rows = figure.subplots(2 * len(shown), 1, sharex=True, squeeze=False, height_ratios=[2, 3] * len(shown))[:, 0]
    fps, seconds = video.row.fps, video.row.frames / video.row.fps
    names = sorted({model for scored in shown for model in scored.scores})
    models = {model: MODELS[number % len(MODELS)] for number, model in enumerate(names)}
    for scored, faces, scores in zip(shown, rows[::2], rows[1::2], strict=True):
        _plot_faces(faces, video, scored.track, seconds)
        track = scored.track
        faces.set_title(
            f"track {track.number}, {track.frames[0] / fps:.1f} to {track.frames[-1] / fps:.1f} s: "
            f"{scored.probability(settings):.2f}",
            loc="left",
            fontsize=10,
        )
        _plot_scores(scores, scored, models, fps, settings)
    rows[-1].set_xlim(-0.01 * seconds, 1.01 * seconds)
    rows[-1].set_xlabel("time (s)")
    figure.legend(
        *rows[1].get_legend_handles_labels(), loc="outside lower center", ncols=len(models) + 1, frameon=False
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _plot_faces(axes: Axes, video: VideoScore, track: Track, seconds: float) -> None:
    """Draw thumbnails of a track's faces on the time axis, without overlap."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    free_from = -np.inf
    fps = video.row.fps
    crops = sorted((crop for crop in video.crops if crop.track == track.number), key=lambda crop: crop.frames[0])
    for crop in crops:
        time = crop.frames[0] / fps
        if time >= free_from:
            free_from = time + seconds / FACES
            picture = OffsetImage(thumbnail(video.store.clip(crop.batch)[0]), zoom=72 / DPI)
            axes.add_artist(AnnotationBbox(picture, (time, 0.5), frameon=False, pad=0, annotation_clip=False))


def thumbnail(face: np.ndarray) -> np.ndarray:
    """The central square of an RGB picture, resized to a thumbnail."""
    height, width = face.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(face[top : top + side, left : left + side], (FACE, FACE), interpolation=cv2.INTER_AREA)


def _plot_scores(
    axes: Axes, scored: TrackScores, models: dict[str, tuple[str, str]], fps: float, settings: EnsembleSettings
) -> None:
    axes.axhline(0.5, color="0.6", linewidth=1, linestyle="--")
    for model, (frames, probabilities) in scored.scores.items():
        colour, marker = models[model]
        size = 5 if len(frames) < 150 else 3  # larger markers would overlap
        axes.plot(frames / fps, probabilities, marker, color=colour, markersize=size, mec="white", mew=0.3, label=model)
    starts, scores = zip(*scored.over_time(fps, settings), strict=True)
    # The line is interrupted at seconds without a score.
    times = np.repeat(starts, 3) + np.tile([0, BIN, BIN], len(starts))
    values = np.column_stack([scores, scores, np.full(len(scores), np.nan)]).ravel()
    gaps = np.append(np.diff(starts) > BIN, True)
    kept = np.column_stack([np.ones((len(starts), 2), bool), gaps]).ravel()
    axes.plot(times[kept], values[kept], color=COMBINED, linewidth=1.5, label="all models, each second")
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("probability\nof fake")
    axes.spines[["top", "right"]].set_visible(False)

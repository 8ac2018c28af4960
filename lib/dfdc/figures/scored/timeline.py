"""The scores of a video over time, one row per face."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from dfdc.data.schemas.crops import Crop
from dfdc.figures.scored.heatmap import MEANING, HeatMapper
from dfdc.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION, percent
from dfdc.stages.prediction.ensemble import combine, confident
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.verdict import FAKE, FAKE_ABOVE, REAL, REAL_BELOW, UNCERTAIN
from dfdc.stages.prediction.videos import BIN, TrackScores, VideoScore
from dfdc.system.files import atomic_path

# The markers of the models differ as well as their colours.
MODELS = ((GREEN, "o"), (ORANGE, "s"), (SKY_BLUE, "^"), (PURPLE, "D"), (BLUE, "v"))
# What a probability of fake means to a person: its range and its colour.
ZONES = (
    (REAL, 0.0, REAL_BELOW, BLUE),
    (UNCERTAIN, REAL_BELOW, FAKE_ABOVE, "#777777"),
    (FAKE, FAKE_ABOVE, 1.0, VERMILLION),
)
MOST_TRACKS = 8
FACES = 10  # thumbnails that fit side by side
FACE, LARGE_FACE = 72, 240  # pixels
MOST_SUSPICIOUS = 3  # large faces of each track
DPI = 120


@dataclass(frozen=True)
class Suspicious:
    """A scored frame of a track, with the crop that shows it and the number of its picture there."""

    frame: int
    score: float
    crop: Crop
    picture: int


def plot_timeline(
    path: Path,
    video: VideoScore,
    settings: EnsembleSettings,
    name: str,
    heat: HeatMapper | None = None,
    note: str = "",
) -> None:
    """Plot the scores of a video with at least one track to a PNG file.

    Each track has a row: thumbnails of its face, the scores of each model for each frame, and the combined score of
    each second, all after the prediction transform; beside them are the frames with the highest scores, large, with
    their heat maps below if ``heat`` draws some. If there are more than eight tracks, the longest are drawn. ``note``
    is added to the title. Needs ``video.store``.
    """
    longest = sorted(video.tracks, key=lambda scored: len(scored.track.frames), reverse=True)[:MOST_TRACKS]
    shown = sorted(longest, key=lambda scored: scored.track.number)
    height = 3.2 if heat is None else 4.8
    figure = Figure(figsize=(16, 1.3 + height * len(shown)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    left_out = f" (the longest {len(shown)} of {len(video.tracks)} faces)" if len(shown) < len(video.tracks) else ""
    title = f"{name}: probability of fake {percent(video.probability)} (whole video){left_out}"
    figure.suptitle("\n".join(filter(None, [title, note])), fontsize=14, fontweight="bold", parse_math=False)
    fps, seconds = video.row.fps, video.row.frames / video.row.fps
    models = models_of(shown)
    grid = figure.add_gridspec(len(shown), 1 + MOST_SUSPICIOUS, width_ratios=[4.4] + [1] * MOST_SUSPICIOUS)
    for row, scored in enumerate(shown):
        track = scored.track
        within = grid[row, 0].subgridspec(2, 1, height_ratios=[1, 2.4])
        faces, scores = figure.add_subplot(within[0]), figure.add_subplot(within[1])
        _plot_faces(faces, video, scored, seconds)
        words = f"face {track.number + 1}, {track.frames[0] / fps:.1f} to {track.frames[-1] / fps:.1f} s: "
        faces.set_title(words + percent(scored.probability(settings)), loc="left", fontsize=12)
        plot_scores(scores, scored, models, fps, settings)
        for axes in (faces, scores):
            axes.set_xlim(-0.01 * seconds, 1.01 * seconds)
        suspicious = most_suspicious(scored, video.crops, fps, settings)
        pictures = [video.store.read(one.crop.batch, [one.picture])[0] for one in suspicious]
        lines = grid[row, 1:].subgridspec(1 if heat is None else 2, MOST_SUSPICIOUS)
        _plot_suspicious([figure.add_subplot(lines[0, n]) for n in range(MOST_SUSPICIOUS)], suspicious, pictures, fps)
        if heat is not None and pictures:
            for column, picture in enumerate(heat(pictures)):
                axes = figure.add_subplot(lines[1, column])
                axes.set_axis_off()
                axes.imshow(picture)
    scores.set_xlabel("time (s)")
    if heat is not None:
        figure.supxlabel(MEANING.format(model=heat.name), fontsize=9)
    legend_of(scores, models)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def most_suspicious(
    scored: TrackScores, crops: Sequence[Crop], fps: float, settings: EnsembleSettings, count: int = MOST_SUSPICIOUS
) -> list[Suspicious]:
    """The frames of a track with the highest scores of all models, each of another second, the highest first."""
    of_second: dict[int, Suspicious] = {}
    for one in by_suspicion(scored, crops, settings):
        of_second.setdefault(int(one.frame / fps / BIN), one)
    return list(of_second.values())[:count]


def by_suspicion(scored: TrackScores, crops: Sequence[Crop], settings: EnsembleSettings) -> list[Suspicious]:
    """The scored frames of a track that a crop shows, those with the highest scores of all models first."""
    frames = np.concatenate([frames for frames, _ in scored.scores.values()])
    probabilities = scored.probabilities()
    # Single faces first: their box is that of the frame, that of a window is of the frame in its middle.
    places: dict[int, tuple[Crop, int]] = {}
    for crop in sorted(crops, key=lambda crop: (crop.kind, crop.ordinal)):
        if crop.track == scored.track.number:
            for number, frame in enumerate(crop.frames):
                places.setdefault(frame, (crop, number))
    found = [
        Suspicious(frame, combine(probabilities[frames == frame], settings), *places[frame])
        for frame in np.unique(frames).tolist()
        if frame in places
    ]
    return sorted(found, key=lambda one: (-one.score, one.frame))


def _plot_suspicious(
    columns: Sequence[Axes], chosen: Sequence[Suspicious], pictures: Sequence[np.ndarray], fps: float
) -> None:
    """Draw the frames with the highest scores, with their times and scores below."""
    for axes in columns:
        axes.set_axis_off()
    for axes, one, picture in zip(columns, chosen, pictures, strict=False):
        axes.imshow(thumbnail(picture, LARGE_FACE))
        axes.set_title(f"{one.frame / fps:.1f} s: {percent(one.score)}", fontsize=11, y=-0.14, va="bottom")
    if chosen:
        words = "highest scores" if len(chosen) > 1 else "highest score"
        columns[0].text(0, 1.03, words, transform=columns[0].transAxes, fontsize=11)


def _plot_faces(axes: Axes, video: VideoScore, scored: TrackScores, seconds: float) -> None:
    """Draw thumbnails of a track's faces on the time axis, without overlap."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    free_from = -np.inf
    fps = video.row.fps
    crops = (crop for crop in video.crops if crop.track == scored.track.number)
    for crop in sorted(crops, key=lambda crop: crop.frames[0]):
        time = crop.frames[0] / fps
        if time >= free_from:
            free_from = time + seconds / FACES
            picture = OffsetImage(thumbnail(video.store.read(crop.batch, [0])[0]), zoom=72 / DPI)
            axes.add_artist(AnnotationBbox(picture, (time, 0.5), frameon=False, pad=0, annotation_clip=False))


def thumbnail(face: np.ndarray, size: int = FACE) -> np.ndarray:
    """The central square of an RGB picture, resized to ``size`` pixels."""
    height, width = face.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    interpolation = cv2.INTER_AREA if size < side else cv2.INTER_CUBIC
    return cv2.resize(face[top : top + side, left : left + side], (size, size), interpolation=interpolation)


def models_of(tracks: Sequence[TrackScores]) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each model."""
    names = sorted({model for scored in tracks for model in scored.scores})
    return {model: MODELS[number % len(MODELS)] for number, model in enumerate(names)}


def legend_of(axes: Axes, models: dict[str, tuple[str, str]]) -> None:
    """Name the models below ``plot_scores``."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(models) + 1, frameon=False)


def plot_scores(
    axes: Axes, scored: TrackScores, models: dict[str, tuple[str, str]], fps: float, settings: EnsembleSettings
) -> None:
    """Plot the scores of a track: those of each model at each frame, and the combined one of each second."""
    for words, low, high, colour in ZONES:
        axes.axhspan(low, high, color=colour, alpha=0.1, linewidth=0)
        axes.annotate(
            words,
            (1, (low + high) / 2),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    for model, (frames, probabilities) in scored.scores.items():
        colour, marker = models[model]
        size = 6 if len(frames) < 150 else 3.5  # larger markers would overlap
        # On the scale of the combined score, which is their mean.
        values = confident(probabilities, settings)
        axes.plot(frames / fps, values, marker, color=colour, markersize=size, mec="white", mew=0.3, label=model)
    starts, scores = zip(*scored.over_time(fps, settings), strict=True)
    # The line is interrupted at seconds without a score.
    times = np.repeat(starts, 3) + np.tile([0, BIN, BIN], len(starts))
    values = np.column_stack([scores, scores, np.full(len(scores), np.nan)]).ravel()
    gaps = np.append(np.diff(starts) > BIN, True)
    kept = np.column_stack([np.ones((len(starts), 2), bool), gaps]).ravel()
    axes.plot(times[kept], values[kept], color=BLACK, linewidth=1.8, label="all models, per second")
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1], [percent(share) for share in (0, 0.5, 1)])
    axes.set_ylabel("probability of fake")
    axes.spines[["top", "right"]].set_visible(False)

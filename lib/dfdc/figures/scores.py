"""Figures of the scores of the test videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.ticker import MaxNLocator

from dfdc.data.pictures.store import Store
from dfdc.data.schemas.crops import Crop
from dfdc.data.tables import rows_of
from dfdc.figures.pictures import Row, write_sheet
from dfdc.figures.style import BLACK, GREEN, LABELS, NAMES, drawing, percent, say_nothing, series, thousands
from dfdc.stages.evaluation.intervals import roc_curve
from dfdc.stages.evaluation.metrics import auc
from dfdc.stages.prediction.ensemble import confident, video_scores
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings

BINS = 20  # of score histograms, from 0 to 1
MISTAKES, FACES = 8, 6  # videos on the sheet, and faces of each video
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Scores:
    """Scores of test videos by the ensemble and by each model alone, and the probabilities of all faces.

    ``of`` gives the score of each video, by ensemble or model; ``faces`` gives the face probabilities of each model;
    ``labels`` has 1 for fake and 0 for real videos, and is empty if they are unknown.
    """

    of: Mapping[str, Mapping[str, float]]
    faces: Mapping[str, np.ndarray]
    labels: Mapping[str, int]

    @classmethod
    def from_tables(
        cls,
        videos: Sequence[str],
        tables: Mapping[str, Sequence[pa.Table]],
        labels: Mapping[str, int],
        settings: EnsembleSettings,
    ) -> "Scores":
        """Compute the video scores from each model's tables of face scores."""
        all_tables = [table for of_model in tables.values() for table in of_model]
        by_model = {name: video_scores(videos, of_model, settings) for name, of_model in tables.items()}
        faces = {
            name: np.concatenate([table["probability"] for table in of_model]) for name, of_model in tables.items()
        }
        return cls({ENSEMBLE: video_scores(videos, all_tables, settings), **by_model}, faces, labels)

    def by_label(self, name: str) -> dict[str, np.ndarray]:
        """The scores of labelled real and fake videos, or of all videos if no labels are known."""
        scores = self.of[name]
        if not self.labels:
            return {"": np.array(list(scores.values()))}
        known = [(video, score) for video, score in scores.items() if video in self.labels]
        return {
            label: np.array([score for video, score in known if self.labels[video] == number])
            for number, label in enumerate(("REAL", "FAKE"))
        }


def plot_transform(path: str | Path, scores: Scores, settings: EnsembleSettings) -> None:
    """The transform that sharpens face probabilities, and their histogram before and after it."""
    raw = np.linspace(0, 1, 1001)
    number = settings.exponent if settings.temperature is None else settings.temperature
    name = f"{'exponent' if settings.temperature is None else 'temperature'} {number:.3g}"
    with drawing(path, 9, 4.2, columns=2) as (curve, histogram):
        curve.plot(raw, confident(raw, settings), color=GREEN, label=name)
        curve.plot(raw, raw, color=BLACK, linestyle=":", label="unchanged")
        curve.set_aspect("equal")
        curve.set_xlabel("probability before the transform")
        curve.set_ylabel("probability after the transform")
        curve.set_title(f"Prediction transform, clipped to {settings.clip[0]:g} … {settings.clip[1]:g}")
        curve.legend()
        if not sum(map(len, scores.faces.values())):
            return say_nothing(histogram, "no faces scored")
        edges = np.linspace(0, 1, 41)
        faces = np.concatenate(list(scores.faces.values()))
        sharpened = confident(faces, settings)
        for values, name, line in ((faces, "before the transform", ":"), (sharpened, "after the transform", "-")):
            counts, _ = np.histogram(values, edges)
            colour = BLACK if line == ":" else GREEN
            histogram.stairs(100 * counts / len(faces), edges, color=colour, linestyle=line, linewidth=1.6, label=name)
        histogram.set_xlabel("probability of fake")
        histogram.set_ylabel("faces (%)")
        histogram.set_title(f"{thousands(len(faces))} scored faces of all models")
        histogram.legend(loc="upper center")


def plot_scores(path: str | Path, scores: Scores) -> None:
    """Histograms of the scores of the ensemble and of each model, by label if labels are known."""
    edges = np.linspace(0, 1, BINS + 1)
    rows = -(-len(scores.of) // 2)
    with drawing(path, 9, 2.7 * rows + 0.4, rows=rows, columns=2) as panels:
        for axes, name in zip(panels, scores.of, strict=False):
            of_label = scores.by_label(name)
            look = {"color": [LABELS[label] for label in of_label], "label": [NAMES[label] for label in of_label]}
            axes.hist(list(of_label.values()), edges, **look)
            axes.axvline(0.5, color=BLACK, linestyle=":", linewidth=1, label="threshold of 0.5")
            axes.set_title(f"{name}: {thousands(sum(map(len, of_label.values())))} videos")
            axes.set_xlabel("score")
            axes.set_ylabel("videos")
            axes.set_xlim(0, 1)
            axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        most = max(axes.get_ylim()[1] for axes in panels[: len(scores.of)])
        for axes in panels[: len(scores.of)]:
            axes.set_ylim(0, most)
        for axes in panels[len(scores.of) :]:
            axes.set_axis_off()
        panels[0].figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def plot_roc(path: str | Path, scores: Scores) -> None:
    """ROC curves of the ensemble and of each model."""
    colours = {ENSEMBLE: BLACK, **series(list(scores.faces))}
    with drawing(path, 6, 5.4) as (axes,):
        # The ensemble is the widest, and each model is narrower than the one before: all show where they coincide.
        widths = np.linspace(8, 1.6, len(colours))
        for (name, colour), width in zip(colours.items(), widths, strict=True):
            real, fake = scores.by_label(name).values()
            if not len(real) or not len(fake):
                return say_nothing(axes, "no ROC curve: the labelled videos are all real or all fake")
            truth, predicted = np.repeat([0, 1], [len(real), len(fake)]), np.concatenate([real, fake])
            area = auc(truth, predicted)
            alarms, hits, _ = roc_curve(truth, predicted)
            axes.plot(alarms, hits, color=colour, linewidth=width, label=f"{name} ({area:.3f})")
        axes.plot([0, 1], [0, 1], color=BLACK, linestyle=":", linewidth=1, label="chance (0.500)")
        axes.set_aspect("equal")
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")
        axes.set_title(f"ROC: {thousands(len(real))} real and {thousands(len(fake))} fake videos")
        axes.legend(title="area under the curve", loc="lower right")


def worst(scores: Mapping[str, float], labels: Mapping[str, int], count: int = MISTAKES) -> list[str]:
    """The misclassified videos (threshold 0.5) whose scores are farthest from their labels, worst first."""
    wrong = {video: abs(labels[video] - score) for video, score in scores.items() if video in labels}
    return sorted((video for video in wrong if wrong[video] > 0.5), key=lambda video: (-wrong[video], video))[:count]


def plot_mistakes(path: str | Path, scores: Scores, crops: Sequence[pa.Table], stores: Sequence[Path]) -> None:
    """Faces of the videos with the largest errors of the ensemble, of which the title gives the numbers.

    ``crops`` are the tables of the shards, in the same order as ``stores``.
    """
    chosen = worst(scores.of[ENSEMBLE], scores.labels)
    faces = _faces_of(chosen, crops, stores)
    rows = []
    for video in chosen:
        score, pictures = scores.of[ENSEMBLE][video], faces.get(video, [])
        words = f"{video} is {NAMES['FAKE' if scores.labels[video] else 'REAL']}; probability of fake: {percent(score)}"
        frames = [f"frame {frame}" for frame, _ in pictures]
        rows.append(Row([picture for _, picture in pictures], words + ("" if pictures else " (no face)"), frames))
    wrong = len(worst(scores.of[ENSEMBLE], scores.labels, len(scores.labels)))
    labelled = len(set(scores.labels) & set(scores.of[ENSEMBLE]))
    write_sheet(
        path,
        f"{thousands(wrong)} of {thousands(labelled)} videos are on the wrong side of 50 %"
        + (f"; the worst {len(chosen)}" if len(chosen) < wrong else ""),
        rows,
        150,
    )


def _faces_of(
    videos: Sequence[str], crops: Sequence[pa.Table], stores: Sequence[Path]
) -> dict[str, list[tuple[int, np.ndarray]]]:
    """Some faces of each video, evenly spaced over its crops, with their frame numbers."""
    faces = {}
    for table, path in zip(crops, stores, strict=True):
        rows: dict[str, list[Crop]] = {}
        selected = table.filter(pa.compute.is_in(table["video"], pa.array(videos, pa.string())))
        for crop in rows_of(selected.sort_by([("kind", "ascending"), ("batch", "ascending")]), Crop):
            rows.setdefault(crop.video, []).append(crop)
        if rows:
            store = Store(path)
            for video, of_video in rows.items():
                # Single faces if there are any: they are spaced more evenly than windows.
                of_kind = [crop for crop in of_video if crop.kind == of_video[0].kind]
                places = np.unique(np.linspace(0, len(of_kind) - 1, FACES).astype(int))
                spread = [of_kind[place] for place in places]
                faces[video] = [(crop.frames[0], store.read(crop.batch, [0])[0]) for crop in spread]
    return faces

"""Pictures within a page, as data."""

import base64
import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dfdc.figures.scored.page.html import Html, tag
from dfdc.figures.scored.timeline import legend_of, models_of, plot_scores, thumbnail
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import TrackScores, VideoScore

QUALITY = 80
SMALL, SMALL_QUALITY = 64, 55  # of faces in the index, which may have thousands: 1.2 kB each
DPI = 130
COLOURS = 64  # a diagram needs no more, and its file is a third


def jpeg(picture: np.ndarray, quality: int = QUALITY) -> bytes:
    """An RGB uint8 picture as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def small_face(picture: np.ndarray) -> bytes:
    """A face for the index, as a JPEG file."""
    return jpeg(thumbnail(picture, SMALL), SMALL_QUALITY)


def image(content: bytes, alt: str, kind: str = "jpeg", **attributes: Any) -> Html:
    """An element with a picture, which reserves the room that it needs."""
    width, height = Image.open(io.BytesIO(content)).size
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return tag("img", src=source, alt=alt, width=width, height=height, **attributes)


def lines_png(scored: TrackScores, video: VideoScore, settings: EnsembleSettings) -> bytes:
    """The scores of a track over time, as in a timeline."""
    seconds = video.row.frames / video.row.fps
    figure = Figure(figsize=(9.6, 3), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    models = models_of(video.tracks)
    plot_scores(axes, scored, models, video.row.fps, settings)
    axes.set_xlim(-0.01 * seconds, 1.01 * seconds)
    axes.set_xlabel("time (s)")
    legend_of(axes, models)
    file, smaller = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png")
    Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    return smaller.getvalue()

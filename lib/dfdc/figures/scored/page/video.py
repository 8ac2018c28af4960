"""The page of a scored video or image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dfdc.figures.scored.annotation import SMALL, FrameReader
from dfdc.figures.scored.heatmap import HeatMapper
from dfdc.figures.scored.page.document import document
from dfdc.figures.scored.page.facts import about_weights, facts_of
from dfdc.figures.scored.page.html import Html, table, tag
from dfdc.figures.scored.page.pictures import image, jpeg, lines_png, small_face
from dfdc.figures.scored.page.used import Used
from dfdc.figures.scored.page.verdict import CLASSES, Judgement, capital, scale, share, time
from dfdc.figures.scored.timeline import (
    LARGE_FACE,
    MOST_TRACKS,
    Suspicious,
    by_suspicion,
    most_suspicious,
    thumbnail,
)
from dfdc.stages.prediction.ensemble import combine
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.verdict import in_words
from dfdc.stages.prediction.videos import TrackScores, VideoScore

FRAME_WIDTH = 1200  # pixels of the whole frame
MOST_SECONDS = 600  # rows of a table; the JSON file has all
ORDER = ("most suspicious", "second most suspicious", "third most suspicious")
MOST_ROWS = 200  # faces in a table
FACES_ONLY = {
    "video": "Only faces are examined. Audio is not checked, and a fully synthetic video may look real here.",
    "image": "Only faces are examined. A fully synthetic image may look real here.",
}
PHOTOGRAPHS = "The models were trained on video frames. How well they work on photographs has not been measured."
LIMITS = (
    "The models know only the manipulations and kinds of videos that they were trained on. New methods, strong "
    "compression, and dark, blurred or partly hidden faces can mislead them in either direction.",
    f"Faces smaller than {SMALL} pixels (grey boxes) carry little information.",
    "A probability is an estimate, not proof. It does not say who made a fake, when or why. Have a person check before "
    "anything depends on it.",
)
HEAT = (
    "Heat maps show where one model, {model}, found signs of fake (orange) and of real (blue), in coarse cells and "
    "relative to the strongest sign among the faces side by side. They do not show which pixels were manipulated, and "
    "the other models may have looked elsewhere."
)


@dataclass(frozen=True)
class Context:
    """What all pages of a run share; ``purpose`` is a warning, if the weights were made for a demonstration."""

    settings: EnsembleSettings
    used: Used
    frames: FrameReader
    heat: HeatMapper | None
    purpose: str = ""


def video_page(
    video: VideoScore, judgement: Judgement, name: str, json_name: str, context: Context, kept: Html | None = None
) -> str:
    """The page of a video; the videos that could not be judged have one too. Needs ``video.store`` if it has tracks.

    ``kept`` is what its head keeps for the index of a later run.
    """
    row, settings = video.row, context.settings
    judged = judgement.is_judged
    figure = share(video.probability) if judged else None
    figures = [tag("span", figure)] if judged else []
    notes = [tag("p", context.purpose, class_="note")] if context.purpose else []
    if told := "; ".join(video.notes()):
        notes.append(tag("p", f"{capital(told)}.", class_="note"))
    if row.status == "damaged":
        notes += [tag("p", f"The video is damaged, and only the intact part was scored: {row.reason}.", class_="note")]
    tracks = video.tracks if judged else []
    longest = sorted(tracks, key=lambda scored: len(scored.track.frames), reverse=True)[:MOST_TRACKS]
    shown = sorted(longest, key=lambda scored: scored.track.number)
    return document(
        f"{name}: {judgement.words}{f', {figure}' if judged else ''}",
        tag("header", tag("nav", tag("a", "All pages", href="index.html")), tag("h1", name)),
        tag(
            "main",
            tag("p", tag("span", capital(judgement.words)), *figures, class_=f"verdict {judgement.style}"),
            scale(video.probability) if judged else None,
            tag("p", judgement.meaning()),
            *notes,
            *_whole_frame(video, context),
            *(_faces(video, shown, settings) if judged else []),
            *(_face(video, scored, context) for scored in shown),
            tag("h2", "Limitations"),
            tag("ul", *(tag("li", limit) for limit in _limits(video, context))),
            tag("h2", "Provenance"),
            facts_of(video, context.used),
            *about_weights(context.used),
            tag("p", "All scores in machine-readable form: ", tag("a", json_name, href=json_name)),
        ),
        kept=kept,
    )


def thumbnail_of(video: VideoScore, settings: EnsembleSettings) -> bytes:
    """The most suspicious face of a video as a small JPEG file; no bytes if there is none."""
    found = [one for scored in video.tracks for one in by_suspicion(scored, video.crops, settings)[:1]]
    if not found:
        return b""
    best = max(found, key=lambda one: one.score)
    return small_face(video.store.read(best.crop.batch, [best.picture])[0])


def _limits(video: VideoScore, context: Context) -> Sequence[str]:
    faces_only = FACES_ONLY[video.noun]
    if not video.tracks:
        return [faces_only]
    photographs = [PHOTOGRAPHS] if video.is_image else []
    heat = [HEAT.format(model=context.heat.name)] if context.heat is not None else []
    return [faces_only, *photographs, *LIMITS, *heat]


def _whole_frame(video: VideoScore, context: Context) -> list[Html]:
    """The frame with the most suspicious face, or one from the middle if there is none."""
    row, settings = video.row, context.settings
    if row.status == "unreadable" or not row.frames or not row.fps:
        return []
    found = [one for scored in video.tracks for one in by_suspicion(scored, video.crops, settings)[:1]]
    frame = max(found, key=lambda one: one.score).frame if found else row.frames // 2
    picture = context.frames.read(video, frame, settings, FRAME_WIDTH)
    if not picture:
        return []
    if video.is_image:
        alt = words = "The image"
        if found:
            words = "The image; the boxes show the scores."
        return [tag("figure", image(picture, alt), tag("figcaption", words), class_="frame")]
    at = time(frame / row.fps)
    if found:
        words = f"The full frame at {at}, where a face has the highest score; the boxes show the scores of that second."
    else:
        words = f"The full frame at {at}, in the middle of the video."
    return [tag("figure", image(picture, f"The full frame at {at}"), tag("figcaption", words), class_="frame")]


def _faces(video: VideoScore, shown: Sequence[TrackScores], settings: EnsembleSettings) -> list[Html]:
    """A table of all faces, most suspicious first."""
    fps = video.row.fps
    ranked = sorted(video.tracks, key=lambda scored: -scored.probability(settings))
    numbers = {scored.track.number for scored in shown}
    rows = []
    for scored in ranked[:MOST_ROWS]:
        number, score = scored.track.number, scored.probability(settings)
        name = f"Face {number + 1}"
        link = tag("a", name, href=f"#face-{number + 1}") if number in numbers else name
        first, last = scored.track.frames[0] / fps, scored.track.frames[-1] / fps
        looked_at = len({frame for frames, _ in scored.scores.values() for frame in frames.tolist()})
        when = [] if video.is_image else [f"{first:.1f} to {time(last)}", looked_at]
        rows.append([link, _word(score), share(score), *when])
    left_out = len(video.tracks) - len(shown)
    which = "first" if video.is_image else "longest"
    words = f"The {which} {len(shown)} are shown below." if left_out else ""
    if len(video.tracks) > MOST_ROWS:
        words += f" The table lists the most suspicious {MOST_ROWS} of {len(video.tracks)}; the JSON file has all."
    head = ["face", "verdict", "probability of fake", *([] if video.is_image else ["time", "frames scored"])]
    followed = "Faces in the image" if video.is_image else "Faces tracked through the video"
    return [
        tag("h2", f"{len(video.tracks)} faces" if len(video.tracks) > 1 else "One face"),
        tag("p", words) if words else Html(""),
        table(f"{followed}, the most suspicious first", head, rows),
    ]


def _word(score: float) -> Html:
    return tag("span", in_words(score), class_=f"word {CLASSES[in_words(score)]}")


def _face(video: VideoScore, scored: TrackScores, context: Context) -> Html:
    number, score = scored.track.number + 1, scored.probability(context.settings)
    seconds = scored.over_time(video.row.fps, context.settings)
    mirrored = " (as it is and mirrored)" if video.is_image else ""
    return tag(
        "section",
        tag("h2", f"Face {number}: {in_words(score)}, {share(score)}", id=f"face-{number}"),
        None if video.is_image else _lines(video, scored, number, seconds, context.settings),
        *(_still(video, scored, context) if video.is_image else _pictures(video, scored, context)),
        tag("h3", "Scores of each model"),
        table(f"Face {number}{mirrored}, scored by each model alone", *_models(scored, context)),
        None if video.is_image else tag("details", tag("summary", "Scores of each second"), _seconds(number, seconds)),
    )


def _lines(
    video: VideoScore,
    scored: TrackScores,
    number: int,
    seconds: Sequence[tuple[float, float]],
    settings: EnsembleSettings,
) -> Html:
    """The scores of a face over time."""
    scores = [each for _, each in seconds]
    highest = max(seconds, key=lambda second: second[1])[0]
    alt = (
        f"Scores of face {number} over time: in single seconds from {share(min(scores))} to {share(max(scores))}, "
        f"the highest at {highest:.0f} s"
    )
    lines = image(lines_png(scored, video, settings), alt, "png")
    caption = "The probability of fake over time: of each model for each frame, and of all models for each second."
    return tag(
        "figure",
        tag("div", lines, class_="lines", role="region", aria_label=f"Scores of face {number}", tabindex="0"),
        tag("figcaption", caption),
    )


def _pictures(video: VideoScore, scored: TrackScores, context: Context) -> list[Html]:
    """The most suspicious pictures of a face, and the least suspicious one."""
    fps, settings = video.row.fps, context.settings
    most = most_suspicious(scored, video.crops, fps, settings)
    least = by_suspicion(scored, video.crops, settings)[-1:]
    chosen = [*most, *(one for one in least if one.frame not in {other.frame for other in most})]
    faces = [video.store.read(one.crop.batch, [one.picture])[0] for one in chosen]
    maps = context.heat(faces) if context.heat is not None and faces else [None] * len(faces)
    if not chosen:
        return []
    figures = []
    for place, (one, face, heat) in enumerate(zip(chosen, faces, maps, strict=True)):
        label = ORDER[place] if place < len(most) else "least suspicious"
        figures.append(_picture(one, face, heat, scored.track.number + 1, label, fps))
    words = "The most suspicious frames, each from a different second, and the least suspicious one"
    if len(chosen) == len(most):
        words = "The most suspicious frames, each from a different second"
    if maps[0] is not None:
        words += "; heat maps below them"
    return [tag("h3", words), tag("div", *figures, class_="faces")]


def _still(video: VideoScore, scored: TrackScores, context: Context) -> list[Html]:
    """The face in an image, and beside it its heat map."""
    (one,) = by_suspicion(scored, video.crops, context.settings)
    (face,) = video.store.read(one.crop.batch, [one.picture])
    name = f"face {scored.track.number + 1}"
    figures = [tag("figure", image(jpeg(thumbnail(face, LARGE_FACE)), capital(name)))]
    if context.heat is not None:
        (heat,) = context.heat([face])
        shown = image(jpeg(thumbnail(heat, LARGE_FACE)), f"Heat map of {name}")
        figures.append(tag("figure", shown, tag("figcaption", "heat map")))
    return [tag("div", *figures, class_="faces")]


def _picture(one: Suspicious, face: Any, heat: Any, number: int, label: str, fps: float) -> Html:
    at = time(one.frame / fps)
    shown = image(jpeg(thumbnail(face, LARGE_FACE)), f"Face {number} at {at}, {share(one.score)}, {label}")
    below = None
    if heat is not None:
        below = image(jpeg(thumbnail(heat, LARGE_FACE)), f"Heat map of face {number} at {at}")
    caption = tag("figcaption", tag("b", f"{share(one.score)}, {in_words(one.score)}"), f"{label}, at {at}")
    return tag("figure", shown, below, caption)


def _models(scored: TrackScores, context: Context) -> tuple[list[str], list[list[Any]]]:
    words = {weights.name: weights.words for weights in context.used.weights}
    rows = []
    for name, (frames, values) in sorted(scored.scores.items()):
        score = combine(values, context.settings)
        rows.append(
            [tag("b", name), tag("span", words.get(name, ""), class_="long"), len(frames), share(score), _word(score)]
        )
    return ["model", "description", "inputs", "probability of fake", "verdict"], rows


def _seconds(number: int, seconds: Sequence[tuple[float, float]]) -> Html:
    left_out = f"; the first {MOST_SECONDS} seconds, the JSON file has all" if len(seconds) > MOST_SECONDS else ""
    rows = [[f"{start:.0f} s", share(score), in_words(score)] for start, score in seconds[:MOST_SECONDS]]
    return table(f"Face {number}, all models{left_out}", ["from", "probability of fake", "verdict"], rows)

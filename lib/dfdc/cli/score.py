"""Score videos and images: the probability that each is fake.

    dfdc score video.mp4 --weights results/models
    dfdc score photo.jpg --weights demo
    dfdc score videos/ --weights external_data --csv scores.csv --timeline timelines/

WEIGHTS is the folder of a run (for example demo), a folder of exported weights (results/models), or a folder with the
published files; a subset of the ensemble works, too. Weights that the workflow released (results/release) bring their
settings along; for others, those of config.yaml apply. Override them with --config, as with Snakemake's --configfile:
with the same settings and weights the scores are those of the workflow.

Images (JPEG, PNG, WebP) are scored by the models for single faces.

Each video gets a row as soon as it is done: its verdict and probability of being fake, the number of tracks (tracked
faces) and of scored frames, the time it took, and its state. A video that cannot be read or has no track gets the
probability ensemble.unknown (0.5). --csv and --json are written row by row, too, and sorted in the order of the command
line at the end, so that the files are reproducible. With - as FILE they go to stdout, and the table to stderr. --html
writes a page for each video as soon as it is done, and an index.

Exit status: 0; 1 if a video could not be read; 2 if the arguments are not valid or a file could not be written.
"""

import argparse
import contextlib
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dfdc.cli.scoring.outputs import Output, Summary, csv_format, json_format
from dfdc.cli.scoring.pages import Pages
from dfdc.cli.scoring.resume import Record
from dfdc.config.reading import find_defaults, read_changes, read_config, read_yaml
from dfdc.data.parts import VIDEO_SUFFIXES, is_video
from dfdc.figures.scored.annotation import annotate_video, may_be_replaced
from dfdc.figures.scored.heatmap import heat_mapper
from dfdc.figures.scored.timeline import plot_timeline
from dfdc.networks.precision import set_threads
from dfdc.networks.weights.find import Member, find_members, settings_of_weights
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.stages.prediction.verdict import LIMITS, Verdict, judge, purpose_in_words
from dfdc.stages.prediction.videos import VideoScore, score_videos
from dfdc.system.errors import UserError
from dfdc.system.jobs.devices import job_device
from dfdc.system.scratch import temporary_folder
from dfdc.system.words import duration, in_one_line, printable
from dfdc.system.workers.processes import available_cores, ended_by_signals, worker_count
from dfdc.video.images import SUFFIXES, is_image, is_image_name

# The settings for YuNet, as an alternative if the weights of DSFD are not available: the demo's.
YUNET = "profiles/demo/settings.yaml"
PRECIOUS = (".safetensors", ".pth", ".yaml", ".yml")  # of weights and settings
DSFD_FILES = "WIDERFace_DSFD_RES152*.pth"
# Of https://… a path makes https:/…
URL = re.compile(r"[a-z][a-z0-9+.-]+:/+[^/]+", re.IGNORECASE)
WORDS = {
    "ok": "ok",
    "no face": "no face was found",
    "no track": "no face was tracked for long enough",
    "no model": "no model scores single faces",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``dfdc score``."""
    parser.add_argument("videos", nargs="+", type=Path, metavar="PATH", help="a video, an image, or a folder of them")
    parser.add_argument("--recursive", action="store_true", help="also search subfolders")
    parser.add_argument(
        "--weights",
        action="append",
        required=True,
        type=Path,
        help="a folder or a file with weights; may be given several times",
    )
    parser.add_argument(
        "--config", action="append", default=[], type=Path, metavar="YAML", help="settings that override config.yaml"
    )
    parser.add_argument("--detector", choices=["yunet"], help="detect faces with YuNet, which is bundled")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], help="default: speed.device in the settings")
    parser.add_argument("--workers", type=positive, metavar="N", help="worker processes; default: one per core")
    parser.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        help="give up a video after this long without progress; default: data.video_timeout",
    )
    parser.add_argument("--csv", metavar="FILE", help="write the table to a CSV file")
    parser.add_argument("--json", metavar="FILE", help="write the table and the scores of each track to a JSON file")
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="record finished videos in this file; run again with it to continue an interrupted run",
    )
    parser.add_argument(
        "--timeline",
        type=Path,
        metavar="PATH",
        help="plot the scores over time: a .png file, or a folder for several videos",
    )
    parser.add_argument(
        "--annotate",
        type=Path,
        metavar="PATH",
        help="write the video with boxes drawn in: an .mp4 file, or a folder for several videos",
    )
    parser.add_argument("--html", type=Path, metavar="FOLDER", help="write an HTML page for each video, and an index")


def positive(text: str) -> int:
    """A whole number of at least 1, as an argument."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Score the videos, and print each result as soon as it is available."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("dfdc.system.jobs.leases").setLevel(logging.INFO)  # logs which job it waits for
    if options.csv == options.json == "-":
        raise UserError("Only one of --csv and --json can go to stdout. Name a file for the other.")
    videos = find_videos(options.videos, options.recursive)
    timelines = _targets(options.timeline, "--timeline", ".png", videos)
    annotated = _targets(options.annotate, "--annotate", ".mp4", videos)
    config = read_settings(options)
    members = read_weights(options, config)
    settings = ScoringSettings.of(config, members)
    workers = options.workers or worker_count(config["speed"]["workers"], available_cores())
    scored: dict[Path, Summary] = {}
    failed = False
    if purpose := purpose_in_words(members):
        print(printable(purpose), file=sys.stderr)
    _refuse_to_overwrite(options, videos, members)
    record = Record(options.resume, members, settings, _rounding(config)) if options.resume else None
    pages = None
    if options.html:
        about, ensemble, goes_on = about_weights(members, config), settings.ensemble, record is not None
        pages = Pages(options.html, videos, about, members, config, ensemble, purpose, goes_on)
    outputs = _outputs(options, members, config)  # last: what they held before is lost
    table = _Table(videos, sys.stderr if "-" in (options.csv, options.json) else sys.stdout)
    try:
        with (
            ended_by_signals(),
            job_device(config["speed"]["device"], 1) as device,
            temporary_folder("dfdc-score-") as folder,
            contextlib.closing(
                score_videos(
                    list(_left(videos, record, scored, [timelines, annotated], pages)),
                    members,
                    settings,
                    device,
                    workers,
                    config["speed"]["batch_size"],
                    config["data"]["video_timeout"],
                    folder,
                )
            ) as results,
            table,
        ):
            set_threads(device, config["torch_threads"])
            heat = heat_mapper(members, device) if timelines or pages else None
            for known in list(scored.values()):
                table.add_known(known)
                for fault in filter(None, [output.add(known) for output in outputs]):
                    failed = True
                    table.say(fault)
            for video in results:
                verdict = judge(video, members)
                scored[video.path] = summary(videos[video.path], video, settings, verdict)
                table.add(video, verdict)
                if record and (fault := record.add(video.path, scored[video.path])):
                    failed = True
                    table.say(fault)
                for fault in filter(None, [output.add(scored[video.path]) for output in outputs]):
                    failed = True
                    table.say(fault)
                if video.path in timelines and video.tracks:
                    plot_timeline(timelines[video.path], video, settings.ensemble, videos[video.path], heat, purpose)
                if video.path in annotated and video.row.status != "unreadable":
                    limit = config["data"]["video_timeout"]
                    reason = annotate_video(annotated[video.path], video, settings.ensemble, limit, purpose)
                    if reason:
                        table.say(f"{annotated[video.path]} could not be written: {reason}")
                key = record.key(video.path) if record else ""
                if pages and (fault := pages.add(video, scored[video.path], heat, key)):
                    failed = True
                    table.say(fault)
            table.end(f"({LIMITS})")
    finally:
        in_order = [scored[path] for path in videos if path in scored]
        for fault in filter(None, [output.finish(in_order) for output in outputs]):
            failed = True
            print(fault, file=sys.stderr)
        if pages and (fault := pages.finish()):
            failed = True
            print(printable(fault), file=sys.stderr)
    if pages and not failed:
        print(printable(f"The pages: {options.html / 'index.html'}"), file=sys.stderr)
    return 2 if failed else int(any(video.status == "unreadable" for video in in_order))


def _refuse_to_overwrite(options: argparse.Namespace, videos: Mapping[Path, str], members: Sequence[Member]) -> None:
    """Raise UserError if a table would be written over a video, weights or settings, or over another table.

    Not only over those that were named: after ``--csv *.mp4`` the first video is where the table is to go.
    """
    inputs = {os.path.realpath(path) for path in (*videos, *(member.path for member in members), *options.config)}
    taken: dict[str, str] = {}
    for option, target in (("--csv", options.csv), ("--json", options.json), ("--resume", options.resume)):
        if target is None or str(target) == "-":
            continue
        real, path = os.path.realpath(target), Path(target)
        if real in inputs or (path.is_file() and (_counts(path.name) or path.suffix.lower() in PRECIOUS)):
            raise UserError(f"{option} would overwrite {target}. Name another file.")
        if real in taken and not (path.exists() and not path.is_file()):
            raise UserError(f"{option} would overwrite {target}, which {taken[real]} writes. Name another file.")
        taken[real] = option


def _rounding(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings on which the last digits of scores depend."""
    return {"device": config["speed"]["device"], "torch_threads": config["torch_threads"]}


def _left(
    videos: Mapping[Path, str],
    record: Record | None,
    scored: dict[Path, Summary],
    pictures: Sequence[Mapping[Path, Path]],
    pages: Pages | None,
) -> Iterator[Path]:
    """The videos that are not done; the results of the others are put into ``scored``, and their pages into the index.

    A video of which a picture or a page is wanted that is not there is not done.
    """
    for path, name in videos.items():
        known = record and record.of(path, name)
        drawn = all(path not in targets or targets[path].exists() for targets in pictures)
        if known and (drawn or not known.tracks) and (not pages or pages.keep(path, record.key(path))):
            scored[path] = known
        else:
            yield path


def find_videos(places: Sequence[Path], recursive: bool = False) -> dict[Path, str]:
    """The videos and images, and a name for each: its path relative to their common folder.

    ``recursive``: those in folders of a folder too, but not behind links to folders. Raises UserError if a place does
    not exist or a folder contains none.
    """
    if not places:
        raise UserError("There is nothing to score: name a video, an image, or a folder of them.")
    paths: dict[Path, Path] = {}
    for place in places:
        if os.path.isdir(place):  # noqa: PTH112 (Path.is_dir raises if a link leads into a forbidden folder)
            inside = _below(place) if recursive else _inside(place)
            if not inside:
                hint = "" if recursive else " --recursive also searches its subfolders."
                suffixes = ", ".join((*VIDEO_SUFFIXES, *SUFFIXES))
                raise UserError(f"There is no video in the folder {place} (names that end in {suffixes}).{hint}")
        elif os.path.lexists(place):  # even a link that leads nowhere: it costs a row
            inside = [place]
        elif url := URL.match(str(place)):
            address = url[0].replace(":/", "://", 1) if "://" not in url[0] else url[0]
            raise UserError(f"{address}… is an address, not a file. Download the video first, and name the file.")
        else:
            raise UserError(f"There is no file or folder {place}. Correct the path.")
        for path in inside:
            paths.setdefault(path.absolute(), path)
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return {path: str(absolute.relative_to(common)) for absolute, path in paths.items()}


def _inside(folder: Path) -> list[Path]:
    """The videos and images of a folder, sorted by name."""
    with os.scandir(folder) as entries:
        return [Path(folder, name) for name in sorted(entry.name for entry in entries if _counts(entry.name))]


def _below(folder: Path) -> list[Path]:
    """The videos and images of a folder and of those below it, sorted by path."""
    return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names if _counts(name))


def _counts(name: str) -> bool:
    return is_video(name) or is_image_name(name)


def _targets(place: Path | None, option: str, suffix: str, videos: Mapping[Path, str]) -> dict[Path, Path]:
    """The output file of each video: ``place`` itself or files below it; empty if ``place`` is None.

    Images have none. Raises UserError if there are only images.
    """
    if place is None:
        return {}
    videos = {path: name for path, name in videos.items() if not is_image(path)}
    if not videos:
        raise UserError(f"{option} is for videos, but there are only images. --html shows images with boxes.")
    if place.suffix and not place.is_dir():
        if len(videos) > 1:
            raise UserError(f"{option} {place} is one file, but there are {len(videos)} videos. Name a folder.")
        if place.suffix.lower() != suffix:
            raise UserError(f"{option} writes {suffix} files, but {place} is not one. Name another file, or a folder.")
        targets = dict.fromkeys(videos, place)
    else:
        stems = Counter(Path(name).with_suffix("") for name in videos.values())
        targets = {
            path: place / (Path(name).with_suffix(suffix) if stems[Path(name).with_suffix("")] == 1 else name + suffix)
            for path, name in videos.items()
        }
    inputs = {os.path.realpath(path) for path in videos}
    if taken := [target for target in targets.values() if os.path.realpath(target) in inputs]:
        raise UserError(f"{option} would overwrite the video {taken[0]}. Name another file or folder.")
    if suffix == ".mp4" and (foreign := [target for target in targets.values() if not may_be_replaced(target)]):
        raise UserError(
            f"{option} would overwrite {foreign[0]}, which it has not written. Name another file or folder."
        )
    return targets


def read_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that came with the weights, overridden by those of the files and of the command line."""
    defaults = find_defaults(Path.cwd())
    travelled = settings_of_weights(options.weights, read_changes(options.config))
    config = read_config(defaults, options.config, travelled.settings, travelled.models)
    if options.detector:
        yunet = read_yaml(defaults / YUNET)
        for section in ("detection", "tracking"):
            config[section]["test"] |= yunet[section]["test"]
    config["speed"]["device"] = options.device or config["speed"]["device"]
    config["data"]["video_timeout"] = options.timeout or config["data"]["video_timeout"]
    return config


def read_weights(options: argparse.Namespace, config: dict[str, Any]) -> list[Member]:
    """The weights of the models. Those of DSFD, if they are not where the settings say, are looked for beside them.

    Raises UserError that names all weights that are missing.
    """
    if absent := [str(place) for place in options.weights if not place.exists()]:
        raise UserError(f"There is no file or folder {' and no '.join(absent)} with weights. Correct the path.")
    faults, members = [], []
    try:
        members = find_members(options.weights, config["models"])
    except UserError as error:
        faults.append(str(error))
    detection = config["detection"]["test"]
    if detection["detector"] == "dsfd" and not Path(detection["weights"]).is_file():
        if beside := [path for place in options.weights for path in place.glob(DSFD_FILES)]:
            detection["weights"] = str(min(beside))
        else:
            places = ", ".join(map(str, options.weights))
            faults.append(
                f"The weights of the face detector DSFD are missing: there is no {detection['weights']} "
                f"(detection.test.weights in the settings) and no {DSFD_FILES} in {places}. "
                "--detector yunet uses a bundled detector instead; the scores then differ slightly."
            )
    if faults:
        raise UserError("\n".join(faults))
    return members


class _Table:
    """Prints the table row by row, above a progress bar on stderr if that is a terminal."""

    HEAD = ("fake?", "tracks", "frames", "took")

    def __init__(self, videos: Mapping[Path, str], file: Any) -> None:
        self._videos, self._file = videos, file
        self._width = max(len(in_one_line(name)) for name in (*videos.values(), "video"))

    def __enter__(self) -> None:
        self._bar = tqdm(total=len(self._videos), unit="video", file=sys.stderr, disable=None, leave=False)
        self._print("video", *self.HEAD, "state")

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, video: VideoScore, verdict: Verdict) -> None:
        """Print the row of a video."""
        row = video.row
        state = WORDS.get(row.status, printable(f"{row.status}: {row.reason}"))
        if row.status == "ok":
            state = "; ".join((*verdict.reasons, *video.notes())) or state
        self._print(
            in_one_line(self._videos[video.path]),
            f"{verdict.words} ({video.probability:.2f})",
            str(len(video.tracks)),
            str(video.frames_used()),
            duration(video.seconds) if video.seconds >= 10 else f"{video.seconds:.1f} s",
            state,
        )
        self._bar.update()

    def add_known(self, known: Summary) -> None:
        """Print the row of a video that an earlier run has scored."""
        told = f"{known.verdict} ({known.probability:.2f})"
        state = "; ".join(map(printable, (*known.doubts, *known.notes))) or "ok"
        self._print(in_one_line(known.video), told, str(len(known.tracks)), str(known.frames), "before", state)
        self._bar.update()

    def end(self, text: str) -> None:
        """Print a line below the table."""
        self._bar.write(text, file=self._file)

    def say(self, text: str) -> None:
        """Print a message to stderr."""
        self._bar.write(printable(text), file=sys.stderr)

    def _print(self, name: str, fake: str, tracks: str, frames: str, took: str, state: str) -> None:
        text = f"{name:<{self._width}}  {fake:<17}  {tracks:>6}  {frames:>6}  {took:>10}  {state}"
        self._bar.write(text, file=self._file)
        self._file.flush()


def summary(name: str, video: VideoScore, settings: ScoringSettings, verdict: Verdict) -> Summary:
    """The result of a video, with the scores of each track."""
    fps = video.row.fps
    return Summary(
        name,
        video.probability,
        verdict.words,
        verdict.reasons,
        video.row.status,
        video.row.reason,
        video.frames_used(),
        [
            {
                "track": scored.track.number,
                "first_second": scored.track.frames[0] / fps,
                "last_second": scored.track.frames[-1] / fps,
                "probability": scored.probability(settings.ensemble),
                "models": {
                    model: {"faces": len(values), "mean": float(values.mean())}
                    for model, (_, values) in scored.scores.items()
                },
                "each_second": [
                    {"second": second, "probability": probability}
                    for second, probability in scored.over_time(fps, settings.ensemble)
                ],
            }
            for scored in video.tracks
        ],
        video.noun,
        video.notes(),
    )


def about_weights(members: Sequence[Member], config: Mapping[str, Any]) -> dict[str, Any]:
    """What is said once for all videos: the detector, the limits of scores, and where each model comes from."""
    models = {
        member.name: {
            "weights": str(member.path),
            "architecture": member.model["architecture"],
            "provenance": member.metadata.get("provenance"),
        }
        for member in members
    }
    return {"detector": config["detection"]["test"]["detector"], "limits": LIMITS, "models": models}


def _outputs(options: argparse.Namespace, members: Sequence[Member], config: Mapping[str, Any]) -> list[Output]:
    """The files for --csv and --json, opened. Raises UserError if one cannot be written."""
    about = about_weights(members, config)
    wanted = (("--csv", options.csv, csv_format()), ("--json", options.json, json_format(about)))
    return [Output(target, option, kind) for option, target, kind in wanted if target is not None]

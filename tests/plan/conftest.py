"""The graph as it is meant to be, and what runs again in it after a change."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

# For each rule its wildcards and the rules whose jobs run again when its own did.
GRAPH: dict[str, tuple[str, str]] = {
    "make_demo_data": ("", "detect_faces detect_test_faces evaluate evaluate_validation draw_score_figures"),
    "detect_faces": ("part", "build_tracks align_tracks extract_clips draw_data_figures"),
    "build_tracks": ("part", "align_tracks draw_data_figures"),
    "align_tracks": ("part", "extract_clips draw_data_figures"),
    "extract_clips": (
        "part",
        "pair_clips recompress_clips train score_validation_clips draw_data_figures draw_sample_figures",
    ),
    "pair_clips": ("", "recompress_clips train score_validation_clips draw_sample_figures release_weights"),
    "recompress_clips": ("part", "train draw_sample_figures"),
    "convert_pretrained": ("architecture", "train"),
    "train": ("model", "export_weights draw_training_figures"),
    "export_weights": ("model", "score score_validation_clips release_weights"),
    "detect_test_faces": (
        "shard",
        "track_test_faces crop_test_faces evaluate submission draw_test_data_figures draw_score_figures",
    ),
    "track_test_faces": ("shard", "crop_test_faces evaluate draw_test_data_figures"),
    "crop_test_faces": ("shard", "score draw_score_figures"),
    "score": ("model shard", "evaluate submission draw_score_figures"),
    "evaluate": ("", "submission"),
    "submission": ("", ""),
    "score_validation_clips": ("model", "evaluate_validation release_weights"),
    "evaluate_validation": ("", "draw_validation_figures release_weights"),
    "release_weights": ("", ""),
    "draw_data_figures": ("", ""),
    "draw_sample_figures": ("", ""),
    "draw_training_figures": ("", ""),
    "draw_validation_figures": ("", ""),
    "draw_test_data_figures": ("", ""),
    "draw_score_figures": ("", ""),
}


@dataclass(frozen=True)
class World:
    """The values that the wildcards have."""

    part: tuple[str, ...] = ("dfdc_train_part_0", "dfdc_train_part_1")
    model: tuple[str, ...] = ("large_crop", "re", "seq")
    shard: tuple[str, ...] = ("0", "1")
    architecture: tuple[str, ...] = ("efficientnet-lite0",)

    def jobs(self, rule: str, **known: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
        """The jobs of a rule, those of some values of wildcards only."""
        found: list[tuple[tuple[str, str], ...]] = [()]
        for wildcard in GRAPH[rule][0].split():
            values = [known[wildcard]] if wildcard in known else getattr(self, wildcard)
            found = [(*before, (wildcard, value)) for before in found for value in values]
        return ((rule, values) for values in found)

    def after(self, *starts: str) -> list[str]:
        """Jobs and all that runs again after them, sorted; `train re` is one job, `train` stands for all of them."""
        left, found = [], set()
        for start in starts:
            rule, *values = start.split()
            left += self.jobs(rule, **dict(zip(GRAPH[rule][0].split(), values, strict=False)))
        while left:
            job = left.pop()
            if job not in found:
                found.add(job)
                rule, values = job
                left += [
                    next_job for reader in GRAPH[rule][1].split() for next_job in self.jobs(reader, **dict(values))
                ]
        return sorted(" ".join([rule, *(value for _, value in values)]) for rule, values in found)


@pytest.fixture
def world() -> World:
    """The tiny demo's parts, models and shards."""
    return World()


@pytest.fixture
def graph() -> dict[str, tuple[str, str]]:
    """For each rule its wildcards and its readers."""
    return GRAPH

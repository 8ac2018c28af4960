"""The settings of all stages of prediction together."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dfdc.networks.weights.find import Member
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.prediction.ensemble import ensemble_settings
from dfdc.stages.prediction.settings.crops import CropSettings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.settings.extraction import ExtractionSettings
from dfdc.system.settings import Precision


@dataclass(frozen=True)
class ScoringSettings(ExtractionSettings):
    """The settings of all stages of prediction; ``precision`` is that of the models."""

    ensemble: EnsembleSettings
    precision: Precision

    def extraction(self) -> ExtractionSettings:
        """Those of extraction alone, which workers get: these need no torch, whose import takes seconds."""
        return ExtractionSettings(**{field.name: getattr(self, field.name) for field in fields(ExtractionSettings)})

    @classmethod
    def of(cls, config: Mapping[str, Any], members: Sequence[Member]) -> "ScoringSettings":
        """Read the settings from a complete config, for some of its models.

        Raises UserError if it needs a fitted calibration and the run that produced the weights has none.
        """
        prediction = config["prediction"]
        keys = ("enlarge", "frame_every", "sequence_every", "sequence_length")
        return cls(
            DetectionSettings(**config["detection"]["test"]),
            prediction["fps"],
            config["data"]["max_pixels"],
            TrackerSettings(**config["tracking"]["test"]),
            CropSettings(
                **{key: prediction[key] for key in keys},
                kinds=tuple(sorted({member.model["kind"] for member in members})),
            ),
            _ensemble(config["ensemble"], members),
            prediction["precision"],
        )


def _ensemble(section: Mapping[str, Any], members: Sequence[Member]) -> EnsembleSettings:
    """The settings of the section ``ensemble``, with the fitted value that came with the weights, if it is needed."""
    kind = section["calibration"]
    fitted = (members[0].metadata.get("fitted") or {}).get(kind)
    if not isinstance(fitted, float) or not 0 < fitted < math.inf:
        return ensemble_settings(section, _calibration(members))
    rest = {key: value for key, value in section.items() if key != "calibration"}
    return EnsembleSettings(**(rest | {kind: fitted}))


def _calibration(members: Sequence[Member]) -> Path:
    """The calibration file of the run that produced the weights (results/models/{model}/…)."""
    # Not with .parents: weights may be in a top-level folder (/weights/re.pth), as in containers.
    return Path(os.path.normpath(members[0].path.absolute().parent / "../../validation/calibration.json"))

"""What the calibration on validation clips advises, in words."""

from collections.abc import Mapping
from typing import Any


def setting_of(calibration: Mapping[str, Any]) -> str | None:
    """The setting that uses the better calibration, see ``calibration.calibrate``; None if there is none."""
    better = calibration.get("better")
    return f"ensemble.calibration: {better}" if better else None


def advice(calibration: Mapping[str, Any]) -> str | None:
    """A sentence for the user if the published exponent costs log loss for certain; None if it does not."""
    if not (setting := setting_of(calibration)):
        return None
    better, published = calibration["better"], calibration["published"]
    fitted = calibration[better]
    low, high = fitted["gain"]
    return (
        f"On {calibration['clips']} validation clips of {calibration['sources']} source videos, the published exponent "
        f"of {published['exponent']:g} costs log loss: {published['log_loss']:.3f}, against "
        f"{fitted['log_loss_left_out']:.3f} with a fitted {better} of {fitted[better]:.2f} (95 % interval of the "
        f"difference: {low:.3f} to {high:.3f}). {setting} in the settings uses the fitted one."
    )

import numpy as np
import pytest

from dfdc.stages.evaluation.advice import advice
from dfdc.stages.evaluation.calibration import LIMITS, calibrate, fit, with_value
from dfdc.stages.evaluation.metrics import log_loss
from dfdc.stages.prediction.ensemble import combine_each, confident, ensemble_settings
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.checksums import write_json
from dfdc.system.errors import UserError
from published import published

WIDE = published(EnsembleSettings, clip=(1e-6, 1 - 1e-6))


def made_up(kind, value, clips=20000):
    """Networks that are less (or more) sure than they should be: one face a clip, labels drawn from what is right."""
    rng = np.random.default_rng(0)
    given = rng.uniform(0.02, 0.98, clips)
    truth = confident(given, with_value(WIDE, kind, value))
    labels = (rng.random(clips) < truth).astype(int)
    return given, np.arange(clips), labels, [f"source {number % 50}" for number in range(clips)]


@pytest.mark.parametrize(
    ("kind", "value"), [("exponent", 1.4), ("exponent", 1.0), ("temperature", 0.6), ("temperature", 2.5)]
)
def test_a_known_number_is_found_again(kind, value):
    given, numbers, labels, sources = made_up(kind, value, 8000)
    assert fit(kind, given, numbers, labels, WIDE) == pytest.approx(value, rel=0.1)
    found = calibrate(given, numbers, labels, sources, WIDE)
    assert found[kind]["log_loss"] <= min(found["published"]["log_loss"], found["as_given"]["log_loss"]) + 1e-9
    assert found[kind]["log_loss"] <= found[kind]["log_loss_left_out"] < found[kind]["log_loss"] + 0.01
    assert not found[kind]["at_limit"]


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("seed", range(5))
def test_as_good_as_any_number_of_a_fine_grid(kind, seed):
    rng = np.random.default_rng(seed)
    numbers, labels = np.repeat(np.arange(12), 5), rng.integers(0, 2, 12)
    given = np.clip(rng.normal(0.4 + 0.2 * labels[numbers], 0.2), 0, 1)

    def loss(value):
        return log_loss(labels, combine_each(given, numbers, 12, with_value(published(EnsembleSettings), kind, value)))

    best = min(map(loss, np.geomspace(*LIMITS[kind], 200)))
    assert loss(fit(kind, given, numbers, labels, published(EnsembleSettings))) <= best + 1e-4


def test_clips_that_are_told_apart_ask_for_all_confidence():
    found = calibrate(np.array([0.4, 0.6]), np.arange(2), np.array([0, 1]), ["a", "b"], published(EnsembleSettings))
    assert found["exponent"]["exponent"] == pytest.approx(LIMITS["exponent"][0], rel=1e-3)
    assert found["exponent"]["at_limit"]
    assert found["clip"] == [0.01, 0.99]


def test_without_clips_and_with_one_source():
    nothing = calibrate(np.zeros(0), np.zeros(0, int), np.zeros(0, int), [], published(EnsembleSettings))
    assert nothing["clips"] == 0
    assert nothing["published"] == {"exponent": 0.65, "log_loss": None}
    assert nothing["temperature"] == {
        "temperature": None,
        "log_loss": None,
        "log_loss_left_out": None,
        "gain": None,
        "at_limit": False,
    }
    assert nothing["better"] is None
    assert advice(nothing) is None
    one = calibrate(np.array([0.4, 0.6]), np.arange(2), np.array([0, 1]), ["a", "a"], published(EnsembleSettings))
    assert one["exponent"]["log_loss_left_out"] is None
    assert one["better"] is None


@pytest.mark.parametrize(("value", "clips", "is_better"), [(1.5, 4000, True), (0.65, 4000, False), (1.0, 40, False)])
def test_the_published_exponent_is_advised_against_if_it_costs_log_loss_for_certain(value, clips, is_better):
    found = calibrate(*made_up("exponent", value, clips), WIDE)
    low, high = found["exponent"]["gain"]
    assert low <= found["published"]["log_loss"] - found["exponent"]["log_loss_left_out"] <= high
    if is_better:
        assert found["better"] == "exponent"
        assert "ensemble.calibration: exponent in the settings" in advice(found)
        assert f"fitted exponent of {found['exponent']['exponent']:.2f}" in advice(found)
    else:
        assert found["better"] is None
        assert low < 0
        assert advice(found) is None


def test_the_number_that_the_config_asks_for(tmp_path):
    section = {"exponent": 0.65, "clip": [0.02, 0.98], "weight_offset": 0.0001, "unknown": 0.5}
    path = tmp_path / "calibration.json"
    write_json(path, {"exponent": {"exponent": 0.8}, "temperature": {"temperature": None}})
    published = ensemble_settings(section | {"calibration": "published"}, "")
    assert (published.exponent, published.clip, published.temperature) == (0.65, [0.02, 0.98], None)
    assert ensemble_settings(section | {"calibration": "exponent"}, path).exponent == 0.8
    with pytest.raises(UserError, match="has no fitted value: there are no validation pairs"):
        ensemble_settings(section | {"calibration": "temperature"}, path)
    write_json(path, {"temperature": {"temperature": 0.7}})
    assert ensemble_settings(section | {"calibration": "temperature"}, path).temperature == 0.7

"""Released weights: what they say, and the settings that travel with them."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import torch
from samples import lively_model, write_weights

from dfdc.config.reading import find_checkout, read_config
from dfdc.data.schemas.pairs import Pair
from dfdc.networks.weights.export import export_weights
from dfdc.networks.weights.files import read_tensors, read_weights_metadata, save_weights
from dfdc.networks.weights.find import EXPORTED, Travelled, find_members, settings_of_weights
from dfdc.networks.weights.release import release_weights, scoring_of_model
from dfdc.stages.evaluation.released import FEWEST, provenance_of, ranges_of
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.system.errors import UserError

ROOT = find_checkout(Path(__file__).parent)


@pytest.fixture(scope="module")
def config():
    return read_config(ROOT)


def run_of(folder, config, seed=0, **changes):
    """A run's folder with exported weights of the model re and released ones, which come with changed settings."""
    torch.manual_seed(seed)
    model = {**config["models"]["re"], "architecture": "efficientnet-lite0", "seed": seed}
    model["crop"] = {"smaller_side": 32, "pad": False, "height": 32, "width": 32}
    settings = {**config, "models": {"re": model}}
    for key, value in changes.items():
        settings[key] = {**settings[key], **value}
    trained, exported = folder / "trained.safetensors", folder / "results/models/re" / EXPORTED
    exported.parent.mkdir(parents=True, exist_ok=True)
    save_weights(trained, lively_model("frame", 1).state_dict(), {})
    export_weights(trained, "re", model, exported, own=True)
    released = folder / "results/release/re.safetensors"
    provenance = {"data": "mine", "purpose": None, "pairs": 3, "sources": 2, "validation": None, "ensemble": None}
    about = {"provenance": provenance, "scoring": scoring_of_model(settings, "re"), "fitted": {"temperature": 0.7}}
    release_weights(exported, released, about)
    return exported, released


def test_released_weights_are_the_exported_ones_and_say_more(tmp_path, config):
    exported, released = run_of(tmp_path, config)
    tensors, copied = read_tensors(exported), read_tensors(released, own=True)
    assert all(torch.equal(tensors[name], copied[name]) for name in tensors | copied)
    before, after = read_weights_metadata(exported), read_weights_metadata(released)
    assert before.items() <= after.items()
    assert after["provenance"]["architecture"] == "efficientnet-lite0"
    assert set(after) - set(before) == {"provenance", "scoring", "fitted", "released_from"}
    again = run_of(tmp_path / "again", config)[1]
    assert again.read_bytes() == released.read_bytes()
    assert "weights" not in after["scoring"]["detection"]["test"]  # the path of those of DSFD


def test_released_weights_of_another_training_are_not_those_of_the_run(tmp_path, config):
    exported, released = run_of(tmp_path, config)
    assert [member.path for member in find_members([tmp_path], config["models"])] == [released]
    assert [member.path for member in find_members([exported], config["models"])] == [exported]
    released.write_bytes(run_of(tmp_path / "other", config, seed=1)[1].read_bytes())
    assert [member.path for member in find_members([tmp_path], config["models"])] == [exported]
    released.unlink()
    assert [member.path for member in find_members([tmp_path], config["models"])] == [exported]


def test_settings_travel_and_those_of_the_user_win(tmp_path, config):
    changes = {"prediction": {"fps": 10}, "ensemble": {"calibration": "temperature"}}
    _, released = run_of(tmp_path, config, **changes)
    travelled = settings_of_weights([released], {})
    assert travelled.models == {"re"}
    of_weights = read_config(ROOT, [], travelled.settings, travelled.models)
    assert (of_weights["prediction"]["fps"], list(of_weights["models"])) == (10, ["re"])
    assert of_weights["prediction"]["shards"] == config["prediction"]["shards"]  # says nothing about scores
    (tmp_path / "mine.yaml").write_text("prediction: {fps: 12}")
    mine = read_config(ROOT, [tmp_path / "mine.yaml"], travelled.settings, travelled.models)
    assert mine["prediction"] == {**of_weights["prediction"], "fps": 12}
    # The fitted calibration comes too: there is no results/validation beside the copy.
    members = find_members([released], of_weights["models"])
    assert ScoringSettings.of(of_weights, members).ensemble.temperature == 0.7


def test_weights_that_want_different_settings(tmp_path, config):
    one = run_of(tmp_path / "one", config)[1]
    other = run_of(tmp_path / "other", config, seed=1, prediction={"fps": 10})[1]
    with pytest.raises(UserError, match=r"prediction\.fps is 15 in .*one.*, but 10 in .*other.*\n.*--config"):
        settings_of_weights([one, other], {"models": {"re": {"seed": 2}}})
    chosen = {"prediction": {"fps": 12}, "models": {"re": {"seed": 2}}}
    assert settings_of_weights([one, other], chosen).models == {"re"}


def test_weights_without_settings_are_used_as_before(tmp_path, config):
    old = write_weights(tmp_path / "re.safetensors")
    assert settings_of_weights([old, tmp_path / "absent"], {}) == Travelled({}, None)
    # Beside others they may be of a model of config.yaml.
    released = run_of(tmp_path / "run", config)[1]
    assert settings_of_weights([old, released], {}).models is None


@pytest.mark.parametrize(("key", "value"), [("scoring", [1]), ("provenance", "mine"), ("ranges", 3), ("fitted", [2])])
def test_metadata_that_are_no_mappings_are_refused(tmp_path, config, key, value):
    _, released = run_of(tmp_path, config)
    about = read_weights_metadata(released) | {key: value}
    save_weights(released, read_tensors(released), about, torch.float16)
    with pytest.raises(UserError, match=f"{key} is .*, not a mapping"):
        settings_of_weights([released], {})


def test_settings_of_weights_are_checked_like_those_of_a_file(tmp_path, config):
    _, released = run_of(tmp_path, config, prediction={"fps": -1})
    with pytest.raises(UserError, match=r"prediction\.fps: must be a number from 0.01"):
        read_config(ROOT, [], settings_of_weights([released], {}).settings)


def pair(part, real, split):
    return Pair(part, real, "f.mp4", 0, 1, 50, "", "", 5.0, split)


def report(log_loss):
    intervals = {"log_loss": [0.1, 0.9], "auc": None}
    return {"clips": 4, "sources": 2, "log_loss": log_loss, "auc": 0.75, "intervals": intervals, "brier": 0.2}


def test_provenance_counts_what_was_trained_on_and_tells_what_was_measured():
    pairs = [pair("p", "a", "train"), pair("p", "a", "train"), pair("q", "a", "train"), pair("p", "b", "validation")]
    evaluation = {"conditions": {"plain": {"models": {"re": report(0.5)}, "ensemble": report(0.4)}}}
    about = provenance_of("re", None, "demonstration", pairs, evaluation)
    assert (about["data"], about["purpose"], about["pairs"], about["sources"]) == ("unnamed", "demonstration", 3, 2)
    assert about["validation"] == {
        **{"clips": 4, "sources": 2, "log_loss": 0.5, "log_loss_interval": [0.1, 0.9]},
        **{"auc": 0.75, "auc_interval": None},
    }
    assert (about["ensemble"]["log_loss"], about["ensemble"]["models"]) == (0.4, ["re"])
    assert json.loads(json.dumps(about)) == about
    assert provenance_of("re", "mine", None, pairs, None)["validation"] is None


def scores(probabilities, heights, known=1000):
    """Two frames of each clip: their sharpness is the number of the clip and one more, and their yaw, of the first
    ``known`` plain clips, a hundredth of it."""
    rows = [
        {"part": "p", "label": ("REAL", "FAKE")[clip % 2], "clip": clip, "height": height, "condition": condition}
        | {"probability": probability, "sharpness": clip + frame}
        | {"yaw": (clip + frame) / 100 if condition == "plain" and clip < known else None}
        for clip, (probability, height) in enumerate(zip(probabilities, heights, strict=True))
        for condition in ("plain", "smaller")
        for frame in range(2)
    ]
    return pa.Table.from_pandas(pd.DataFrame(rows))


def test_ranges_of_validation_clips_and_the_errors_beyond_them():
    heights = [150] * 39 + [90]
    one = scores([0.1, 0.9] * 19 + [0.1, 0.4], heights)
    other = scores([0.2, 0.8] * 18 + [0.7, 0.2] * 2, heights)
    ranges = ranges_of({"re": one, "seq": other}, 1.5)
    assert ranges["models"] == ["re", "seq"]
    assert ranges["face_height"] == {
        "limit": pytest.approx(100),
        "beyond": {"clips": 1, "wrong": 1},
        "within": {"clips": 39, "wrong": 0},
    }
    # In the last four clips the models are 0.6, 0.7, 0.6 and 0.2 apart, in the others 0.1.
    assert ranges["disagreement"]["limit"] == pytest.approx(0.6, abs=0.01)
    # Two of the clips are more blurred than the limit, and right.
    assert list(ranges["sharpness"]) == ["re", "seq"]
    assert ranges["sharpness"]["seq"] == {
        "limit": pytest.approx(0.5 + 0.05 * 39),
        "beyond": {"clips": 2, "wrong": 0},
        "within": {"clips": 38, "wrong": 1},
    }
    # And two of the others are further turned, of which the last is wrong.
    assert list(ranges["yaw"]) == ["re", "seq"]
    assert ranges["yaw"]["re"] == {
        "limit": pytest.approx((0.5 + 0.95 * 39) / 100),
        "beyond": {"clips": 2, "wrong": 1},
        "within": {"clips": 38, "wrong": 0},
    }
    assert json.loads(json.dumps(ranges)) == ranges
    assert ranges_of({"re": one}, 1.5)["disagreement"] is None
    assert ranges_of({"re": one.slice(0, 4 * (FEWEST - 1))}, 1.5) is None


def test_clips_of_unknown_yaw_are_in_no_range_of_it():
    probabilities, heights = [0.1, 0.9] * 20, [150] * 40
    some = ranges_of({"re": scores(probabilities, heights, known=FEWEST)}, 1.5)
    assert some["yaw"]["re"]["limit"] == pytest.approx((0.5 + 0.95 * (FEWEST - 1)) / 100)
    assert [some["yaw"]["re"][side]["clips"] for side in ("beyond", "within")] == [1, FEWEST - 1]
    for known in (FEWEST - 1, 0):
        few = ranges_of({"re": scores(probabilities, heights, known)}, 1.5)
        assert few["yaw"] == {"re": None}
        assert few["sharpness"]["re"]["within"]["clips"] == 38

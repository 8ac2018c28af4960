"""What the report's first page and the end of a run say."""

from pathlib import Path

import pytest

from dfdc.config.reading import read_config
from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.tables import write_table
from dfdc.figures.front_page import CALIBRATION, EVALUATION, PAIRED, VALIDATION, calibration_advice, front_page, version
from dfdc.system.checksums import write_json

CHECKOUT = Path(__file__).parents[2]
MODELS = ["large_crop", "re", "seq"]


def measured(things, log_loss, auc, interval=(0.1, 0.9)):
    ends = list(interval) if interval else None
    return {things: 26, "sources": 5, "log_loss": log_loss, "auc": auc, "intervals": {"log_loss": ends, "auc": ends}}


def calibration(better):
    fitted = {"exponent": 0.84, "log_loss_left_out": 0.4, "gain": [0.01, 0.05]}
    return {
        "clips": 48,
        "sources": 5,
        "better": better,
        "published": {"exponent": 0.65, "log_loss": 0.43},
        "exponent": fitted,
    }


@pytest.fixture
def config():
    return read_config(CHECKOUT, [CHECKOUT / "profiles/demo/settings.yaml"])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = measured("videos", 0.38112, 0.90236)
    videos = {"total": 27, "labelled": 26, "by_status": {"no face": 2, "ok": 25}}
    EVALUATION.parent.mkdir()
    write_json(EVALUATION, {"ensemble": one, "models": {"large_crop": one}, "videos": videos})
    VALIDATION.parent.mkdir()
    write_json(VALIDATION, {"conditions": {"plain": {"ensemble": measured("clips", 0.5, None, None)}}})
    write_json(CALIBRATION, calibration(None))
    rows = [("p0", "a", "b", "train"), ("p0", "a", "c", "train"), ("p1", "d", "e", "validation")]
    columns = dict.fromkeys(PAIRS.names, [None] * len(rows))
    columns |= dict(zip(("part", "real", "fake", "split"), map(list, zip(*rows, strict=True)), strict=True))
    write_table(PAIRED, PAIRS, columns)
    Path("submission.csv").touch()


def test_the_page_says_what_came_out_of_which_data_with_which_settings(run, config):
    page = front_page(config, MODELS, MODELS, True, CHECKOUT)
    assert page["results"] == [
        ("26 test videos, ensemble", "0.381 (0.100 to 0.900)", "0.902 (0.100 to 0.900)"),
        (r"test videos, model large\_crop", "0.381 (0.100 to 0.900)", "0.902 (0.100 to 0.900)"),
        ("26 validation clips of 5 real videos and their fakes, ensemble", "0.500", "not defined"),
    ]
    about = dict(page["about"])
    assert about["Training data"] == (
        "2 pairs of clips to train on (1 real, 2 fake videos), "
        "1 pairs of clips for validation (1 real, 1 fake videos), of 2 parts"
    )
    assert about["Test videos"] == "27, 26 labelled (25 ok, 2 no face)"
    assert about[r"Model large\_crop"] == "efficientnet-lite0, single frames, 112 x 128 pixels, seed 30"
    assert about["Scores made on"].startswith("20")
    assert about["Version"].startswith("0.")
    assert page["advice"] is None


def test_the_version_of_a_copy(tmp_path):
    assert version(tmp_path) == "unknown"
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2"\n')
    assert version(tmp_path) == "1.2"


def test_of_finished_weights_and_unlabelled_videos_less_is_known(run, config):
    for name in MODELS:
        config["models"][name]["weights"] = f"external_data/{name}.pth"
    config["data"]["test_labels"] = None
    page = front_page(config, MODELS, [], False, CHECKOUT)
    assert page["results"] == []
    assert not {"Training data", "Training", "Test videos"} & set(dict(page["about"]))
    assert "weights seq.pth" in dict(page["about"])["Model seq"]


def test_a_calibration_is_advised_only_in_place_of_the_published_exponent(run, config):
    assert calibration_advice(config) is None
    write_json(CALIBRATION, calibration("exponent"))
    assert "ensemble.calibration: exponent in the settings" in calibration_advice(config)
    config["ensemble"]["calibration"] = "exponent"
    assert calibration_advice(config) is None
    config["ensemble"]["calibration"] = "published"
    CALIBRATION.unlink()
    assert calibration_advice(config) is None

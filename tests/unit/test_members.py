from pathlib import Path

import pytest
import torch
from samples import write_weights

from dfdc.config.reading import find_checkout, read_config
from dfdc.networks.weights.files import save_weights
from dfdc.networks.weights.find import EXPORTED, Member, find_members
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.system.checksums import write_json
from dfdc.system.errors import UserError

MODELS = {name: {"architecture": "efficientnet-b7", "kind": "frame", "seed": 1} for name in ("large_crop", "re", "seq")}
PUBLISHED = "efficientnet-b7_ns_aa-original-mstd0.5_{}_100k_v4_cad79a/snapshot_100000.fp16.pth"


def exported(path, name, kind="frame"):
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"name": name, "architecture": "efficientnet-lite0", "kind": kind}
    save_weights(path, {"a": torch.zeros(1)}, about)
    return path


def found(*places):
    return {member.name: member.path for member in find_members(places, MODELS)}


@pytest.mark.parametrize("place", ["run", "run/results", "run/results/models"])
def test_the_folder_of_a_run_and_those_in_it(tmp_path, place):
    paths = {name: exported(tmp_path / f"run/results/models/{name}" / EXPORTED, name) for name in MODELS}
    exported(tmp_path / "run/results/models/re/weights.safetensors", "re")  # in single precision, as trained
    assert found(tmp_path / place) == paths
    assert list(found(tmp_path / place)) == ["large_crop", "re", "seq"]
    assert found(tmp_path / "run/results/models/re") == {"re": paths["re"]}


def test_what_exported_weights_say_counts(tmp_path):
    path = exported(tmp_path / "large_crop.safetensors", "seq", "sequence")
    (member,) = find_members([path], MODELS)
    assert member.name == "seq"
    assert member.model == {"architecture": "efficientnet-lite0", "kind": "sequence", "seed": 1}


def test_the_published_files_are_known_by_their_folders(tmp_path):
    paths = {}
    for name in MODELS:
        paths[name] = tmp_path / "external_data" / PUBLISHED.format(name)
        paths[name].parent.mkdir(parents=True)
        paths[name].write_bytes(b"never read here")
    (tmp_path / "external_data" / "WIDERFace_DSFD_RES152.fp16.pth").write_bytes(b"the detector")
    assert found(tmp_path / "external_data") == paths
    assert found(paths["re"], paths["seq"].parent) == {name: paths[name] for name in ("re", "seq")}
    (member,) = find_members([paths["re"]], MODELS)
    assert member.model == MODELS["re"]


def test_a_name_is_a_word(tmp_path):
    for name in ("reseq.pth", "score.pth", "my-re.pth", "large_crop-for-seq.pth"):
        (tmp_path / name).write_bytes(b"x")
    # Of two names the longer one is meant.
    assert found(tmp_path) == {"re": tmp_path / "my-re.pth", "large_crop": tmp_path / "large_crop-for-seq.pth"}


def test_a_model_twice_or_unknown_or_none(tmp_path):
    one = write_weights(tmp_path / "re.safetensors")
    other = exported(tmp_path / "b" / EXPORTED, "re")
    with pytest.raises(UserError, match=r"weights of the model re\. Pass only one of them"):
        found(one, other)
    with pytest.raises(UserError, match=r"the model 'mine', but the settings have only large_crop.*--config"):
        found(exported(tmp_path / "mine.safetensors", "mine"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "resnet.pth").write_bytes(b"x")
    with pytest.raises(UserError, match=r"found: .*resnet\.pth\)\. Expected the folder"):
        found(tmp_path / "c")


def test_a_fitted_calibration_is_that_of_the_run_that_made_the_weights(tmp_path):
    config = read_config(find_checkout(Path(__file__).parent))
    config["ensemble"]["calibration"] = "temperature"
    member = Member("re", tmp_path / "results/models/re/weights.fp16.safetensors", config["models"]["re"])
    with pytest.raises(UserError, match="there is no"):
        ScoringSettings.of(config, [member])
    (tmp_path / "results/validation").mkdir(parents=True)
    write_json(tmp_path / "results/validation/calibration.json", {"temperature": {"temperature": 0.7}})
    assert ScoringSettings.of(config, [member]).ensemble.temperature == 0.7

import csv
import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfdc.data.schemas.scores import SCORES
from dfdc.stages.prediction.ensemble import combine, confident, ensemble_settings, submission_csv, video_scores
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.system.checksums import write_json
from dfdc.system.errors import UserError
from published import published

PUBLISHED = published(EnsembleSettings)
PROBABILITIES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def table(rows):
    return pa.Table.from_pylist(
        [{"video": video, "track": 0, "frame": n, "probability": p} for n, (video, p) in enumerate(rows)],
        SCORES,
    )


def test_the_published_curve():
    # 0.5 + 0.25 ** 0.65 = 0.9061; 0.5 + 0.1 ** 0.65 = 0.7239; 0.5 + 0.5 ** 0.65 is above 0.99.
    given = np.array([0.5, 0.75, 0.6, 1.0, 0.25, 0.0])
    expected = [0.5, 0.9061262, 0.7238721, 0.99, 0.0938738, 0.01]
    np.testing.assert_allclose(confident(given, PUBLISHED), expected, atol=1e-6)


def test_a_temperature_divides_the_log_odds():
    # Odds of 3 to 1 become 9 to 1 with half the temperature; of 1 they stay.
    sharper = published(EnsembleSettings, temperature=0.5)
    np.testing.assert_allclose(confident([0.75, 0.5, 0.25, 1.0, 0.0], sharper), [0.9, 0.5, 0.1, 0.99, 0.01])
    given = np.array([0.3, 0.7])
    np.testing.assert_allclose(confident(given, published(EnsembleSettings, temperature=1.0)), given)
    # Faces weigh as much as they do without.
    assert combine([0.75, 0.4], sharper) == pytest.approx((0.9 * 0.2501 + 4 / 13 * 0.1001) / 0.3502)


def test_a_score_by_hand():
    # Two faces, 0.75 and 0.4: moved to 0.9061262 and 0.2761279, weights 0.2501 and 0.1001.
    expected = (0.9061262 * 0.2501 + 0.2761279 * 0.1001) / 0.3502
    assert combine(np.array([0.75, 0.4]), PUBLISHED) == pytest.approx(expected, abs=1e-6)
    assert combine(np.array([0.5, 0.5]), PUBLISHED) == 0.5
    assert combine(np.array([]), PUBLISHED) == 0.5
    assert combine([], published(EnsembleSettings, unknown=0.4)) == 0.4


@given(PROBABILITIES)
@settings(deadline=None, max_examples=60)
def test_properties_of_the_score(probabilities):
    given = np.array(probabilities, np.float32)
    score = combine(given, PUBLISHED)
    assert 0.01 <= score <= 0.99
    assert combine(1 - given.astype(np.float64), PUBLISHED) == pytest.approx(1 - score, abs=1e-6)
    assert combine(given[::-1], PUBLISHED) == pytest.approx(score, abs=1e-9)
    moved = confident(np.sort(given), PUBLISHED)
    assert (np.diff(moved) >= 0).all()
    assert (np.abs(moved - 0.5) >= np.minimum(np.abs(np.sort(given) - 0.5), 0.49) - 1e-7).all()


def test_a_mean_at_the_limit_does_not_round_beyond_it():
    assert combine(np.float32([0.9140697216828937]), PUBLISHED) == 0.99


def test_every_face_of_every_model_counts_once():
    one, other = table([("a", 0.9), ("b", 0.2), ("a", 0.6)]), table([("a", 0.3)])
    scores = video_scores(["c", "b", "a"], [one, other], PUBLISHED)
    assert list(scores) == ["a", "b", "c"]
    assert scores["a"] == pytest.approx(combine(np.float32([0.9, 0.6, 0.3]), PUBLISHED))
    assert scores["b"] == pytest.approx(combine(np.float32([0.2]), PUBLISHED))
    assert scores["c"] == 0.5
    assert video_scores(["a"], [], PUBLISHED) == {"a": 0.5}
    assert video_scores(["a"], [table([])], PUBLISHED) == {"a": 0.5}
    assert video_scores([], [one], PUBLISHED) == {}


def test_the_shards_make_no_difference():
    rng = np.random.default_rng(0)
    rows = [(f"{n % 7}.mp4", p) for n, p in enumerate(rng.random(200))]
    names = sorted({video for video, _ in rows})
    whole = video_scores(names, [table(rows)], PUBLISHED)
    shards = [table([row for row in rows if int(row[0][0]) % 3 == shard]) for shard in (2, 0, 1)]
    assert video_scores(names, shards, PUBLISHED) == whole


def test_the_submission_is_sorted_and_valid():
    text = submission_csv({"b.mp4": 0.123456789, "a,1.mp4": 0.5, "B.mp4": 0.01})
    assert text == 'filename,label\nB.mp4,0.01000000\n"a,1.mp4",0.50000000\nb.mp4,0.12345679\n'
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["filename"] for row in rows] == ["B.mp4", "a,1.mp4", "b.mp4"]
    assert all(0 <= float(row["label"]) <= 1 for row in rows)
    assert submission_csv({}) == "filename,label\n"


def test_a_calibration_that_was_not_fitted_is_the_users_mistake(tmp_path):
    section = {"exponent": 0.65, "clip": [0.01, 0.99], "weight_offset": 1e-4, "unknown": 0.5}
    absent = tmp_path / "calibration.json"
    assert ensemble_settings({**section, "calibration": "published"}, absent).exponent == 0.65
    with pytest.raises(UserError, match=r"there is no .*calibration\.json\. Create it"):
        ensemble_settings({**section, "calibration": "temperature"}, absent)
    write_json(absent, {"temperature": {"temperature": 0.7}, "exponent": {"exponent": None}})
    assert ensemble_settings({**section, "calibration": "temperature"}, absent).temperature == 0.7
    with pytest.raises(UserError, match="there are no validation pairs"):
        ensemble_settings({**section, "calibration": "exponent"}, absent)

"""A run in as many pieces as there are stages: each goes on where the last one ended, and the same files come out."""

import hashlib
import shutil

STAGES = (
    *("detect_faces", "build_tracks", "align_tracks", "extract_clips", "pair_clips", "recompress_clips"),
    *("convert_pretrained", "train", "export_weights", "release_weights"),
    *("detect_test_faces", "track_test_faces", "crop_test_faces", "score", "evaluate", "submission"),
)


def results(project):
    files = [path for path in (project.demo / "results").rglob("*") if path.is_file()]
    files.append(project.demo / "submission.csv")
    return {str(path.relative_to(project.demo)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_stage_by_stage(finished_run, tmp_path):
    project = type(finished_run).fresh(tmp_path / "copy", finished_run.folder)
    shutil.copytree(finished_run.demo / "data", project.demo / "data")
    left = set(project.plan(own_data=True))
    assert {job.split()[0] for job in left} == set(STAGES)
    for stage in STAGES:
        done = project.snakemake("--until", stage, own_data=True)
        assert done.returncode == 0, done.stdout
        left -= {job for job in left if job.split()[0] == stage}
        assert set(project.plan(own_data=True)) == left
    assert results(project) == results(finished_run)

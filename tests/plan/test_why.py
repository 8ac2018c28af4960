"""What `make why` says of a plan."""

import re


def test_nothing_to_do(project):
    assert project.why() == "Nothing would run: all results exist and are up to date.\n"


def test_a_setting(project):
    said = project.why(settings={"alignment": {"min_iou": 0.4}, "prediction": {"fps": 10}})
    assert (
        "align_tracks\n  the setting alignment.min_iou has changed: 0.5 → 0.4 (dfdc_train_part_0, dfdc_train_part_1)\n"
        in said
    )
    assert "detect_test_faces\n  the setting prediction.fps has changed: 15 → 10 (0, 1)\n" in said
    assert "pair_clips\n  depends on extract_clips\n" in said
    assert "build_tracks" not in said


def test_a_setting_that_only_one_detector_has(project):
    dsfd = {"detector": "dsfd", "weights": "dsfd.pth", "precision": "fp16"}
    project.write("demo/dsfd.pth", b"weights")
    said = project.why(settings={"detection": {"test": dsfd}})
    assert "  the setting detection.test.detector has changed: yunet → dsfd (0, 1)\n" in said
    assert "  the setting detection.test.precision has changed: fp32 → fp16 (0, 1)\n" in said


def test_code(project):
    path = "lib/dfdc/stages/faces/alignment.py"
    project.write(path, (project.folder / path).read_bytes() + b"\nADDED = 1\n")
    project.replace("workflow/scripts/submission.py", "videos = [", "assert snakemake\n    videos = [")
    said = project.why()
    assert (
        "align_tracks\n  lib/dfdc/stages/faces/alignment.py has changed (dfdc_train_part_0, dfdc_train_part_1)\n"
        in said
    )
    project.restore()
    project.replace("workflow/scripts/submission.py", "videos = [", "assert snakemake\n    videos = [")
    said = project.why()
    assert said.startswith("1 job would run.\n\nsubmission\n  workflow/scripts/submission.py has changed\n\n")
    assert re.fullmatch(r"One after the other, they took (.+) last time: submission \1\.", said.splitlines()[-1])


def test_how_long_it_took_is_told_of_what_is_known(project):
    said = project.why(
        settings={"ensemble": {"exponent": 0.5}, "models": {"more": project.tiny_settings()["models"]["re"]}}
    )
    assert "the setting ensemble.exponent has changed: 0.65 → 0.5" in said
    (jobs,) = re.findall(r"^(\d+) jobs would run", said)
    ((known, stages),) = re.findall(
        r"One after the other, (\d+) of them took .* last time: (.*)\.$", said, re.MULTILINE
    )
    assert int(known) < int(jobs)
    assert re.search(r"draw_\w+_figures (\d+ min )?\d+ s", stages)
    assert "train " not in stages


def test_files(project):
    path = "demo/data/dfdc_train_part_0/metadata.json"
    project.write(path, (project.folder / path).read_bytes() + b"\n")
    project.write("demo/data/test_videos/new.mp4", b"something")
    project.remove("demo/results/models/re/weights.safetensors")
    said = project.why()
    assert f"updated input files: {path.removeprefix('demo/')} (dfdc_train_part_0)" in said
    assert "  the videos or their metadata.json have changed (" in said
    assert "export_weights" in said
    assert "Traceback" not in said


def test_a_job_that_failed(project):
    project.write("demo/.snakemake/unfinished/build_tracks/dfdc_train_part_1", b"1")
    said = project.why()
    assert "build_tracks\n  it failed or was stopped last time (dfdc_train_part_1)\n" in said


def test_what_snakemake_refuses_is_shown(project):
    said = project.why(settings={"alignment": {"min_iuo": 0.4}}, status=1)
    assert "alignment: unknown key 'min_iuo'" in said
    assert "Traceback" not in said

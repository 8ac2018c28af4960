"""The projected budget of a full run on one GPU, from the rates below: the table of docs/performance.md.

    python benchmarks/budget.py [rate=value ...]

Core-hours are those of all cores together, GPU-hours those of one GPU. A stage that uses both takes as long as the
slower of the two: decoding and loading go on while the GPU computes. "Side by side" is how `profiles/workstation` lets
them run: the clips of a part are cut while faces are detected in the next; the other stages follow one by one. The row
"at best" is the bound where all overlap. To put in rates that were measured, name them:
`python benchmarks/budget.py step_frame=0.05 detect=2.1`.
"""

import argparse
from dataclasses import dataclass, fields

CORES = (16, 8)
VIDEOS, PAIRS, TEST_VIDEOS = 119_154, 100_000, 4_000
ITERATIONS, BATCH = 100_000, 8
FRAMES, EVERY = 300, 6


@dataclass
class Rates:
    """Rates with where they come from: measured (docs/performance.md has the commands) or assumed."""

    detect: float = 2.0
    """Core-seconds to detect the faces of a video with YuNet, measured."""
    decode: float = 1.1
    """Core-seconds to decode a video and resize every sixth frame for DSFD, measured."""
    dsfd: float = 400.0
    """Images a second of DSFD at 683x384 in bf16 on one GPU, assumed: 0.34 TFLOP each, at 140 TFLOP/s."""
    extract: float = 0.76
    """Core-seconds to cut a pair of clips, measured."""
    encode: float = 1.14
    """Core-seconds to recompress a pair in 4 variants, computed of a measured rate: 8 times 142 ms."""
    load: float = 62.9
    """Pairs a second that a core loads with variants, measured."""
    step_frame: float = 0.050
    """Seconds of a compiled training step of a frame model, assumed: between 0.042 and 0.055."""
    step_seq: float = 0.050
    """Seconds of a compiled training step of the sequence model, assumed: as the frame models'."""
    score: float = 2.0
    """Core-seconds to decode, follow and cut the faces of a test video, assumed."""
    score_gpu: float = 1.0
    """GPU-seconds for the detection and the three models of a test video, assumed."""


@dataclass
class Stage:
    """A stage, its core-hours and GPU-hours, how they follow, and what they rest on."""

    name: str
    core: float
    gpu: float
    how: str
    basis: str

    def wall(self, cores: int) -> float:
        """Hours on that many cores and one GPU."""
        return max(self.core / cores, self.gpu)


def stages(rates: Rates) -> list[Stage]:
    """The stages of a full run, with DSFD as its detector."""
    sampled = VIDEOS * FRAMES / EVERY
    training = (
        ("two frame models", 2, rates.step_frame),
        ("sequence model", 1, rates.step_seq),
    )
    found = [
        Stage(
            "`detect_faces`, DSFD",
            VIDEOS * rates.decode / 3600,
            sampled / rates.dsfd / 3600,
            f"{VIDEOS:,} videos x {rates.decode} core-s; {sampled:,.0f} images / {rates.dsfd:.0f} a GPU-s",
            "cores measured, GPU assumed",
        ),
        Stage("`extract_clips`", PAIRS * rates.extract / 3600, 0, f"{PAIRS:,} pairs x {rates.extract}", "measured"),
        Stage("`recompress_clips`", PAIRS * rates.encode / 3600, 0, f"{PAIRS:,} pairs x {rates.encode}", "computed"),
    ]
    for name, models, step in training:
        pairs = models * ITERATIONS * BATCH
        how = f"{models} x {ITERATIONS:,} steps x {step} s; {pairs:,} pairs / {rates.load} a core-s"
        found.append(
            Stage(
                name, pairs / rates.load / 3600, models * ITERATIONS * step / 3600, how, "cores measured, GPU assumed"
            )
        )
    found.append(
        Stage(
            "test half",
            TEST_VIDEOS * rates.score / 3600,
            TEST_VIDEOS * rates.score_gpu / 3600,
            f"{TEST_VIDEOS:,} videos x {rates.score} core-s and {rates.score_gpu} GPU-s",
            "assumed",
        )
    )
    return found


def table(rates: Rates) -> str:
    """The Markdown table, with detection by YuNet as a last line."""
    lines = [
        "| stage | core-hours | GPU-hours | "
        + " | ".join(f"hours on {cores} cores" for cores in CORES)
        + " | how | basis |",
        "|---|---|---|" + "---|" * len(CORES) + "---|---|",
    ]
    listed = stages(rates)
    for stage in listed:
        walls = " | ".join(f"{stage.wall(cores):.1f}" for cores in CORES)
        lines.append(f"| {stage.name} | {stage.core:.1f} | {stage.gpu:.1f} | {walls} | {stage.how} | {stage.basis} |")
    core, gpu = (sum(getattr(stage, key) for stage in listed) for key in ("core", "gpu"))
    walls = " | ".join(f"{sum(stage.wall(cores) for stage in listed):.1f}" for cores in CORES)
    lines.append(f"| together | {core:.1f} | {gpu:.1f} | {walls} | one after the other | |")
    detection, cutting, *others = listed
    both = Stage("", detection.core + cutting.core, detection.gpu + cutting.gpu, "", "")
    walls = " | ".join(f"**{sum(stage.wall(cores) for stage in (both, *others)):.1f}**" for cores in CORES)
    lines.append(f"| **side by side** | | | {walls} | clips are cut while faces are detected in the next part | |")
    walls = " | ".join(f"{max(core / cores, gpu):.1f}" for cores in CORES)
    lines.append(f"| at best | | | {walls} | if stages overlapped, so that the GPU or all cores were always busy | |")
    yunet = VIDEOS * rates.detect / 3600
    walls = " | ".join(f"{yunet / cores:.1f}" for cores in CORES)
    how = f"{VIDEOS:,} videos x {rates.detect} core-s"
    lines.append(f"| `detect_faces` with YuNet instead | {yunet:.1f} | 0 | {walls} | {how} | measured |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [field.name for field in fields(Rates)]
    parser.add_argument("rates", nargs="*", metavar="rate=value", help=f"of {', '.join(names)}")
    rates = Rates()
    for given in parser.parse_args().rates:
        name, _, value = given.partition("=")
        if name not in names:
            parser.error(f"there is no rate {name!r}; there are {', '.join(names)}")
        try:
            setattr(rates, name, float(value))
        except ValueError:
            parser.error(f"{given!r} has no number")
    print(table(rates))


if __name__ == "__main__":
    main()

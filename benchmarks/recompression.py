"""The quality lost by encoding only a part of each clip, and the equivalence of the two backends.

    python benchmarks/recompression.py [--draws 120] [--backend-draws 24]

Draws from the published ranges are applied to twelve clips of real and fake faces (boxes of 207x251 to 318x401 pixels).

For the first tables, clips of 50 frames are encoded completely, up to the last frame that a model takes, and with a few
frames more. They compare the frames taken by the model with those of the complete clip: the difference in PSNR against
the source (after scaling, so that it is due to the codec alone) in dB, as mean over the draws, standard error, and 5th,
50th and 95th percentile; the bits of these frames; and the encoding time. "Other frame" is the fraction of frames for
which rounding selects a different source frame. PSNR is over all frames of a draw; the last table has it for each
frame.

The second part compares the results of encoding and decoding with PyAV and with the ffmpeg program.
"""

import argparse
import resource
from collections.abc import Sequence

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from faces import FRAMES, Clip, make_pairs
from settings import published

from dfdc.data.seeding import generator
from dfdc.video.recompression import (
    BACKENDS,
    Recompression,
    draw_recompression,
    encode_pyav,
    frame_index,
    kept_frames,
    scaled_size,
)
from dfdc.video.settings import RecompressionSettings

TAKEN = {"frame models": (9, 13, 17, 21, 25, 29, 33, 37), "sequence model": (19, 21, 23, 25, 27, 29, 31)}
MORE = (0, 4, 8)
SETTINGS = published(RecompressionSettings, probability=1.0)


def core_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def scaled(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
    resized = VideoReformatter().reformat(picture, *size, "rgb24", interpolation=Interpolation.BICUBIC, threads=1)
    return resized.to_ndarray()


def psnr(error: np.ndarray) -> np.ndarray:
    """PSNR in dB from mean squared errors."""
    return 10 * np.log10(255**2 / error)


def decoded(stream: bytes) -> list[tuple[np.ndarray, int]]:
    """The RGB frames of a stream, each with the size of its packet in bytes."""
    decoder, converter = av.CodecContext.create("h264", "r"), VideoReformatter()
    decoder.thread_count = 1
    packets = decoder.parse(stream) + decoder.parse(b"")
    for number, packet in enumerate(packets):
        packet.pts = number  # passed on to the decoded frame
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    as_rgb = (converter.reformat(frame, format="rgb24", threads=1).to_ndarray().copy() for frame in frames)
    return [(pixels, packets[frame.pts].size) for pixels, frame in zip(as_rgb, frames, strict=True)]


class Encoded:
    """The first ``length`` frames of a clip, encoded: source frames, errors and bytes of the taken frames."""

    def __init__(self, clip: Clip, draw: Recompression, length: int, taken: Sequence[int]) -> None:
        kept = kept_frames(length, draw.fps)
        start = core_seconds()
        stream = encode_pyav([clip[index] for index in kept], draw, SETTINGS)
        self.seconds = core_seconds() - start
        frames = decoded(stream)
        places = [frame_index(index, length, len(frames)) for index in taken]
        self.moments = np.array([kept[place] for place in places])
        sources = [scaled(clip[moment], scaled_size(clip[0], draw.scale)).astype(float) for moment in self.moments]
        self.errors = np.array(
            [np.mean((source - frames[place][0]) ** 2) for source, place in zip(sources, places, strict=True)]
        )
        self.bytes = sum(frames[place][1] for place in places)


def compare_lengths(clips: Sequence[Clip], draws: Sequence[Recompression], name: str, taken: Sequence[int]) -> None:
    lengths = [FRAMES] + [max(taken) + 1 + more for more in MORE if max(taken) + 1 + more < FRAMES]
    results = [
        [Encoded(clips[number % len(clips)], draw, length, taken) for length in lengths]
        for number, draw in enumerate(draws)
    ]
    of_whole = psnr(np.array([row[0].errors.mean() for row in results]))
    print(f"\n{name}: whole clips have {of_whole.mean():.2f} dB, from {of_whole.min():.2f} to {of_whole.max():.2f}\n")
    print("| frames encoded | mean | std. error | 5 % | 50 % | 95 % | bits | time | other frame |")
    print("|---|---|---|---|---|---|---|---|---|")
    for column, length in enumerate(lengths[1:], 1):
        difference = psnr(np.array([row[column].errors.mean() for row in results])) - of_whole
        percentiles = " | ".join(f"{value:+.3f}" for value in np.percentile(difference, (5, 50, 95)))
        bits = np.mean([row[column].bytes / row[0].bytes for row in results])
        time = sum(row[column].seconds for row in results) / sum(row[0].seconds for row in results)
        moved = np.mean([row[column].moments != row[0].moments for row in results])
        error = difference.std(ddof=1) / len(difference) ** 0.5
        print(
            f"| {length} | {difference.mean():+.3f} | {error:.3f} | {percentiles} | ×{bits:.3f} | ×{time:.2f} | ",
            end="",
        )
        print(f"{moved:.1%} |")
    print("\n| frame | " + " | ".join(map(str, taken)) + " |\n|---" + "|---" * len(taken) + "|")
    for column, length in enumerate(lengths[1:], 1):
        each = np.mean([psnr(row[column].errors) - psnr(row[0].errors) for row in results], axis=0)
        print(f"| {length} encoded, mean dB | " + " | ".join(f"{value:+.2f}" for value in each) + " |")


def compare_backends(clips: Sequence[Clip], draws: Sequence[Recompression]) -> None:
    rows = []
    for number, draw in enumerate(draws):
        clip = clips[number % len(clips)]
        kept = kept_frames(FRAMES, draw.fps)
        size = scaled_size(clip[0], draw.scale)
        source = np.array([scaled(clip[index], size) for index in kept]).astype(float)
        of_backend = {}
        for name, backend in BACKENDS.items():
            start = core_seconds()
            stream = backend.encode([clip[index] for index in kept], draw, SETTINGS)
            frames = backend.decode(stream, size, range(len(kept)))
            spent = core_seconds() - start
            of_backend[name] = (len(decoded(stream)), frames.shape, len(stream), np.mean((source - frames) ** 2), spent)
        rows.append((of_backend["pyav"], of_backend["ffmpeg"]))
    print("\nPyAV against the ffmpeg program, whole clips\n\n| | |\n|---|---|")
    print(f"| same number of frames | {sum(pyav[0] == program[0] for pyav, program in rows)} of {len(rows)} |")
    print(f"| same size | {sum(pyav[1] == program[1] for pyav, program in rows)} of {len(rows)} |")
    ratio = np.array([pyav[2] / program[2] for pyav, program in rows])
    print(f"| bytes of the stream | mean ×{ratio.mean():.4f}, from ×{ratio.min():.4f} to ×{ratio.max():.4f} |")
    difference = np.array([psnr(pyav[3]) - psnr(program[3]) for pyav, program in rows])
    print(f"| PSNR | mean {difference.mean():+.4f} dB, largest difference {np.abs(difference).max():.4f} dB |")
    ratio = sum(program[4] for _, program in rows) / sum(pyav[4] for pyav, _ in rows)
    milliseconds = [1e3 * np.mean([row[column][4] for row in rows]) for column in (0, 1)]
    print(f"| CPU time per clip | {milliseconds[0]:.0f} ms against {milliseconds[1]:.0f} ms, ×{ratio:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=120)
    parser.add_argument("--backend-draws", type=int, default=24)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    clips = [clip for pair in make_pairs(6) for clip in pair]
    count = max(options.draws, options.backend_draws)
    draws = [draw_recompression(generator(0, "benchmark", number), SETTINGS) for number in range(count)]
    print(f"{options.draws} draws")
    for name, taken in TAKEN.items():
        compare_lengths(clips, draws[: options.draws], name, taken)
    compare_backends(clips, draws[: options.backend_draws])


if __name__ == "__main__":
    main()

"""Training pairs per core-second of the data loader, compared with the published implementation's approach.

    python benchmarks/loader.py [--pairs 24] [--rounds 5] [--backend pyav]

Both produce the input of the model `large_crop` at full size: 8 frames from each of two clips of 50 frames; half of the
pairs are recompressed with the published ranges; frames are resized, padded, flipped and cropped, half of them with
AutoAugment. Clips are made from real faces of the demo, with boxes of 207x251 to 318x401 pixels. In a round each pair
is loaded in all ways one after the other, with the same draws, so that drifts of the machine's speed affect all alike.
Core-seconds are the user and system time of the process and its children; all data are in the page cache.

The published approach stores a clip as a folder of PNG files (written by OpenCV's imwrite) and processes Pillow images
one by one: read, resize, pad, flip, crop, AutoAugment, convert to a normalised tensor. If a pair is recompressed, all
50 frames of both clips are encoded by an ffmpeg process with its default number of threads and decoded to raw frames by
a second one. There are two variants: Pillow reads the frames and pipes them to ffmpeg, or ffmpeg reads them from the
folder. If a pair is not recompressed, both read only the frames that the model takes.

Ours is `PairDataset` in one process. Its output is uint8, because normalisation is done on the network's device; a
further row includes normalisation on this CPU. With variants, recompressed clips are decoded from streams that were
encoded before (a pair is not recompressed at the same visits as on the fly, but as often on average). The second table
has the costs of our steps.
"""

import argparse
import platform
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import ffmpeg
import imageio_ffmpeg
import numpy as np
import torch
from clips import PART, Clips, encoded
from faces import FPS, FRAMES, Clip, make_pairs
from PIL import Image, ImageEnhance, ImageOps
from settings import published

from dfdc.data.pictures.store import Store
from dfdc.data.seeding import generator
from dfdc.networks.inputs import IMAGENET, normalise
from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.augment.autoaugment import FILL, Operation
from dfdc.stages.training.augment.pair import transform_pair
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.augment.transform import TransformDraw, draw_transform
from dfdc.stages.training.samples import PairDataset, Place, SampleSettings
from dfdc.video.recompression import BACKENDS, Recompression, draw_recompression, frame_index, kept_frames, scaled_size
from dfdc.video.settings import RecompressionSettings

TAKEN = (9, 13, 17, 21, 25, 29, 33, 37)
POLICY = published(CropPolicy)
AUGMENT = published(AugmentSettings)
SEED = 30
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def core_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Published:
    """The published approach; ``read_by_ffmpeg``: ffmpeg instead of Pillow reads clips that are recompressed."""

    def __init__(self, folders: list[tuple[Path, Path]], settings: RecompressionSettings, read_by_ffmpeg: bool) -> None:
        self.folders, self.settings, self.read_by_ffmpeg = folders, settings, read_by_ffmpeg

    def __call__(self, place: Place) -> torch.Tensor:
        rng = generator(SEED, "recompression", place.iteration, place.slot)
        recompression = draw_recompression(rng, self.settings)
        faces = []
        for folder in self.folders[place.pair]:
            for number, image in enumerate(self._images(folder, recompression)):
                topic = (SEED, "image transform", place.iteration, place.slot, number)
                faces.append(to_tensor(augmented(image, draw_transform(generator(*topic), AUGMENT))))
        return torch.stack(faces)

    def _images(self, folder: Path, recompression: Recompression | None) -> list[Image.Image]:
        paths = sorted(folder.iterdir())
        if recompression is None:
            return [Image.open(paths[index]).convert("RGB") for index in TAKEN]
        decoded = self._recompressed(folder, paths, recompression)
        return [Image.fromarray(decoded[frame_index(index, len(paths), len(decoded))]) for index in TAKEN]

    def _recompressed(self, folder: Path, paths: list[Path], draw: Recompression) -> np.ndarray:
        if self.read_by_ffmpeg:
            size = Image.open(paths[0]).size
            source, raw = ffmpeg.input(str(folder / "%04d.png"), framerate=FPS, start_number=0), None
        else:
            frames = [Image.open(path).convert("RGB") for path in paths]
            size, raw = frames[0].size, b"".join(frame.tobytes() for frame in frames)
            layout = {"format": "rawvideo", "pix_fmt": "rgb24", "s": f"{size[0]}x{size[1]}"}
            source = ffmpeg.input("pipe:", framerate=FPS, **layout)
        width, height = (max(2, round(side * draw.scale) // 2 * 2) for side in size)
        options = {"vcodec": "libx264", "preset": self.settings.preset, "crf": draw.crf, "tune": draw.tune}
        scaled = source.filter("fps", draw.fps).filter("scale", width, height, flags="bicubic")
        encoder = scaled.output("pipe:", format="h264", pix_fmt=self.settings.pixel_format, **options)
        decoder = ffmpeg.input("pipe:", format="h264").output("pipe:", format="rawvideo", pix_fmt="rgb24")
        pixels = run_ffmpeg(decoder.global_args("-fps_mode", "passthrough"), run_ffmpeg(encoder, raw))
        return np.frombuffer(pixels, np.uint8).reshape(-1, height, width, 3)


def run_ffmpeg(stream: ffmpeg.nodes.OutputStream, data: bytes | None) -> bytes:
    quiet = stream.global_args("-v", "error")
    return ffmpeg.run(quiet, cmd=FFMPEG, input=data, capture_stdout=True, capture_stderr=True)[0]


def augmented(image: Image.Image, draw: TransformDraw) -> Image.Image:
    factor = POLICY.smaller_side / min(image.size)
    image = image.resize([round(side * factor) for side in image.size], Image.Resampling.BILINEAR)
    rows, columns = max(POLICY.height - image.height, 0), max(POLICY.width - image.width, 0)
    if rows or columns:
        borders = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
        image = Image.fromarray(np.pad(np.asarray(image), borders, mode="reflect"))
    if draw.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left = int(draw.left * (image.width - POLICY.width + 1))
    top = int(draw.top * (image.height - POLICY.height + 1))
    image = image.crop((left, top, left + POLICY.width, top + POLICY.height))
    for operation in draw.operations:
        image = operated(image, operation)
    return image


def operated(image: Image.Image, operation: Operation) -> Image.Image:
    share, factor, resampling = operation.share, operation.factor, operation.resampling
    match operation.name:
        case "posterize":
            return ImageOps.posterize(image, 4 + int(share * 4))
        case "solarize":
            return ImageOps.solarize(image, int(share * 256))
        case "autocontrast" | "equalize" | "invert":
            return getattr(ImageOps, operation.name)(image)
        case "rotate":
            return image.rotate(operation.sign * share * 30, resampling, fillcolor=FILL)
        case "shear_x":
            matrix = (1, operation.sign * share * 0.3, 0, 0, 1, 0)
            return image.transform(image.size, Image.Transform.AFFINE, matrix, resampling, fillcolor=FILL)
    return getattr(ImageEnhance, operation.name.capitalize())(image).enhance(factor)


def to_tensor(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    return pixels.float().div_(255).sub_(mean).div_(std)


def write_folders(root: Path, pairs: list[tuple[Clip, Clip]]) -> list[tuple[Path, Path]]:
    folders = []
    for number, clips in enumerate(pairs):
        of_pair = tuple(root / f"{number:04d}_{label}" for label in ("real", "fake"))
        for folder, frames in zip(of_pair, clips, strict=True):
            folder.mkdir()
            for index, frame in enumerate(frames):
                cv2.imwrite(str(folder / f"{index:04d}.png"), frame[..., ::-1])
        folders.append(of_pair)
    return folders


def our_loader(clips: Clips, recompression: RecompressionSettings, whole_clip: bool) -> PairDataset:
    settings = SampleSettings("frame", TAKEN, whole_clip, POLICY, AUGMENT, recompression, mixup_alpha=0.5, seed=SEED)
    return PairDataset(clips.rows, clips.stores, settings)


def with_normalising(dataset: PairDataset) -> Callable[[Place], list[torch.Tensor]]:
    def load(place: Place) -> list[torch.Tensor]:
        sample = dataset[place]
        return [normalise(torch.from_numpy(faces)) for faces in (sample.real, sample.fake)]

    return load


def stages(
    store: Store, settings: RecompressionSettings, places: Iterable[Place], whole_clip: bool
) -> dict[str, float]:
    """Core-seconds of each step of our loader, summed over all places."""
    spent: dict[str, float] = defaultdict(float)

    def step(name: str, work: Callable):
        start = core_seconds()
        result = work()
        spent[name] += core_seconds() - start
        return result

    backend = BACKENDS[settings.backend]
    length = FRAMES if whole_clip else max(TAKEN) + 1
    for place in places:
        draw = draw_recompression(generator(SEED, "recompression", place.iteration, place.slot), settings)
        wanted = TAKEN if draw is None else kept_frames(length, draw.fps)
        faces = []
        for clip in (2 * place.pair, 2 * place.pair + 1):
            frames = step("read and decode PNG", lambda clip=clip, wanted=wanted: store.read(clip, wanted))
            if draw is not None:
                stream = step("scale, encode", lambda frames=frames, draw=draw: backend.encode(frames, draw, settings))
                moments = [frame_index(index, length, len(frames)) for index in TAKEN]
                size = scaled_size(frames[0], draw.scale)
                frames = step(
                    "decode", lambda stream=stream, size=size, moments=moments: backend.decode(stream, size, moments)
                )
            faces.append(frames)
        where = (SEED, place.iteration, place.slot)
        step("transform", lambda faces=faces, where=where: transform_pair(*faces, "frame", POLICY, AUGMENT, *where))
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=24, help="pairs of clips per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="pyav", help="of our recompression")
    options = parser.parse_args()
    cv2.setNumThreads(1)  # as in a loader process
    torch.set_num_threads(1)
    recompression = published(RecompressionSettings, backend=options.backend)

    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        pairs = list(make_pairs(options.pairs))
        folders, clips = write_folders(root, pairs), Clips(root, options.pairs)
        clips.write(map(encoded, pairs))
        del pairs
        clips.recompress(recompression, 4, SEED, workers=2)
        whole, cut = (our_loader(clips, recompression, whole) for whole in (True, False))
        prepared = PairDataset(clips.rows, clips.stores, whole.settings, clips.reader(), options.pairs)
        ways: dict[str, Callable[[Place], object]] = {
            "published: Pillow reads, raw frames through pipes": Published(folders, recompression, False),
            "published: ffmpeg reads the folder": Published(folders, recompression, True),
            "ours": whole.__getitem__,
            "ours, 4 variants": prepared.__getitem__,
            "ours, normalised on the CPU": with_normalising(whole),
            "ours, whole_clip: false": cut.__getitem__,
            "ours, whole_clip: false, normalised on the CPU": with_normalising(cut),
        }
        rounds = []
        begin = time.perf_counter()
        for number in range(options.rounds + 1):
            spent = dict.fromkeys(ways, 0.0)
            # The first round warms up, on a few pairs.
            for slot in range(options.pairs if number else min(options.pairs, 4)):
                for name, load in ways.items():
                    start = core_seconds()
                    load(Place(number, slot, slot))
                    spent[name] += core_seconds() - start
            if number:
                rounds.append(spent)
        wall = time.perf_counter() - begin
        places = [Place(1, slot, slot) for slot in range(options.pairs)]
        store = Store(clips.stores[PART])
        parts = [stages(store, recompression, places, whole) for whole in (True, False)]

    first, second = list(ways)[:2]
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    print(f"medians of {options.rounds} rounds of {options.pairs} pairs, backend {options.backend}, {wall:.0f} s\n")
    print("| way | pairs per core-second | ratio to the first | ratio to the second |\n|---|---|---|---|")
    for name in ways:
        rate = statistics.median(options.pairs / spent[name] for spent in rounds)
        ratios = [statistics.median(spent[base] / spent[name] for spent in rounds) for base in (first, second)]
        print(f"| {name} | {rate:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    print("\n| step of ours | ms per pair | with whole_clip: false |\n|---|---|---|")
    for name in parts[0]:
        print(f"| {name} | " + " | ".join(f"{1e3 * each[name] / options.pairs:.1f}" for each in parts) + " |")


if __name__ == "__main__":
    main()

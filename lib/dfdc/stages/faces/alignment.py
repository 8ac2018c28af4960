"""Alignment: matching the tracks of a real video with the tracks of its fakes that show the same face."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dfdc.data.schemas.alignment import AlignedTrack
from dfdc.data.schemas.tracks import Track
from dfdc.data.schemas.videos import TrainingVideo
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.video.boxes import iou

# The relative difference of frame rates up to which frames of the same number are taken for the same moment.
RATE_TOLERANCE = 0.01
# The relative difference of the ratios of width to height up to which a fake shows the same picture in another size.
SHAPE_TOLERANCE = 0.01


def align_tracks(
    tracks: Mapping[str, Sequence[Track]], videos: Sequence[TrainingVideo], settings: AlignmentSettings
) -> list[AlignedTrack]:
    """The aligned tracks of a part, from the tracks of each of its videos.

    Each real track of at least ``min_boxes`` boxes is matched, for each fake of its video, with the first fake track of
    at least ``min_boxes`` boxes that has common frames and an IoU above ``min_iou`` in all of them. Real tracks and
    fakes without a match have a row with the reason. With ``scale_fakes`` the boxes of a fake of another size are those
    of the fake scaled to the size of the real video, which its rows say.
    """
    by_name = {video.video: video for video in videos}
    long_tracks = {
        name: [_Boxes.of(track) for track in tracks.get(name, ()) if len(track.frames) >= settings.min_boxes]
        for name in by_name
    }
    rows = []
    for fake in sorted(by_name.values(), key=lambda video: (video.original, video.video)):
        if fake.label != "FAKE":
            continue
        real = by_name.get(fake.original)
        if reason := _obstacle(real, fake, long_tracks, settings.scale_fakes):
            rows.append(AlignedTrack(fake.original, fake.video, "unaligned", reason))
            continue
        of_fake, note = long_tracks[fake.video], ""
        if (real.width, real.height) != (fake.width, fake.height):
            of_fake = [track.scaled(real.width / fake.width, real.height / fake.height) for track in of_fake]
            note = f"the fake is scaled from {fake.width}x{fake.height} to {real.width}x{real.height}"
        rows += _align(real.video, fake.video, long_tracks[real.video], of_fake, settings.min_iou, note)
    return rows


@dataclass(frozen=True, slots=True)
class _Boxes:
    """A track's number and its box at each frame, as plain numbers because these are faster one by one."""

    number: int
    at: dict[int, list[float]]

    @classmethod
    def of(cls, track: Track) -> "_Boxes":
        return cls(track.number, dict(zip(track.frames, track.boxes.tolist(), strict=True)))

    def scaled(self, x: float, y: float) -> "_Boxes":
        """The boxes in a frame that is scaled by two factors."""
        return _Boxes(self.number, {frame: [a * x, b * y, c * x, d * y] for frame, (a, b, c, d) in self.at.items()})


def _obstacle(
    real: TrainingVideo | None, fake: TrainingVideo, tracks: Mapping[str, Sequence[_Boxes]], scale_fakes: bool
) -> str:
    """The reason why two videos cannot be aligned, or "" if they can."""
    if real is None:
        return "the real video is not in this part"
    for which, video in (("real video", real), ("fake", fake)):
        if video.status == "unreadable":
            return f"the {which} is unreadable: {video.reason}"
    if (real.width, real.height) != (fake.width, fake.height) and not (scale_fakes and _same_shape(real, fake)):
        return f"other size: real {real.width}x{real.height}, fake {fake.width}x{fake.height}"
    if abs(real.fps - fake.fps) > RATE_TOLERANCE * max(real.fps, fake.fps):
        return f"other frame rate: real {real.fps:.6g}, fake {fake.fps:.6g}; equal frame numbers are other moments"
    for which, video in (("real video", real), ("fake", fake)):
        if not tracks[video.video]:
            return f"the {which} has no track that is long enough"
    return ""


def _same_shape(real: TrainingVideo, fake: TrainingVideo) -> bool:
    """Whether two videos have the same ratio of width to height, up to the rounding of sides to even numbers."""
    ratio = real.width * fake.height / (real.height * fake.width)
    return abs(ratio - 1) <= SHAPE_TOLERANCE


def _align(
    real: str,
    fake: str,
    of_real: Sequence[_Boxes],
    of_fake: Sequence[_Boxes],
    min_iou: float,
    note: str,
) -> Iterator[AlignedTrack]:
    for real_track in of_real:
        for fake_track in of_fake:
            shared = [frame for frame in real_track.at if frame in fake_track.at]
            if shared and min(iou(real_track.at[frame], fake_track.at[frame]) for frame in shared) > min_iou:
                yield AlignedTrack(
                    real,
                    fake,
                    "aligned",
                    note,
                    real_track=real_track.number,
                    fake_track=fake_track.number,
                    frames=shared,
                    real_boxes=[real_track.at[frame] for frame in shared],
                    fake_boxes=[fake_track.at[frame] for frame in shared],
                )
                break
        else:
            reason = "no track of the fake covers this face"
            yield AlignedTrack(real, fake, "unaligned", reason, real_track=real_track.number)

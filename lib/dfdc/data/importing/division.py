"""Which videos can be used, and in which part each is."""

import stat
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from dfdc.data.importing.found import Collection, Found
from dfdc.data.parts import LONGEST_NAME, is_text


def usable(found: Collection, need_originals: bool) -> Collection:
    """The videos that can be used, sorted by name; others are left out with the reason.

    They are files with content whose names are different, text and not too long. With ``need_originals`` the original
    of a fake must be one of them.
    """
    kept = Collection(left_out=dict(found.left_out))
    names: dict[str, Found] = {}
    for video in found.videos:
        if fault := _fault(video) or (f"its name is that of {names[video.name].path}" if video.name in names else ""):
            kept.left_out[video.path] = fault
        else:
            names[video.name] = video
    real = {name for name, video in names.items() if not video.fake}
    for name in sorted(names):
        video = names[name]
        if need_originals and video.fake and video.original not in real:
            kept.left_out[video.path] = f"its original {video.original} is not among the videos"
        else:
            kept.videos.append(video)
    return kept


def _fault(video: Found) -> str:
    """Why a video cannot be used, or ""."""
    if not is_text(video.name):
        return "its name is not UTF-8"
    if "/" in video.name or "\0" in video.name:  # from the name of a method in the user's table
        return f"its name would be {video.name!r}, which no file can have"
    if len(video.name.encode()) > LONGEST_NAME:
        return f"its name would have more than {LONGEST_NAME} bytes"
    try:
        about = video.path.stat()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not stat.S_ISREG(about.st_mode):
        return "it is not a file"
    return "" if about.st_size else "it is empty"


def groups_of(videos: Iterable[Found], people: bool) -> list[list[Found]]:
    """The smallest groups in which an original is with its fakes and, with ``people``, a video with all others in which
    one of its persons appears; the largest first."""
    roots: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while (above := roots.setdefault(node, node)) != node:
            roots[node] = roots[above]
            node = roots[node]
        return node

    videos = sorted(videos, key=lambda video: video.name)
    for video in videos:
        linked = [("video", video.original or video.name)]
        linked += [("person", person) for person in video.people] if people else []
        for other in linked:
            roots[root(other)] = root(("video", video.name))
    groups: dict[Hashable, list[Found]] = defaultdict(list)
    for video in videos:
        groups[root(("video", video.name))].append(video)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0].name))


def into_parts(groups: Sequence[Sequence[Found]], count: int) -> list[list[Found]]:
    """At most ``count`` parts of about the same size, none of them empty: each group, from the largest to the smallest,
    goes to the part with the fewest videos."""
    parts: list[list[Found]] = [[] for _ in range(min(count, len(groups)))]
    for group in groups:
        min(parts, key=len).extend(group)
    return [sorted(part, key=lambda video: video.name) for part in parts]

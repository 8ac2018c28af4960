"""The error if too many videos cannot be read."""

from collections.abc import Mapping
from pathlib import Path

from dfdc.system.errors import UserError
from dfdc.system.workers.pool import LACK_OF_MEMORY


def check_readable(unreadable: Mapping[str, str], total: int, folder: Path, max_unreadable: float) -> None:
    """Raise UserError if more than the share ``max_unreadable`` of the ``total`` videos in a folder is unreadable.

    ``unreadable`` maps the unreadable videos to the reasons.
    """
    if len(unreadable) > max_unreadable * total:
        examples = "".join(f"\n  {video}: {reason}" for video, reason in list(unreadable.items())[:5])
        remedy = "Restore the files"
        if any(LACK_OF_MEMORY in reason for reason in unreadable.values()):
            remedy = "Run again with fewer workers (speed.workers in the config, or fewer cores), restore the files"
        raise UserError(
            f"{len(unreadable)} of {total} videos in {folder} cannot be read, more than data.max_unreadable "
            f"({max_unreadable:.0%}) allows. The cause is probably a broken disk or an incomplete download:{examples}\n"
            f"{remedy}, or raise data.max_unreadable in the config to continue without them."
        )

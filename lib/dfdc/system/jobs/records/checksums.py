"""Which inputs Snakemake records checksums of."""

from functools import cache, wraps
from typing import Any

from snakemake.io import IOFile


@cache
def spare_ancient_inputs() -> None:
    """From now on, in this process, Snakemake reads no input that is ``ancient`` for its checksum.

    When a job has finished, the run, on a login node perhaps, reads each of its inputs up to --max-checksum-file-size
    once per output, for checksums to compare an input with that is newer than an output. An input that is ``ancient``
    never counts as newer, so for stores of pictures, which are, that is work for nothing.
    """
    file = type(IOFile("any"))
    eligible = getattr(file, "is_checksum_eligible", None)
    if eligible is None:  # in another version of Snakemake
        return

    @wraps(eligible)
    async def unless_ancient(self: Any, *arguments: Any, **options: Any) -> bool:
        return not self.is_ancient and await eligible(self, *arguments, **options)

    file.is_checksum_eligible = unless_ancient

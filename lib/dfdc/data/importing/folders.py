"""A folder of real videos and one of fakes, whose originals follow from their names or from a table."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dfdc.data.importing.found import Collection, Found, check_root, videos_in
from dfdc.data.parts import is_video
from dfdc.system.errors import UserError


@dataclass(frozen=True)
class Folders:
    """Options: the two folders, and how the original of a fake is found: by ``rule``, a regular expression for the
    whole name of the fake without its extension, and the name of the original, in which \\1 stands for the first group;
    or by ``pairs``, a CSV with the columns fake and original, and method if there are several."""

    real: str = "real"
    fake: str = "fake"
    rule: tuple[str, str] | None = None
    pairs: str | None = None

    title: ClassVar[str] = "two folders of videos"
    only_test: ClassVar[bool] = False

    def find(self, source: Path) -> Collection:
        """The real videos, and the fakes with their method, or "fake", added to their names.

        The fakes may be in folders within their folder, one for each method.
        """
        check_root(self.title, source, (self.real, self.fake))
        rows = read_pairs(Path(self.pairs)) if self.pairs else None
        rule = compiled(*self.rule) if self.rule else None
        if (rows is None) == (rule is None):
            raise UserError("How are fakes and originals paired? Give one of --rule and --pairs.")
        found = Collection()
        reals = videos_in(self.title, source / self.real, "Name another folder with --real.")
        by_stem = {path.stem: path.name for path in reals}
        found.videos += [Found(path, path.name, False) for path in reals]
        for path in self._fakes(source / self.fake):
            where = path.relative_to(source / self.fake)
            method = where.parts[0] if len(where.parts) > 1 else ""
            if rows is not None:
                original, named = rows.get(str(where)) or rows.get(path.name) or ("", "")
                method = named or method
            else:
                match = rule.fullmatch(path.stem)
                stem = match.expand(self.rule[1]) if match else ""
                original = by_stem.get(stem, f"{stem}{path.suffix}" if stem else "")
            if not original:
                found.left_out[path] = (
                    "it is not in the table of pairs" if rows is not None else "the rule does not fit"
                )
                continue
            name = f"{path.stem}_{method or 'fake'}{path.suffix}"
            found.videos.append(Found(path, name, True, original, method))
        return found

    def _fakes(self, folder: Path) -> list[Path]:
        inner = [path for path in sorted(folder.rglob("*")) if is_video(path.name)]
        return inner or videos_in(self.title, folder, "Name another folder with --fake.")


def compiled(pattern: str, replacement: str) -> re.Pattern[str]:
    """The regular expression of a rule. Raises UserError if it or the replacement is not valid."""
    try:
        rule = re.compile(pattern)
        re.compile(f"{pattern}|").fullmatch("").expand(replacement)  # as if it fitted: unknown groups are found
    except (re.error, IndexError) as error:
        raise UserError(
            f"--rule {pattern!r} {replacement!r}: is not a regular expression and the name of the original ({error}). "
            r"For example, --rule '(.+)_swapped_\d+' '\1' pairs a_swapped_2.mp4 with a.mp4."
        ) from error
    return rule


def read_pairs(path: Path) -> Mapping[str, tuple[str, str]]:
    """{fake: (original, method)} of a CSV. Raises UserError if it cannot be read or has not the columns."""
    try:
        if path.exists() and not path.is_file():  # to read a pipe would be to wait for somebody who writes into it
            raise OSError("it is not a file")
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
        pairs: dict[str, tuple[str, str]] = {}
        for row in rows:
            pair = (row["original"], row.get("method") or "")
            if not row["fake"] or not pair[0] or pairs.setdefault(row["fake"], pair) != pair:
                raise ValueError(f"{row['fake']!r} has no original, or several")
        if not pairs:
            raise ValueError("it has no rows")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"--pairs {path}: must be a CSV with the columns fake and original ({error!r}). Correct it."
        ) from error
    return pairs

"""The first ten minutes of three new users, in a fresh clone and fresh environments, as the pages beside this file say.

They come one after the other: the researcher has the engineer's clone, the fact-checker the engineer's weights.
"""

from pathlib import Path

import pytest
from transcript import play

HERE = Path(__file__).parent


@pytest.mark.parametrize("user", ["engineer", "researcher", "fact-checker"])
def test_first_ten_minutes(user, shell):
    play(HERE / f"{user}.md", HERE.parents[1], shell)

# What type checkers see of this package, whose names are imported late.
from dfdc.cli.api import Scores as Scores
from dfdc.cli.api import score as score

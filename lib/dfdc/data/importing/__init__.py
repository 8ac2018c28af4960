"""Other data sets as parts or test videos of this project: a module for each kind, and what they share."""

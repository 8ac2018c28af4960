"""The settings of tracking and of alignment, each by itself: what one stage is told concerns no other."""

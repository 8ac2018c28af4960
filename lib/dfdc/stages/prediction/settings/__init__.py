"""The settings of prediction, each stage's by itself: what one stage is told concerns no other."""

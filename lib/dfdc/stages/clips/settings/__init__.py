"""The settings of cutting and of pairing clips, each by itself: what one stage is told concerns no other."""

"""DSFD, the detector of the published system (Li et al., "DSFD: Dual Shot Face Detector", CVPR 2019)."""

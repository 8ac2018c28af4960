"""Test videos to a submission: crops of faces, their scores, and the score of a video."""

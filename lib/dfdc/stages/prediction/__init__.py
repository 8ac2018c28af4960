"""From test videos to a submission: face crops, face scores, video scores."""

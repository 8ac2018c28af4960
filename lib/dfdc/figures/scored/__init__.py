"""Pictures of scored videos: timelines, annotated videos, heat maps."""

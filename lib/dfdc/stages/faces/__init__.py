"""From videos to faces: detection, tracking, alignment of fakes with their originals."""

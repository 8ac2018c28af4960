"""From aligned tracks to pairs of clips: cutting, comparing, pairing and reading."""

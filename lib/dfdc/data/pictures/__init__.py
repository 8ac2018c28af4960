"""PNG images and stores of them. Reading and writing are separate, so that a new reader reruns no extraction."""

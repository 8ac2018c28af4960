"""What `dfdc score` writes: rows, pages, and the record from which an interrupted run continues."""

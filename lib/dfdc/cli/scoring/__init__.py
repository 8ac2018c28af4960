"""What `dfdc score` writes: rows, pages, and the record with which a stopped run goes on."""

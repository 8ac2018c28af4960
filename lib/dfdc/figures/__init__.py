"""The figures of the report. They are drawn from tables and stores; no network is run for them."""

"""Reading the settings, checking them, and comparing them."""

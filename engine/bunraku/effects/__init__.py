"""What a live chain is made of, one effect per file."""

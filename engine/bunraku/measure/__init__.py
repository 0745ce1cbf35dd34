"""What users run to learn what their machine can do."""

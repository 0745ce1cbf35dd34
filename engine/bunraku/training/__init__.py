"""Data, losses and recipes. What runs live never imports this package."""

"""The plain PyTorch reference of each architecture: what the native core must match."""

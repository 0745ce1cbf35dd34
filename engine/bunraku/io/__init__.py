"""Where audio enters and leaves: devices, files."""

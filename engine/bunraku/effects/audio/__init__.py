"""Audio effects: native models that run inside the callback, and effects written in Python."""

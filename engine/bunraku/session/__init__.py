"""One performance: the live session, and the same chain offline."""

"""Video effects, one a file: each changes the picture of one camera frame after the other."""

"""`bunraku serve`: a page that makes a browser camera, microphone, screen and control desk."""

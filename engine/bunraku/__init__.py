"""bunraku: a real-time neural-effects engine. Voice, face and time on one clock."""

__version__ = "0.1.0"

"""A running performance under the hands of a performer: presets, settings, mute, recording, from
the page, keys, OSC and MIDI alike."""

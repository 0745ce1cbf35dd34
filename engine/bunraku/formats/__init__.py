"""Files to checked data and back: `.nam`, the flat model file, chain presets. numpy alone."""

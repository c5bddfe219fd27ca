"""Sound, video and MIDI: files in and out."""

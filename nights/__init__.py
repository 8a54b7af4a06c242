"""What a night is, kept once: stages, hypnogram, the store on disk, windows and splits.

This room knows no model and no file format of a recording.
"""

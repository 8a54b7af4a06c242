"""A raw file becomes signals and a scoring. This room knows files and knows no model."""

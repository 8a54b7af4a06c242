"""How each kind of fixture is run; a file here serves the fixtures its `matches` recognises.

A runner module defines `matches(meta: dict) -> bool`, which looks at the content of the fixture's
JSON (never at the file name), and `run(meta: dict, arrays: dict[str, np.ndarray]) -> dict[str,
np.ndarray]`, which returns our outputs under the names they have in the NPZ file.
"""

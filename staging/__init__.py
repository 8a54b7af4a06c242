"""From a recording to a corrected hypnogram that says how sure it is."""

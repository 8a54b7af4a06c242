"""A local page over `staging/`: drop a recording, look at it, correct the result, take it away."""

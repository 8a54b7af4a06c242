"""Training and weights: the one loop, the tasks it runs, checkpoints and published weights."""

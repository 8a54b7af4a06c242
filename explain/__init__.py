"""Maps on signals: what in a night made a network give a stage."""

"""Raw data sets become nights: the facts of each, and what is the same for all."""

"""Where the cohorts of sleepdata.org keep recordings, stages and events."""

EDF, PROFUSION, NSRR = (
    "polysomnography/edfs",
    "polysomnography/annotations-events-profusion",
    "polysomnography/annotations-events-nsrr",
)

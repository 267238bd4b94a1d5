"""Tables and figures of a data set and its model; every number is computed from the user's data."""

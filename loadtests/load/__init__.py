"""The load of the merger as a suite: personas, shapes, a data set, a verdict, and a check of every signature made."""

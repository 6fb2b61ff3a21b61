"""The edge: who calls, what is let in, how an error is said."""

"""Models of a click: Wide & Deep, and others on the same rows."""

"""The pipelines: wiring, and nodes that adapt the library to the catalog."""

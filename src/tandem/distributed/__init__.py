"""Topology, binding plan, ranks and launcher: the only importer of Horovod."""

"""Topology, binding plan, launcher and collectives: the only importer of Horovod."""

"""Which rank runs on which cores, and how each MPI is told so."""

"""What starts ranks and follows them: hosts and their preflight, mpirun's command, the ranks' events, their end."""

#!/bin/bash
# Launch agent for Slurm: runs a command on a node of an allocation by srun, so that no node needs ssh.
# Called as: slurm_agent.sh --jobid=NUMBER [other options of srun, each starting with -] NODE COMMAND
set -euo pipefail
options=()
while [[ ${1-} == -* ]]; do
    options+=("$1")
    shift
done
node=$1
shift
# Open MPI's daemon would leave its session and end the step, with which Slurm kills it: it stays, and srun with it.
command=$*
command=${command/ --daemonize/}
# --overlap: beside other steps of the job. --cpu-bind=none: the ranks' plan binds. --input=none: the script's own input.
exec srun "${options[@]}" --nodelist="$node" --nodes=1 --ntasks=1 --overlap --mem=0 --cpu-bind=none --mpi=none \
    --input=none bash -c "$command"

#!/bin/sh
# Sets the project up in .venv: finds a Python 3.11 and hands over to install.py.
# PYTHON names another interpreter; MPI=intelmpi adds Intel MPI, with a Horovod of its own.
here=$(dirname "$0")
for candidate in "${PYTHON:-python3.11}" python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
        exec "$candidate" "$here/install.py"
    fi
done
sudo=$([ "$(id -u)" = 0 ] || echo "sudo ")
echo "setup: missing Python 3.11 (or name one: make setup PYTHON=/path/to/python3.11)." \
    "Run: ${sudo}apt-get update && ${sudo}apt-get install -y python3.11 python3.11-venv python3.11-dev" >&2
exit 1

"""The program that links packages: `python -m modelyard.environments.conda <job> <pid of who asks>`."""

import os
import sys

from modelyard.environments.conda.linking import main

if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    # rattler's threads may still run: an interpreter that is taken down under them crashes now and then.
    os._exit(status)

"""`python -m modelyard_runtime.replica <run_dir>/start.json`."""

import sys

from modelyard_runtime.replica import main

sys.exit(main())

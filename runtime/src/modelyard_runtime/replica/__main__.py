"""`python -m modelyard_runtime.replica`, which is `modelyard-replica`."""

import sys

from modelyard_runtime.replica import main

sys.exit(main())

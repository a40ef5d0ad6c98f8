"""``python -m trainer``."""

import sys

try:
    from .cli import main
except KeyboardInterrupt:  # while it is imported
    sys.exit(130)

sys.exit(main())

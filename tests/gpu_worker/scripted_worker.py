"""A worker whose engine is scripted, as a process of its own: `python -m tests.gpu_worker.scripted_worker ENV_FILE`."""

import sys
from pathlib import Path

from gpu_worker.__main__ import main
from tests.gpu_worker.house import SCRIPTED_ENGINE

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), SCRIPTED_ENGINE))

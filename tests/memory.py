"""How much memory a process has taken at most."""

import sys
from pathlib import Path


def peak_bytes() -> int:
    """The peak of this process, bytes. Where there is no /proc, that of the process that started it counts too.

    `ru_maxrss` begins with the peak of the starting process, which after two thousand tests is large.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

"""What nlbgen.pyz runs first: it compares this Python with the one for which its compiled libraries are.

`pyz.py` writes the values of BUILT_FOR. The code runs in every Python 3 that can read the file.
"""

import platform
import sys
import sysconfig


def here() -> tuple[str, str, str]:
    """Return the version of Python, the platform, and the C library, on which compiled libraries depend."""
    python = f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"
    return python, sysconfig.get_platform(), platform.libc_ver()[0] if sys.platform == "linux" else ""


BUILT_FOR = here()

if here() != BUILT_FOR:
    wanted, found = (
        " on ".join(filter(None, (python, " ".join(filter(None, at))))) for python, *at in (BUILT_FOR, here())
    )
    sys.exit(
        f"nlbgen: this nlbgen.pyz is for {wanted}, and this is {found}\n"
        "    run it with that Python, make one for this Python (`make dist`), or install the wheel with pip: "
        "it is for every platform"
    )

"""The hook that puts a renewed certificate in place, for the vendors that read it from files of the balancer.

certbot runs the programs in `renewal-hooks/deploy` after a renewal, with RENEWED_LINEAGE (the folder of the new files)
and RENEWED_DOMAINS in the environment (certbot's manual, "Renewing certificates").
"""

import shlex
from pathlib import PurePosixPath

from .base import Draft, Job


def files(job: Job, load: str) -> list[Draft]:
    """Return the hook, which ends with the shell command `load`; none where the balancer has no certificate."""
    if not job.farm.balancer_tls:
        return []
    tls = job.design.frontend.tls
    view = {
        "host": job.design.frontend.host,
        "certificate": shlex.quote(tls.certificate),
        "key": shlex.quote(tls.key),
        "one_file": tls.key == tls.certificate,
        "load": load,
    }
    return [Draft(PurePosixPath("certificate-hook"), "certificate/certificate-hook.j2", view)]

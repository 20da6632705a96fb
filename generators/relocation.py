"""The farm on this machine: what differs from the live farm where its configuration is checked or runs in the lab."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ..spec.model import Farm, Node, RedisHost

LOOPBACK: Final = "127.0.0.1"


class Ports(NamedTuple):
    """The ports of a balancer on the loopback address."""

    frontend: int
    metrics: int
    http: int
    """The port of the redirect to https."""
    redis: int
    """The port of the front of Redis."""


class CertificateFiles(NamedTuple):
    """Paths of PEM files; the key is beside the certificate under the name that HAProxy before 3.0 looks for."""

    certificate: str
    ca: str
    """The CA of the nodes."""

    @property
    def key(self) -> str:
        """The private key of the certificate."""
        return f"{self.certificate}.key"


def relocated(
    farm: Farm, ports: Ports, files: CertificateFiles, nodes: Sequence[Node], redis_hosts: Sequence[RedisHost] = ()
) -> Farm:
    """The farm with its listeners on the loopback address, and with these certificates, nodes and hosts of Redis."""
    farm = _with_redis(farm, ports, files, redis_hosts)
    tls = farm.frontend.tls
    tls = tls.replace(
        certificate=files.certificate,
        key=files.key,
        verify_nodes=tls.verify_nodes if tls.verify_nodes is False else files.ca,
    )
    frontend = farm.frontend.replace(address=LOOPBACK, listen_port=ports.frontend, tls=tls)
    balancer = farm.balancer.replace(metrics_port=ports.metrics)
    return farm.replace(frontend=frontend, nodes=tuple(nodes), balancer=balancer)


def _with_redis(farm: Farm, ports: Ports, files: CertificateFiles, hosts: Sequence[RedisHost]) -> Farm:
    """The farm with the front of Redis on the loopback address, and with the hosts, if it has Sentinel."""
    redis = farm.stores.redis
    if redis is None or redis.sentinel is None:
        return farm
    sentinel = redis.sentinel.replace(
        nodes=tuple(hosts) or redis.sentinel.nodes, certificate=files.certificate, key=files.key, ca=files.ca
    )
    return farm.replace(stores=farm.stores.replace(redis=redis.replace(front_port=ports.redis, sentinel=sentinel)))

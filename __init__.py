"""nlbgen: one farm.yaml makes a highly available UiPath Orchestrator farm.

It renders load balancer configurations (HAProxy, NGINX, Zen, F5) and prepares the Orchestrator nodes.
"""

__version__ = "0.1.0"

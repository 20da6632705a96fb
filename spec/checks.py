"""The rules that a spec is held to beyond the types of its values.

Each rule has an id that users, `accept` and the documentation know it by. Errors stop; warnings can be accepted.
Sources: the guide of the nine steps for scaling an Orchestrator out, and the notes at the rules.
"""

from typing import Final

from .rules import balancer, capacity, frontend, nodes, redis, stores

RULES: Final = (
    *stores.RULES,
    *redis.RULES,
    *nodes.RULES,
    *frontend.RULES,
    *balancer.RULES,
    *capacity.RULES,
)
"""All rules, in the order of the documentation."""

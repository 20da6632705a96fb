"""The rules that a spec is held to beyond the types of its values.

Each rule has an id that users, `accept` and the documentation know it by. Errors stop; warnings can be accepted.
Sources: the guide of the nine steps for scaling an Orchestrator out, and the notes at the rules.
"""

from typing import Final

from .rules import balancer, capacity, connections, frontend, nodes, redis, stores
from .rules.files import FILE_RULES

RULES: Final = (
    *stores.RULES,
    *redis.RULES,
    *connections.RULES,
    *nodes.RULES,
    *frontend.RULES,
    *balancer.RULES,
    *capacity.RULES,
)
"""All rules, in the order of the documentation."""

ACCEPTABLE: Final = frozenset(
    {rule.id for rule in RULES if rule.can_be_accepted}
    | ({rule.id for rule in FILE_RULES if rule.severity == "warning"} - {rule.id for rule in RULES})
)
"""The ids of the rules and of the findings about the nodes' files that `accept` can name."""

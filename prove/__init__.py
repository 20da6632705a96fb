"""The real balancer against stand-in nodes: nodes, load, scenarios, scorecard."""

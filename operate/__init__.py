"""Operating the running farm: the states of its nodes at the balancers, changes of them, and rolling changes.

`contract` has the one vocabulary: the states up, drain and down, sessions, checks. Each vendor has one backend. `gate`
keeps enough nodes in rotation, `events` records who did what.

Imports core, net, spec, generators, generators.haproxy, generators.f5, generators.zen, probe, push, push.f5,
push.f5.rest, push.zen.
"""

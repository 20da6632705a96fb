#!/bin/sh
# Upgrade of the farm orchestrator-dev
# Made by nlbgen VERSION from the spec with digest 8529b172f91a0644.
# Do not edit: change the spec and run `nlbgen render upgrade` again.
# The smoke test of the upgrade window: it only sends GET requests. It needs curl, and access to the nodes' ports.
#
#   sh smoke.sh NODE      a node itself answers 200 at each health endpoint
#   sh smoke.sh nodes     all nodes, one after another
#   sh smoke.sh closed    the balancer answers 503 with Retry-After
#   sh smoke.sh open      the balancer answers 200 at each health endpoint
#
# Set BALANCER=ADDRESS:PORT to test one balancer, and not the address in DNS.
set -u
host=orchestrator.corp.example
paths='/api/Status/Get'
failed=0
balancer=${BALANCER:+--connect-to ::$BALANCER}
# The addresses of nodes and the paths are words: they contain no patterns.
set -f

# The status of one request; 000 without a response. Set CA to the file of the CA: curl then verifies the certificates.
status() {
    if [ -n "${CA:-}" ]; then set -- --cacert "$CA" "$@"; else set -- --insecure "$@"; fi
    curl --silent --output /dev/null --max-time 30 --write-out '%{http_code}' "$@"
}

expect() {
    found=$(status $3 "$4")
    if [ "$found" = "$2" ]; then
        echo "ok: $1: $4 answers $found"
    else
        echo "FAILED: $1: $4 answers $found, not $2" >&2
        failed=1
    fi
}

node() {
    for path in $paths; do
        expect "$1" 200 "--connect-to ::$2" "https://$host$path"
    done
}

one() {
    case $1 in
        orch-1) node orch-1 10.20.0.11:443 ;;
        orch-2) node orch-2 10.20.0.12:443 ;;
        *) echo "smoke.sh: $1 is no node of the farm" >&2; exit 2 ;;
    esac
}

case ${1:-} in
    nodes)
        one orch-1
        one orch-2
        ;;
    closed)
        expect balancer 000 "$balancer" "https://$host:443/"
        ;;
    open)
        for path in $paths; do
            expect balancer 200 "$balancer" "https://$host:443$path"
        done
        ;;
    '') echo 'usage: sh smoke.sh NODE | nodes | closed | open' >&2; exit 2 ;;
    *) one "$1" ;;
esac
exit $failed

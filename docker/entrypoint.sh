#!/bin/sh
# What a container is: `head`, `worker` or `local` (a search in one container). Any other words are run as they
# are. `health` is what HEALTHCHECK asks.
#
#   RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH   the cluster's token; without one no node starts
#   HEAD_ADDRESS                            worker: HOST:PORT of the head, head:6379 by default
#   HEAD_PORT, DASHBOARD_PORT, METRICS_PORT 6379, 8265, 8080 by default
#   DASHBOARD_HOST                          head: 127.0.0.1 by default, so that only this machine reaches it
#   NUM_CPUS, NUM_GPUS                      what the node offers; by default what Ray finds
#
# Ray writes below a folder that only the container's user may enter: it lets everybody write in its own.
set -eu

HEAD_PORT="${HEAD_PORT:-6379}"
DASHBOARD_PORT="${DASHBOARD_PORT:-8265}"
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"

require_token() {
    if [ "$RAY_AUTH_MODE" = token ] && [ -z "${RAY_AUTH_TOKEN:-}" ] \
        && [ ! -s "${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}" ]; then
        echo "no token: give RAY_AUTH_TOKEN_PATH (a file with it) or RAY_AUTH_TOKEN. Make one with:" >&2
        echo "  python -c 'import secrets; print(secrets.token_hex(32))'" >&2
        exit 2
    fi
}

runs() { grep -qsx "$1" /proc/[0-9]*/comm; }

start_node() {
    require_token
    set -- "$@" --block --disable-usage-stats --metrics-export-port="${METRICS_PORT:-8080}" \
        --temp-dir=/var/lib/ray/private/ray
    [ -z "${NUM_CPUS:-}" ] || set -- "$@" --num-cpus="$NUM_CPUS"
    [ -z "${NUM_GPUS:-}" ] || set -- "$@" --num-gpus="$NUM_GPUS"
    exec ray start "$@"
}

word="${1:-local}"
[ $# -eq 0 ] || shift
case "$word" in
    head)
        start_node --head --port="$HEAD_PORT" --dashboard-host="${DASHBOARD_HOST:-127.0.0.1}" \
            --dashboard-port="$DASHBOARD_PORT" "$@"
        ;;
    worker)
        start_node --address="${HEAD_ADDRESS:-head:$HEAD_PORT}" "$@"
        ;;
    local)
        [ $# -gt 0 ] || set -- run digits-recipes
        exec python -m tune_jobs "$@"
        ;;
    health)
        if runs gcs_server; then
            exec ray health-check --address "127.0.0.1:$HEAD_PORT"
        fi
        runs raylet || ! runs ray # a node without its raylet is ill; a container without Ray is `local`
        ;;
    *)
        exec "$word" "$@"
        ;;
esac

#!/bin/sh
# What a container is: `head`, `worker` or `local` (a search in one container). Any other words are run as they
# are. `health` is what HEALTHCHECK asks; `check-token` says what is wrong with the token, as `ray up` needs.
#
#   RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH   the cluster's token; without one, or with a file that this user cannot
#                                           read or that others can, no node starts
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

# Ray itself says of each of these that there is no token, or takes a file that others may read.
require_token() {
    [ "$RAY_AUTH_MODE" = token ] && [ -z "${RAY_AUTH_TOKEN:-}" ] || return 0
    token="${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
    if [ ! -e "$token" ] || { [ -r "$token" ] && [ ! -s "$token" ]; }; then
        echo "no token: give RAY_AUTH_TOKEN_PATH (a file with it) or RAY_AUTH_TOKEN. Make one with:" >&2
        echo "  python -c 'import secrets; print(secrets.token_hex(32))'" >&2
    elif [ ! -r "$token" ]; then
        echo "the token's file $token is not readable for user $(id -u), who runs here: it is" >&2
        echo "  $(ls -lnL "$token")" >&2
        echo "  Give it to that user (chown $(id -u) FILE); with \`ray up\` take an ssh_user with this id." >&2
    elif [ -n "$(find -L "$token" -prune -perm -004)" ]; then
        echo "others may read the token's file $token: it is" >&2
        echo "  $(ls -lnL "$token")" >&2
        echo "  Who has the token runs code here: take their right away (chmod go= FILE), or make a new token." >&2
    else
        return 0
    fi
    exit 2
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
    check-token)
        require_token
        ;;
    health)
        # a head's own port; that of a search in this container is another
        if grep -qs -- "--gcs_server_port=$HEAD_PORT\b" /proc/[0-9]*/cmdline; then
            exec ray health-check --address "127.0.0.1:$HEAD_PORT"
        fi
        runs raylet || ! runs ray # a node without its raylet is ill; a container without Ray is `local`
        ;;
    *)
        exec "$word" "$@"
        ;;
esac

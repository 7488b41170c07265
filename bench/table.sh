#!/usr/bin/env bash
# Measures ari-proxy and bench/trial.py side by side with aribench, in turns on one machine:
#   bench/table.sh path/to/aribench [event|paced|command|setup ...]
#   RABBITMQ=amqp://guest:guest@127.0.0.1:5672/ bench/table.sh …   the same on RabbitMQ as well
#   ORIGINAL=path/to/go-ari-proxy bench/table.sh …                 the original beside both
# Prints one line per case, bus and implementation; the lines are aribench's medians of three. The
# trial is for NATS only.
set -euo pipefail
cd "$(dirname "$0")/.."
aribench=$1
shift
cases=("${@:-event paced command setup}")
bin=$PWD/.venv/bin
export ARI_PROXY_ADMIN__PORT=0 ARI_PROXY_LOG__LEVEL=warning

"$bin/nats-server" -a 127.0.0.1 -p 34222 >/dev/null 2>&1 &
trap 'kill $!' EXIT

declare -A proxies=(
    [ari-proxy]="cmd:$bin/ari-proxy standalone --config {config}"
    [trial]="cmd:$bin/python $PWD/bench/trial.py {config}"
)

on_nats=(ari-proxy trial)
on_rabbitmq=(ari-proxy)
if [ -n "${ORIGINAL:-}" ]; then
    proxies[original]="cmd:$ORIGINAL --config {config}"
    on_nats+=(original)
    on_rabbitmq+=(original)
fi

measure() {
    for name in "${on_nats[@]}"; do
        line NATS "$name" "$@"
    done
    [ -z "${RABBITMQ:-}" ] || for name in "${on_rabbitmq[@]}"; do
        line RabbitMQ "$name" "$@" -bus-url "$RABBITMQ"
    done
}

line() {
    local bus=$1 name=$2
    shift 2
    printf '%-9s %-10s %s\n' "$bus" "$name" "$("$aribench" "$@" -proxy "${proxies[$name]}" 2>/dev/null)"
}

for one in ${cases[*]}; do
    case $one in
        event)
            for dialogs in 1 100 1000; do
                measure event -dialogs "$dialogs" -events 100000 -window 256
            done
            ;;
        paced) measure event -dialogs 100 -events 15000 -rate 1000 ;;
        command)
            measure command -inflight 32 -commands 10000
            measure command -inflight 1 -commands 3000
            ;;
        setup) measure setup -dialogs 1000 -rate 200 -teardown ;;
    esac
done

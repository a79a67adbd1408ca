# Build, start, and say how to ask. A setting, a port or a migration that will not do is found before anything that runs is replaced.

up() {
    need_own_data
    build
    start
}

build() {
    need_good_settings
    write_env
    # As this user; Docker would make them as root. The user in the containers looks into them.
    for folder in archives sources secrets; do
        [ -e "$folder" ] || mkdir -m 755 "$folder"
    done
    KASPARRO_VERSION=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' kasparro/__init__.py)
    KASPARRO_REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)
    export KASPARRO_VERSION KASPARRO_REVISION
    docker compose build app
    # What a failure leaves; nothing once the service was stopped or replaced.
    left="What was running still is."
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # Without these a signal ends the shell on the spot.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

start() {
    say "Starting ..."
    # Reads every setting, key and source file, at the port that the service will have.
    try docker compose run --rm --no-deps -T $(new_port) app sources list --json
    try docker compose up --detach --wait --wait-timeout "$patience" postgres
    try docker compose run --rm --no-deps -T migrate
    if secrets_changed; then
        left=
        say "What is in the folder of secrets has changed: the service reads it anew."
        docker compose stop app >"$log" 2>&1
    fi
    left=
    try docker compose up --detach --remove-orphans --wait --wait-timeout "$patience" app
    invite
    start_observability
}

try() {
    "$@" >"$log" 2>&1 </dev/null || explain
}

# --service-ports where the service is to be published at another address than now: whether it can be is tried first.
new_port() {
    wanted=$(docker compose config app | tr -d '"' | awk '/host_ip:/ {host = $2} /published:/ {print host ":" $2}')
    container=$(docker compose ps --all --quiet app)
    bound='{{range .HostConfig.PortBindings}}{{range .}}{{.HostIp}}:{{.HostPort}} {{end}}{{end}}'
    [ -z "$container" ] || for address in $(docker inspect --format "$bound" $container); do
        case "
$wanted
" in
        *"
$address
"*) return 0 ;;
        esac
    done
    say --service-ports
}

# Is anything in the folder of secrets newer than the service's process? That reads them when it starts.
secrets_changed() {
    container=$(docker compose ps --quiet app)
    folder=$(setting SECRETS_FOLDER)
    [ -n "$container" ] &&
        [ -n "$(find -L "${folder:-secrets}" -newerct "$(docker inspect --format '{{.State.StartedAt}}' "$container")" 2>/dev/null)" ]
}

# Why did it not start? What Docker or the containers say, and advice for what people run into.
explain() {
    said=$(grep -Ev '^ (Container|Network|Volume) ' "$log" || true)
    case $said in
    *'is unhealthy'* | *'exited ('*) said="$said
$(docker compose logs --no-color --no-log-prefix --tail 15 app 2>&1 | sed "s/^$(printf '\033')\[2K//")" ;;
    esac
    say "" "$said" "" >&2
    case $said in
    *'port is already allocated'* | *'address already in use'*)
        stop "The port is in use. Choose another: KASPARRO_PORT=8080 in .env, or once: KASPARRO_PORT=8080 make up" ;;
    *'cannot assign requested address'* | *'invalid IP address'* | *'Invalid ip address'* | *'invalid hostPort'*)
        stop "KASPARRO_HOST: must be an IP address of this machine, got '$(setting KASPARRO_HOST)'" ;;
    *'password authentication failed'*)
        stop "The data were made with another POSTGRES_PASSWORD than .env has now: put that one back," \
            "or let make new-password give them a new one. The data stay." ;;
    *) stop "Kasparro did not start; see above.${left:+ $left}" ;;
    esac
}

# The address that the service is published at, as a client on this machine writes it.
base_url() {
    address=$(docker compose port app 8000)
    port=${address##*:}
    case $address in
    0.0.0.0:* | '[::]':*) say "http://127.0.0.1:$port" ;;
    *) say "http://$address" ;;
    esac
}

# The first client's key, wherever it comes from, once the service has taken it. Nothing where reads are open.
client_key() {
    docker compose exec -T app python -c '
import os, sys, urllib.request
from kasparro.config import Config
from kasparro.errors import ConfigError
try:
    keys = [key.reveal() for key in Config.from_env(os.environ).api_keys.values()]
    for key in keys[:1]:
        request = urllib.request.Request("http://127.0.0.1:8000/runs?limit=1", headers={"X-API-Key": key})
        urllib.request.urlopen(request, timeout=10).close()
        print(key)
except ConfigError as ex:
    sys.exit("\n".join(ex.problems))
except OSError as ex:
    sys.exit(f"the service does not take the first key of KASPARRO_API_KEYS: {ex}")'
}

invite() {
    url=$(base_url)
    header=
    if key=$(client_key); then
        # A quote ends a quoted word of the shell.
        [ -z "$key" ] || header="-H 'X-API-Key: $(say "$key" | sed "s/'/'\\\\''/g")' "
    else
        header="-H 'X-API-Key: ...' "
    fi
    say "" "Kasparro answers at $url" ""
    for path in '/data?view=latest&limit=3' '/assets?q=bitcoin' /stats /health; do
        say "  curl -s $header'$url$path'"
    done
    case ",${COMPOSE_PROFILES:-}," in
    *,demo,*) say "" "Its prices are made up. make demo-down stops it and removes its data." ;;
    *) say "" "make logs shows what it does, make down stops it and keeps the data." ;;
    esac
}

# After the service, which does without it.
start_observability() {
    case ",$(setting COMPOSE_PROFILES)," in
    *,observability,*) ;;
    *) return 0 ;;
    esac
    for service in prometheus grafana; do
        docker compose up --detach --wait --wait-timeout "$patience" "$service" >"$log" 2>&1 </dev/null ||
            stop "" "$(cat "$log")" "" "$service did not start; see above. Kasparro runs without it."
    done
    say "" "Prometheus: http://$(docker compose port prometheus 9090)   Grafana: http://$(docker compose port grafana 3000)" \
        "(user admin, password GRAFANA_PASSWORD of .env)"
}

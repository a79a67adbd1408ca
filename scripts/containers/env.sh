# Which settings are there, in the environment and in .env, and whose stack and data are they?

# How a line of .env that sets this name begins, as compose reads it.
line_of() {
    say "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*[=:][[:space:]]*"
}

# Does a file set this name, be it to nothing?
sets() {
    [ -e "$2" ] && grep -Eq "$(line_of "$1")" "$2"
}

# Is this name set anywhere?
given() {
    env | grep -q "^$1=" || sets "$1" .env
}

# The value of a name or number as compose sees it: the environment's, else that of the last line in .env.
setting() {
    if env | grep -q "^$1="; then
        printenv "$1"
    elif sets "$1" .env; then
        sed -nE "s/$(line_of "$1")//p" .env | tail -n 1 | tr -d "\"'\r"
    fi
}

project() {
    name=$(setting COMPOSE_PROJECT_NAME)
    say "${name:-kasparro}"
}

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# Append the secrets that .env has no line for; make it of .env.example first. Readable by its owner only.
write_env() (
    umask 077
    from=.env
    [ -e .env ] || from=.env.example
    missing=
    for name in KASPARRO_API_KEYS POSTGRES_PASSWORD GRAFANA_PASSWORD; do
        sets "$name" "$from" || { [ "$name" = KASPARRO_API_KEYS ] && given KASPARRO_API_KEYS_FILE; } || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    {
        cat "$from"
        [ -z "$(tail -c 1 "$from")" ] || echo
        for name in $missing; do
            case $name in
            KASPARRO_API_KEYS) say "$name=operator:$(random)" ;;
            *) say "$name=$(random)" ;;
            esac
        done
    } >.env.new
    mv .env.new .env
    say "Wrote random values to .env:$missing"
)

# Nothing here needs the secrets, but compose wants to see them.
without_secrets() {
    for name in POSTGRES_PASSWORD GRAFANA_PASSWORD; do
        given "$name" || export "$name=none"
    done
}

# One project name is one stack: another checkout's is not touched. One that was moved or removed has no claim.
need_own_stack() {
    docker ps --all --filter "label=com.docker.compose.project=$(project)" \
        --format '{{.Label "com.docker.compose.project.working_dir"}}' | sort -u | while read -r folder; do
        place=$(cd "$folder" 2>/dev/null && pwd -P) || continue
        [ "$place" = "$(pwd -P)" ] ||
            stop "The stack $(project) is that of the checkout $folder. Nothing was changed." \
                "For a second one write COMPOSE_PROJECT_NAME=another-name, and another KASPARRO_PORT, to .env here."
    done
}

# Data without their password in .env are another checkout's, or .env was lost. A new password would not open them.
need_own_data() {
    given POSTGRES_PASSWORD && return 0
    volume=$(project)_postgres
    docker volume inspect "$volume" >/dev/null 2>&1 || return 0
    stop "There are data already, in the volume $volume, but no POSTGRES_PASSWORD here. Nothing was changed." \
        "Was .env lost? make new-password gives the data another password, and starts the service." \
        "Are they another checkout's? Write COMPOSE_PROJECT_NAME=another-name to .env here." \
        "Is nobody to have them any more? docker volume rm $volume"
}

# What Docker would say late, or not clearly.
need_good_settings() {
    port=$(setting KASPARRO_PORT)
    case $port in
    *[!0-9]* | ??????*) stop "KASPARRO_PORT: must be a port from 1 to 65535, got '$port'" ;;
    esac
    [ "${port:-1}" -ge 1 ] && [ "${port:-1}" -le 65535 ] || stop "KASPARRO_PORT: must be a port from 1 to 65535, got '$port'"
    case $(setting KASPARRO_HOST) in
    *[!0-9a-fA-F.:]*) stop "KASPARRO_HOST: must be an IP address of this machine, got '$(setting KASPARRO_HOST)'" ;;
    esac
    version=$(setting POSTGRES_VERSION)
    case $version in
    17) stop "POSTGRES_VERSION: 17 is what there is without it, with its data in a place of their own: leave it out" ;;
    *[!0-9]*) stop "POSTGRES_VERSION: must be a major version, as 18, got '$version'" ;;
    esac
}

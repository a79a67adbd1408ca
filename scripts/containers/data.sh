# Back up, restore, and give the database another password. What fails stops it, and leaves what was there.

in_postgres() {
    docker compose exec -T --env PGOPTIONS=--client-min-messages=warning postgres "$@"
}

# One or more commands of SQL, as one transaction.
sql() {
    in_postgres psql --username=kasparro --dbname=postgres --quiet --no-psqlrc --set=ON_ERROR_STOP=1 "$@"
}

backup() {
    file=${1:-kasparro-$(date -u +%Y%m%dT%H%M%SZ).dump}
    # Keys and payloads are nobody else's business.
    umask 077
    trap 'rm -f "$file.part"' EXIT
    rm -f "$file.part"
    in_postgres pg_dump --username=kasparro --format=custom --no-owner --no-acl kasparro >"$file.part" ||
        stop "No dump was written."
    mv "$file.part" "$file"
    say "Wrote $file, $(wc -c <"$file" | tr -d ' ') bytes"
}

# The copy is made and migrated beside what is there, and takes its place at last.
restore() {
    file=$1
    [ -n "$file" ] || stop "Which dump? make restore FILE=kasparro.dump"
    [ -f "$file" ] && [ -r "$file" ] || stop "$file: there is no such file, or it cannot be read"
    need_own_data
    build
    try docker compose up --detach --wait --wait-timeout "$patience" postgres
    say "Restoring $file ..."
    sql --command='drop database if exists restoring' --command='create database restoring'
    fill_copy "$file" || {
        sql --command='drop database if exists restoring'
        stop "The dump was not restored; see above. Nothing was changed."
    }
    docker compose stop app >"$log" 2>&1
    swap || {
        docker compose start app >"$log" 2>&1 || true
        stop "The copy could not take the place of what is there; see above. Nothing was changed."
    }
    left=
    say "What was there before is the database 'replaced' until the next restore. To remove it:" \
        "  docker compose exec postgres dropdb --username=kasparro replaced"
    start
}

fill_copy() {
    in_postgres pg_restore --username=kasparro --exit-on-error --single-transaction --no-owner --no-acl --dbname=restoring <"$1" ||
        return 1
    [ "$(sql --dbname=restoring --tuples-only --no-align --command="select to_regclass('public.runs')")" = runs ] || {
        say "$1: is no dump of Kasparro's" >&2
        return 1
    }
    # Newer than this code serves? Then it would not start on it.
    docker compose run --rm --no-deps -T --env DATABASE_URL=postgresql://kasparro@postgres/restoring migrate </dev/null >"$log" 2>&1 || {
        cat "$log" >&2
        return 1
    }
}

swap() {
    has=$(sql --tuples-only --no-align --command="select count(*) from pg_database where datname = 'kasparro'") || return 1
    # Before the renaming, as it cannot be in a transaction.
    sql --command='drop database if exists replaced' || return 1
    if [ "$has" = 1 ]; then
        sql --single-transaction --command='alter database kasparro rename to replaced' \
            --command='alter database restoring rename to kasparro'
    else
        sql --command='alter database restoring rename to kasparro'
    fi
}

# Over the socket inside the container, which asks for none: it works when the old one is lost, too.
new_password() {
    ! env | grep -q '^POSTGRES_PASSWORD=' || stop "POSTGRES_PASSWORD is set in the environment, and would go before .env: unset it"
    new=$(random)
    (
        umask 077
        [ -e .env ] || cp .env.example .env
        { grep -Ev "$(line_of POSTGRES_PASSWORD)" .env || true; say "POSTGRES_PASSWORD=$new"; } >.env.new
        mv .env.new .env
    )
    build
    try docker compose up --detach --wait --wait-timeout "$patience" postgres
    say "alter role kasparro password '$new'" | sql >"$log"
    start
}

# The suite on a PostgreSQL that is gone afterwards.
run_tests() {
    POSTGRES_PASSWORD=$(random)
    export COMPOSE_PROJECT_NAME="kasparro-test-$$" COMPOSE_FILE=docker-compose.yml:deploy/test.yml COMPOSE_PROFILES=
    export POSTGRES_PASSWORD GRAFANA_PASSWORD=none
    version=$(setting POSTGRES_VERSION)
    tools=$(mktemp -d)
    trap 'docker compose down --volumes --timeout 5 >/dev/null 2>&1; rm -rf "$tools"' EXIT
    # Without these a signal ends the shell on the spot.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    docker compose up --detach --wait --wait-timeout "$patience" postgres
    address=$(docker compose port postgres 5432)
    # A dump takes programs as old as the server: those of its image.
    cat >"$tools/pg_dump" <<EOF
#!/bin/sh
exec docker run --rm --network host --user $(id -u):$(id -g) --volume "\$PWD:\$PWD" --workdir "\$PWD" \\
    --entrypoint "\${0##*/}" postgres:${version:-17} "\$@"
EOF
    chmod +x "$tools/pg_dump"
    ln -s pg_dump "$tools/pg_restore"
    export PATH="$tools:$PATH"
    KASPARRO_TEST_DSN="postgresql://kasparro:$POSTGRES_PASSWORD@$address/kasparro_test" make test
}

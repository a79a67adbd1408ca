#!/usr/bin/env python3
"""Stands in for flyctl: writes down what it is told, and answers questions from a state that the orders change.

FLY_STATE is a JSON file: apps, secrets, clusters, machines and, for failures, `fails`: the command that does. Like a
deploy token it answers for one app only: it refuses to list them.
"""

import json
import os
import sys
from pathlib import Path

PATH = Path(os.environ["FLY_STATE"])
# What only the new release's machines run.
IMAGE = "registry.fly.io/quotes:deployment-2"


def main() -> int:
    state = json.loads(PATH.read_text())
    command = " ".join(sys.argv[1:3])
    question = "--json" in sys.argv
    if not question:
        state["told"].append({"argv": sys.argv[1:], "stdin": sys.stdin.read()})
    if state.get("fails") == command:
        PATH.write_text(json.dumps(state))
        sys.stderr.write(f"Error: {state['reason']}\n")
        return 1
    answers = {"secrets list": "secrets", "mpg list": "clusters", "machines list": "machines"}
    if question and sys.argv[1] == "status":
        if sys.argv[sys.argv.index("--app") + 1] not in state["apps"]:
            sys.stderr.write("Error: failed to get app: Could not find App\n")
            return 1
        sys.stdout.write(json.dumps({"Status": "deployed"}))
    elif question and command not in answers:
        sys.stderr.write("Error: Not authorized to access this resource\n")
        return 1
    elif question:
        found = state[answers[command]]
        sys.stdout.write(json.dumps(found) if found else "No such things found\n")
    else:
        change(state, command)
        PATH.write_text(json.dumps(state))
    return 0


def change(state: dict, command: str) -> None:
    """What the orders do that later questions see."""
    if command == "mpg create":
        state["clusters"].append({"id": "mp0000", "name": sys.argv[sys.argv.index("--name") + 1]})
        sys.stdout.write("  Connection string: postgresql://fly-user:p4ssw0rd@pgbouncer.example/fly-db\n")
    elif command == "mpg attach":
        sys.stdout.write("  DATABASE_URL=postgresql://fly-user:p4ssw0rd@pgbouncer.example/fly-db\n")
    elif sys.argv[1] == "deploy":
        image = sys.argv[sys.argv.index("--image") + 1] if "--image" in sys.argv else IMAGE + state.get("digest", "")
        metadata = {"fly_process_group": "app"}
        kept = [each for each in state["machines"] if "fly_process_group" not in each["config"]["metadata"]]
        state["machines"] = [{"id": "m1", "config": {"image": image, "metadata": metadata}}, *kept]


if __name__ == "__main__":
    sys.exit(main())

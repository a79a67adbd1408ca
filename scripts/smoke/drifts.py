"""The step that renames a field under the service: it is seen, mapped within the same run, and the data go on."""

from checks import ask_for_run
from client import require
from stack import TICK, Stack

_OLD, _NEW = "current_price", "priceUsd"


def see_drift(stack: Stack) -> str:
    """CoinGecko calls the price by another name from now on."""
    fault = {"upstream": "coingecko", "kind": "rename", "field": _OLD, "to": _NEW}
    require(stack.upstream.ask("/_control/faults", method="POST", body=fault).status == 200, "no fault was set")
    # Prices move on, so that there is something to write.
    require(stack.upstream.ask("/_control/tick", method="POST", body={"tick": TICK + 1}).status == 200, "no tick")
    run = ask_for_run(stack, "coingecko")
    require(run["status"] == "succeeded", f"the run is {run['status']}: {run['error']}")
    require(run["counts"]["inserted"] > 0, f"nothing was inserted: {run['counts']}")
    drifts = stack.client.get("/drift?source=coingecko&kind=renamed")["data"]
    require(len(drifts) == 1, f"there are {len(drifts)} drifts")
    drift = drifts[0]
    told = (drift["path"], drift["renamed_to"], drift["action"], drift["status"])
    require(told == (_OLD, _NEW, "mapped", "open"), f"the drift tells {told}")
    require(drift["id"] in [each["id"] for each in run["drifts"]], "the run's record does not have it")
    code, said = stack.once(["drift", "list", "--source", "coingecko"], {})
    require(code == 0 and _NEW in said, f"kasparro drift list ended with {code}: {said[-300:]}")
    code, said = stack.once(["drift", "accept", str(drift["id"])], {})
    require(code == 0 and "accepted" in said, f"kasparro drift accept ended with {code}: {said[-300:]}")
    stack.upstream.ask("/_control/faults", method="DELETE")
    inserted, confidence = run["counts"]["inserted"], drift["confidence"]
    return f"{_OLD} is {_NEW} (confidence {confidence}), mapped in the same run: {inserted:,} new quotes; accepted"

"""A client of OPA for Python asks the listener; what it understood is printed as one JSON object.

usage: opa.py PORT TOKEN
"""

import json
import sys

from opa_client.opa import OpaClient

client = OpaClient(host="127.0.0.1", port=int(sys.argv[1]), token=sys.argv[2], timeout=30)


def refused(ask):
    """What a client is told where something cannot be done here."""
    try:
        return ask()
    except Exception as error:  # Each call has errors of its own.
        return str(error)


print(json.dumps({
    "reached": client.check_connection(),
    "healthy": client.check_health({"bundles": "true", "plugins": "true"}),
    "policies": client.get_policies_list(),
    "policy": client.get_policy("authz.rego")["result"]["id"],
    "data": client.get_data("users")["result"],
    "known": client.query_rule({"user": "alice"}, "authz", "allow")["result"],
    "unknown": client.query_rule({"user": "eve"}, "authz", "allow")["result"],
    "query": client.ad_hoc_query("data.users[i] = user", {})["result"],
    "bulk": client.bulk_query_rule([{"user": "alice"}, {"user": "eve"}], "authz", "allow"),
    "plugins": client.get_status()["result"]["plugins"],
    "decision": client.get_config()["result"]["default_decision"],
    "measured": "countersign" in client.get_metrics(),
    "put": refused(lambda: client.update_policy_from_string("package x", "x")),
    "compile": refused(lambda: client.compile_query("data.authz.allow == true")),
}))

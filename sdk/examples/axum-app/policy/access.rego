# METADATA
# title: The policy of the example
# description: Accounting sees the payroll. A report is announced. Payments need a passkey.
package authz

import rego.v1

default allow := false

allow if {
	accounting
	not paying
}

allow if {
	accounting
	"phr" in input.session.acr_satisfied
}

default effect := "deny"

effect := "allow" if allow

decision := {
	"effect": effect,
	"obligations": obligations,
	"final": final,
}

default final := false

# No passkey makes an accountant.
final if not accounting

accounting if input.user.role == "accounting"

paying if startswith(input.request.path, "/payments")

default obligations := []

obligations := [{
	"id": "announced",
	"type": "notification",
	"properties": {"to": "security@app.example", "body": "the report was read"},
}] if {
	allow
	input.request.path == "/report"
}

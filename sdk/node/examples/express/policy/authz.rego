# METADATA
# title: The policy of the Express example
package authz

import rego.v1

notify := {"id": "n", "type": "notification", "properties": {"to": "security@app.example"}}

default decision := {"effect": "deny"}

# METADATA
# title: Admins may see the payroll, and follow it
decision := {"effect": "allow"} if {
	input.request.path in {"/payroll", "/stream", "/live"}
	input.user.role == "admin"
}

# METADATA
# title: Everybody may, and the security team hears of it
decision := {"effect": "allow", "obligations": [notify]} if input.request.path == "/notify"

# METADATA
# title: Only with a passkey
decision := {"effect": "allow"} if {
	input.request.path == "/secret"
	"phr" in input.session.acr_satisfied
}

# METADATA
# title: The policy of the examples and tests of the Python client
package authz

import rego.v1

default decision := {"effect": "deny"}

decision := {"effect": "allow"} if input.action.name in {"read", "HEAD"}

decision := {"effect": "allow", "obligations": [notify]} if input.action.name == "print"

decision := {"effect": "allow"} if {
	input.action.name == "GET"
	plain
}

decision := {"effect": "allow"} if {
	input.action.name == "GET"
	input.request.path == "/payroll"
	"phr" in input.session.acr_satisfied
}

decision := {"effect": "allow", "obligations": [notify]} if {
	input.action.name == "GET"
	input.request.path == "/print"
}

plain if input.request.path in {"/", "/stream", "/socket"}

notify := {"id": "n", "type": "notification", "properties": {"to": "owner"}}

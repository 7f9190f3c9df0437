# The seed policy (policies/examples/seed) in today's Rego: OPA reads nothing older.
package authz

import rego.v1

default allow := false

allow if {
	input.user.role == "admin"
	input.context.risk_score < 30
	input.device.compliant == true
}

package authz_test

import data.authz
import rego.v1

of(role, path, levels) := {
	"user": {"role": role},
	"request": {"path": path},
	"session": {"acr_satisfied": levels},
}

test_accounting_sees_the_payroll if authz.decision.effect == "allow" with input as of("accounting", "/payroll", [])

test_nobody_else_does if {
	authz.decision.effect == "deny" with input as of("warehouse", "/payroll", ["phr"])
	authz.decision.final with input as of("warehouse", "/payroll", ["phr"])
}

test_payments_need_a_passkey if {
	authz.decision.effect == "deny" with input as of("accounting", "/payments", [])
	not authz.decision.final with input as of("accounting", "/payments", [])
	authz.decision.effect == "allow" with input as of("accounting", "/payments", ["phr"])
}

test_a_report_is_announced if {
	count(authz.decision.obligations) == 1 with input as of("accounting", "/report", [])
	count(authz.decision.obligations) == 0 with input as of("warehouse", "/report", [])
	count(authz.decision.obligations) == 0 with input as of("accounting", "/payroll", [])
}

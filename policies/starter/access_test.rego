package authz_test

import data.authz
import rego.v1

calm := {
	"action": {"name": "GET"},
	"user": {"role": "employee", "roles": ["employee"]},
	"device": {"compliant": true},
	"session": {"acr_satisfied": []},
	"context": {"risk_score": 5},
}

test_calm_reading_is_allowed if authz.allow with input as calm

test_the_limit_itself_is_too_much if {
	risky := object.union(calm, {"context": {"risk_score": 30}})
	not authz.allow with input as risky
}

test_just_below_the_limit_is_allowed if {
	busy := object.union(calm, {"context": {"risk_score": 29}})
	authz.allow with input as busy
}

test_a_stranger_is_refused_for_good if {
	stranger := object.union(calm, {"user": {"role": ""}})
	authz.decision.effect == "deny" with input as stranger
	authz.decision.final with input as stranger
}

test_writing_needs_a_compliant_device if {
	writing := object.union(calm, {"action": {"name": "POST"}, "device": {"compliant": false}})
	authz.decision.final with input as writing
}

test_broken_glass_stands_in_for_compliance if {
	glass := object.union(calm, {
		"action": {"name": "POST"},
		"device": {"compliant": false},
		"user": {"role": "employee", "roles": ["break_glass", "employee"]},
	})
	authz.allow with input as glass
}

test_deleting_needs_a_passkey if {
	deleting := object.union(calm, {"action": {"name": "DELETE"}})
	not authz.allow with input as deleting
	not authz.decision.final with input as deleting
}

test_deleting_with_a_passkey_is_allowed if {
	proved := object.union(calm, {"action": {"name": "DELETE"}, "session": {"acr_satisfied": ["phr"]}})
	authz.allow with input as proved
}

# METADATA
# title: The starter policy
# description: What an organisation forks first. Thresholds are in data.json; every reason is a rule of its own.
package authz

import rego.v1

default allow := false

allow if {
	count(refusals) == 0
	count(doubts) == 0
}

default effect := "deny"

effect := "allow" if allow

decision := {
	"effect": effect,
	"reasons": reasons,
	"final": final,
}

default final := false

# A refusal that no passkey answers ends the matter.
final if count(refusals) > 0

reasons contains text if some text in refusals

reasons contains text if some text in doubts

refusals contains text if text := unknown_role

refusals contains text if text := device_not_compliant

doubts contains text if text := risk_too_high

doubts contains text if text := proof_missing

# METADATA
# title: The subject has no role in the directory
unknown_role := "the subject has no role in the directory" if input.user.role == ""

# METADATA
# title: Changing things needs a compliant device
device_not_compliant := "changing things needs a compliant device" if {
	writing
	not input.device.compliant
	not broken_glass
}

# METADATA
# title: The risk is above the limit of the action
risk_too_high := sprintf("risk %v is not below %v", [input.context.risk_score, limit]) if {
	input.context.risk_score >= limit
}

# METADATA
# title: Destroying things needs a passkey, always
proof_missing := "destroying things needs a passkey" if {
	destroying
	not passkey_proved
}

limit := data.thresholds.risk.writing if writing

limit := data.thresholds.risk.reading if not writing

# What is negated above is a rule or a plain reference: OPA and other engines differ on `not` over a call whose argument is undefined.
writing if input.action.name in data.thresholds.writing

destroying if input.action.name in data.thresholds.destroying

passkey_proved if "phr" in input.session.acr_satisfied

broken_glass if "break_glass" in input.user.roles

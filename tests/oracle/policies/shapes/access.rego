# The shapes of the language, and verdicts that are none: both engines must refuse the same ones. For the comparison with OPA.
package authz

import rego.v1

default allow := false

allow if effect == "allow"

# Several values for one document: an error for the inputs that reach both.
effect := "allow" if level(input.context.risk_score) == "calm"

effect := "step_up" if {
	level(input.context.risk_score) == "tense"
	count(input.session.acr_satisfied) < 2
}

effect := "deny" if level(input.context.risk_score) == "wild"

effect := "deny" if {
	input.action.name == "export"
	input.device.bound
}

level(score) := "calm" if score < 30

else := "tense" if score < 70

else := "wild"

decision := object.union({"effect": effect, "reasons": sort(reasons)}, extras)

default extras := {}

extras := {"acr": "phrh", "max_age": 300} if effect == "step_up"

# A level belongs to a step-up alone, and an unknown member to nothing.
extras := {"acr": "phr"} if {
	effect == "deny"
	input.device.known
}

extras := {"note": 1} if {
	effect == "allow"
	input.resource.type == ""
}

reasons := [text |
	some at, reason in input.context.risk.reasons
	text := sprintf("%v %v %v", [at, reason.signal, reason.points])
] if every reason in input.context.risk.reasons { reason.points >= -20 }

reasons := ["very low points"] if {
	some reason in input.context.risk.reasons
	reason.points < -20
}

total := sum([reason.points | some reason in input.context.risk.reasons])

strongest := max([reason.points | some reason in input.context.risk.reasons])

# Never empty: what is left of an empty object of sets is `{}` in OPA and nothing in our evaluator.
by_signal.any contains 0

by_signal[reason.signal] contains reason.points if some reason in input.context.risk.reasons

roles := {role | some role in input.user.roles} | {input.user.role}

uncommon := roles - {"employee", "staff"}

both := roles & {"admin", "auditor"}

leaves contains path if {
	walk(input.token.claims, [path, value])
	not is_object(value)
	not is_array(value)
}

typed.any contains ""

typed[kind] contains name if {
	some name, value in input.context.caller
	kind := type_name(value)
}

place := input.context.place.known

# Whole numbers only: OPA computes with more digits than a float has.
rounded := [round(distance), ceil(distance), floor(distance)] if {
	distance := abs(place.at.lat - 48.8566) + abs(place.at.lon - 2.3522)
}

half := input.context.risk_score / 2

remainder := input.context.risk_score % 7

flags := {name: known | some name, known in input.context.known}

trimmed := json.remove(input.subject, ["properties/ticket", "id"])

filtered := json.filter(input, ["user/role", "context/risk_score", "device"])

numbered := numbers.range(input.context.risk_score, 70) if {
	input.context.risk_score >= 0
	input.context.risk_score <= 100
}

joined := concat(",", [text | some text in input.token.scopes])

first_scope := [scope | some scope in input.token.scopes][0]

nested := {"a": [{"b": x} | some x in roles], "c": {x | some x in both}}

nobody if not known_role

known_role if input.user.role in data.roles

with_other if allow with input.context.risk_score as 5 with input.device.bound as false

# Roles, attributes of resources, and risk thresholds, as an organisation combines them. For the comparison with OPA.
package authz

import rego.v1

decision := {
	"effect": effect,
	"obligations": [obligation | some obligation in obligations],
	"reasons": [reason | some reason in reasons],
	"final": "abac.resource" in reasons,
}

default effect := "deny"

effect := "allow" if {
	count(deny) == 0
	has_permission
	resource_ok
	not step_up
}

user_roles := object.get(data.bindings, input.user.id, {"roles": []}).roles

age_ms := input.context.time - (input.session.auth_time * 1000)

required_permission := sprintf("%v:%s", [input.resource.type, lower(input.action.name)])

has_permission if {
	some role in user_roles
	data.roles[role].permissions[required_permission]
}

has_permission if {
	some role in user_roles
	some parent in data.roles[role].inherits
	data.roles[parent].permissions[required_permission]
}

privileged_action if lower(input.action.name) in {"delete", "admin", "export", "grant"}

resource := data.resources[input.resource.id]

owner if resource.owner == input.user.id

resource_ok if owner

resource_ok if resource.classification in {"public", "internal"}

resource_ok if {
	resource.classification == "confidential"
	clearance >= 2
	input.device.managed
}

resource_ok if {
	resource.classification == "secret"
	clearance >= 3
	input.device.managed
	input.device.bound
	in_region
}

default clearance := 0

clearance := data.bindings[input.user.id].clearance

in_region if input.context.place.known.country in resource.regions

threshold := data.thresholds[resource.classification]

default risk_level := "low"

risk_level := "critical" if {
	input.context.risk_score >= threshold.deny
} else := "high" if {
	input.context.risk_score >= threshold.step_up
} else := "medium" if {
	input.context.risk_score >= threshold.watch
}

deny contains {"code": "device.noncompliant", "msg": "device is not compliant"} if not input.device.compliant

deny contains {"code": "risk.critical", "msg": sprintf("risk %v over deny threshold", [input.context.risk_score])} if {
	risk_level == "critical"
}

deny contains {"code": "geo.blocked", "msg": country} if {
	country := input.context.place.known.country
	country in data.blocked_countries
}

deny contains {"code": "risk.travel", "msg": reason.text} if {
	some reason in input.context.risk.reasons
	reason.signal == "travel"
	reason.points > 20
}

deny contains {"code": "ip.blocked", "msg": input.context.ip} if data.blocked_ips[input.context.ip]

step_up := {"acr": "phrh", "max_age": 60} if {
	risk_level == "high"
	age_ms > 60000
} else := {"acr": "phr", "max_age": 300} if {
	privileged_action
	age_ms > 300000
} else := {"acr": "mfa", "max_age": 3600} if {
	risk_level == "medium"
	age_ms > 3600000
}

obligations contains {"id": "log.full", "type": "log"} if privileged_action

obligations contains {"id": "mask", "type": "mask", "properties": {"fields": resource.pii}} if {
	resource.classification in {"confidential", "secret"}
	not owner
}

obligations contains {"id": "watermark", "type": "mark", "properties": {"age": age_ms}} if resource.classification == "secret"

reasons contains denial.code if some denial in deny

reasons contains "rbac.no_permission" if not has_permission

reasons contains "abac.resource" if not resource_ok

reasons contains concat(".", ["step_up", step_up.acr]) if step_up

reasons contains sprintf("max_age %v", [step_up.max_age])

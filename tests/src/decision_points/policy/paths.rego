# METADATA
# title: The policy of the suite for decision points
# description: Each path stands for one kind of answer. Nothing here depends on risk, time or directories.
package authz

import rego.v1

path := input.request.path

known := {"/open", "/closed", "/strong", "/told", "/told/twice", "/marked", "/torn", "/shapeless", "/undefined", "/mine"}

decision := {"effect": "deny"} if not path in known

decision := {"effect": "allow"} if path == "/open"

decision := {"effect": "deny", "final": true, "reasons": ["closed to everybody"]} if path == "/closed"

decision := {"effect": "deny"} if {
	path == "/strong"
	not "phr" in input.session.acr_satisfied
}

decision := {"effect": "allow"} if {
	path == "/strong"
	"phr" in input.session.acr_satisfied
}

decision := {"effect": "allow", "obligations": [note("n1")]} if path == "/told"

decision := {"effect": "allow", "obligations": [note("n1"), note("n2")]} if path == "/told/twice"

decision := {"effect": "allow", "obligations": [{"id": "w", "type": "watermark", "properties": {}}]} if path == "/marked"

# Two rules that disagree are an error of the policy.
decision := {"effect": "allow"} if path == "/torn"

decision := {"effect": "deny"} if path == "/torn"

decision := {"effect": "perhaps"} if path == "/shapeless"

decision := {"effect": "allow"} if {
	path == "/mine"
	input.token.sub == "alice"
	input.action.name == "GET"
}

decision := {"effect": "deny", "final": true} if {
	path == "/mine"
	not alices_reading
}

alices_reading if {
	input.token.sub == "alice"
	input.action.name == "GET"
}

note(id) := {"id": id, "type": "notification", "properties": {"to": "security@payroll.example", "about": path}}

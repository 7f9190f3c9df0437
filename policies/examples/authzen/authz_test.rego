package authz_test

import data.authz
import rego.v1

record(id, status) := {"type": "record", "id": id, "properties": {"status": status}}

alice := {"type": "user", "id": "alice", "properties": {"writes": ["record"]}}

bob := {"type": "user", "id": "bob", "properties": {"role": "admin"}}

test_everybody_of_the_fixture_reads if {
	some subject in [alice, bob]
	authz.allow with input as {"subject": subject, "action": {"name": "read"}, "resource": record("record-1", "active")}
}

test_an_admin_writes_what_is_archived_and_nothing_else if {
	write := {"name": "write"}
	authz.allow with input as {"subject": bob, "action": write, "resource": record("record-2", "archived")}
	not authz.allow with input as {"subject": bob, "action": write, "resource": record("record-1", "active")}
	not authz.allow with input as {"subject": alice, "action": write, "resource": record("record-2", "archived")}
}

test_only_a_soft_delete_is_allowed if {
	soft := {"name": "delete", "properties": {"soft": true}}
	hard := {"name": "delete", "properties": {"soft": false}}
	authz.allow with input as {"subject": alice, "action": soft, "resource": record("record-1", "active")}
	not authz.allow with input as {"subject": alice, "action": hard, "resource": record("record-1", "active")}
}

test_a_stranger_may_nothing if {
	stranger := {"type": "user", "id": "nobody"}
	not authz.allow with input as {"subject": stranger, "action": {"name": "read"}, "resource": record("record-1", "active")}
}

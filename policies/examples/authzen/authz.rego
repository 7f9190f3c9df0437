# METADATA
# title: AuthZEN's certification fixture, and the policies of its interoperability events
# description: It looks at what is asked and at the directory, never at the time, the risk or the past, so that the same question has the same answer.
package authz

import rego.v1

default allow := false

# The certification fixture: records, and who is in the entity directory.

allow if {
	is_record
	input.action.name == "read"
}

allow if {
	is_record
	input.action.name == "write"
	input.resource.properties.status == "active"
	is_writer
}

allow if {
	is_record
	input.action.name == "write"
	input.resource.properties.status == "archived"
	input.subject.properties.role == "admin"
}

allow if {
	is_record
	input.action.name == "delete"
	input.action.properties.soft == true
	is_writer
}

is_record if {
	data.entities.subjects.user[input.subject.id]
	data.entities.resources[input.resource.type][input.resource.id]
	input.subject.type == "user"
	input.resource.type == "record"
}

is_writer if input.resource.type in input.subject.properties.writes

# The todo application: what each role may do, and what each may do with their own.

allow if {
	input.resource.type in {"user", "todo"}
	some role in person.roles
	input.action.name in data.todo.roles[role].any
}

allow if {
	input.resource.type == "todo"
	some role in person.roles
	input.action.name in data.todo.roles[role].own
	input.resource.properties.ownerID == person.email
}

# The gateway before it: the same people, and a coarser look.

allow if {
	input.subject.type == "identity"
	input.resource.type == "route"
	some role in person.roles
	input.action.name in data.gateway.roles[role]
}

person := data.people[input.subject.id]

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
	input.subject.type == "user"
	input.subject.id in data.fixture.users
	input.resource.type == "record"
	data.entities.resources.record[input.resource.id].status
}

is_writer if input.resource.type in input.subject.properties.writes

# The search event: records that belong to somebody in a department.

allow if {
	input.action.name in {"view", "edit", "delete"}
	is_own
}

allow if {
	input.action.name == "view"
	is_in_department
}

allow if {
	input.action.name == "view"
	is_owned
	input.subject.properties.manager == true
}

allow if {
	input.action.name == "edit"
	is_in_department
	input.subject.properties.manager == true
}

is_owned if {
	input.subject.type == "user"
	input.resource.type == "record"
	data.entities.resources.record[input.resource.id].owner
}

is_own if {
	is_owned
	input.resource.properties.owner == input.subject.id
}

is_in_department if {
	is_owned
	input.resource.properties.department == input.subject.properties.department
}

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

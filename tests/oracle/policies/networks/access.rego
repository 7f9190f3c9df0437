# What access policies ask of addresses, paths, headers, versions and clocks. For the comparison with OPA.
package authz

import rego.v1

decision := {"effect": effect, "reasons": reasons}

default effect := "deny"

effect := "allow" if {
	inside
	working_hour
	not forbidden_path
}

# An address that is none is no error here: it is not asked about.
inside if {
	input.context.ip != ""
	some network in data.networks
	net.cidr_contains(network, input.context.ip)
}

private if {
	input.context.ip != ""
	net.cidr_contains("10.0.0.0/8", input.context.ip)
}

now_ns := input.context.time * 1000000

clock := time.clock([now_ns, "Europe/Paris"])

working_hour if {
	clock[0] >= 7
	clock[0] < 20
	not weekend
}

weekend if time.weekday([now_ns, "Europe/Paris"]) in {"Saturday", "Sunday"}

working_hour if input.user.role == "break_glass"

forbidden_path if regex.match(`^/(?i:admin)(/|$)`, input.request.path)

forbidden_path if glob.match("/salaries/*", ["/"], input.request.path)

forbidden_path if {
	parts := split(trim_prefix(input.request.path, "/"), "/")
	parts[count(parts) - 1] == "7"
}

reasons contains sprintf("%02d:%02d:%02d on %s", [clock[0], clock[1], clock[2], time.weekday(now_ns)])

reasons contains sprintf("date %v", [time.date([now_ns, "America/New_York"])])

reasons contains "private" if private

reasons contains sprintf("header %s is %q", [name, value]) if {
	some name, values in input.request.headers
	some value in values
}

reasons contains concat("|", regex.split(`[/.\-_]+`, input.request.path))

reasons contains regex.replace(input.request.raw_path, `[0-9]+`, "<$0>")

reasons contains upper(input.resource.id)

reasons contains urlquery.encode(input.request.query)

reasons contains base64url.encode_no_pad(input.resource.id)

reasons contains sprintf("%s", [json.marshal(input.token.claims)])

reasons contains "old client" if {
	version := input.request.headers["x-api-version"][0]
	semver.is_valid(version)
	semver.compare(version, "1.2.0") < 0
}

reasons contains sprintf("size %v", [units.parse_bytes(concat("", [sprintf("%d", [input.context.risk_score]), "KiB"]))])

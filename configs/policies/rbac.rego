# Who may do what to which kind of thing, by role.
#
# input: {"user": "user-017", "action": "read", "resource": "document", ...}
# data:  rbac.json: users and their roles; roles, what they grant, and the roles whose grants they include

package rbac

default allow := false

allow if {
	some role in roles
	some grant in data.roles[role].grants
	grant.resource in {input.resource, "*"}
	grant.action in {input.action, "*"}
}

# A user's own roles, and those that they include. `includes` is closed: what is included in what is included is listed.
roles contains role if some role in data.users[input.user].roles

roles contains included if {
	some role in data.users[input.user].roles
	some included in data.roles[role].includes
}

# Why: the roles that grant it, for an audit log.
reasons contains role if {
	some role in roles
	some grant in data.roles[role].grants
	grant.resource in {input.resource, "*"}
	grant.action in {input.action, "*"}
}

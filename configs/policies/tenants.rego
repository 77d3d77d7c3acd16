# Several tenants in one service: a role held on a tenant counts for its projects, one held on a project for its documents,
# and a rule that denies beats every rule that grants.
#
# input: {"user", "action", "resource", "tenant", "project"}, and about documents also {"document", "classification", "mfa"}
# data:  tenants.json: organizations with their members, projects and documents; users who are suspended

package tenants

default allow := false

allow if {
	granted
	not denied
}

rank := {"viewer": 1, "editor": 2, "manager": 3, "owner": 4}

needed := {"read": 1, "list": 1, "create": 2, "update": 2, "delete": 3, "configure": 3, "grant": 4}

organization := data.organizations[input.tenant]

project := organization.projects[input.project]

granted if {
	some level in levels
	level >= needed[input.action]
}

# What the user holds on the tenant, on the project and on the document: the highest counts.
levels contains rank[organization.members[input.user]]

levels contains rank[project.members[input.user]]

levels contains rank[project.documents[input.document].members[input.user]]

denied if count(deny) > 0

deny contains "suspended" if input.user in data.suspended

deny contains "frozen" if {
	project.frozen
	needed[input.action] > 1
}

deny contains "second factor" if {
	input.classification == "restricted"
	not input.mfa
}

deny contains "legal hold" if {
	input.action == "delete"
	project.documents[input.document].legal_hold
}

deny contains "billing is the tenant's" if {
	input.resource in {"invoice", "account"}
	needed[input.action] > 1
	rank[organization.members[input.user]] < 3
}

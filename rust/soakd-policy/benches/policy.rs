//! One decision on prepared input: role-based and multi-tenant.
#![allow(missing_docs, reason = "what criterion_group! makes")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use soakd_policy::{Options, Policy, Value};

const ROLES: &str = r#"package p
grants := {"admin": {"read", "write", "delete"}, "editor": {"read", "write"}, "viewer": {"read"}}
default x := false
x if {
    some role in input.user.roles
    input.action in grants[role]
}
"#;

const TENANTS: &str = r#"package p
default x := false
x if {
    not locked
    some role in member.roles
    some grant in data.grants[role]
    grant.action == input.action
    glob.match(grant.resource, ["/"], input.resource.path)
}
member := data.tenants[input.tenant].projects[input.project].members[input.user.id]
locked if {
    some hold in data.tenants[input.tenant].holds
    startswith(input.resource.path, hold)
}
"#;

const DATA: &str = r#"{
    "grants": {
        "owner": [{"action": "read", "resource": "**"}, {"action": "write", "resource": "**"}],
        "guest": [{"action": "read", "resource": "public/*"}]
    },
    "tenants": {"acme": {
        "holds": ["secret/", "legal/"],
        "projects": {"web": {"members": {"ann": {"roles": ["guest", "owner"]}, "bob": {"roles": ["guest"]}}}}
    }}
}"#;

fn value(json: &str) -> Value {
    Value::from_json_str(json).unwrap_or(Value::Undefined)
}

fn benches(criterion: &mut Criterion) {
    let cases = [
        ("role-based", ROLES, None, r#"{"user": {"roles": ["viewer", "editor"]}, "action": "write"}"#),
        (
            "multi-tenant",
            TENANTS,
            Some(value(DATA)),
            r#"{"tenant": "acme", "project": "web", "user": {"id": "ann"}, "action": "write",
                "resource": {"path": "docs/readme"}}"#,
        ),
    ];
    for (name, source, data, input) in cases {
        let Ok(mut policy) = Policy::new([("p.rego", source)], "data.p.x", data, Options::default()) else { return };
        let input = value(input);
        criterion.bench_function(name, |bencher| bencher.iter(|| black_box(policy.decide(input.clone()))));
    }
}

criterion_group!(all, benches);
criterion_main!(all);

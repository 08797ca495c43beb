//! Tables, orders, and their destinations.

use super::*;
use crate::order::Provenance;
use conductor_core::intent::{Policy, judge};

const TABLE: &str = r#"
    [repository.edge]
    git = "/srv/edge"
    [[route]]
    namespace = "oran-*"
    target = "cnf-*"
    package = "{namespace}/cnf"
    max-replicas = 5
    [[route]]
    namespace = "oran-*"
    repository = "edge"
    package = "functions/{package}"
    kind = "StatefulSet"
    name = "{target}"
"#;

fn order(namespace: &str, target: &str, replicas: u32, constraints: &str) -> Order {
    let text = format!(
        r#"{{"intent_type":"scaling","target":"{target}","namespace":"{namespace}","replicas":{replicas}{constraints}}}"#
    );
    let intent = judge(text.as_bytes(), Policy::default()).unwrap();
    Order { intent, provenance: Provenance::default(), came: None }
}

fn routes(text: &str) -> Result<Routes, String> {
    Routes::from_toml(text.parse().unwrap())
}

#[test]
fn the_first_route_that_covers_and_agrees_counts() {
    let routes = routes(&TABLE.replace("name = \"{target}\"", "")).unwrap();
    let cases = [
        (order("oran-sim", "cnf-a", 5, ""), Ok(("oran-sim/cnf", false))),
        (order("oran-sim", "cnf-a", 6, ""), Err("allows 0 to 5 replicas, not 6")),
        (order("oran-sim", "upf", 6, ""), Ok(("functions/upf", true))),
        (order("other", "upf", 6, ""), Err("no route covers other/upf")),
        (
            order("oran-sim", "cnf-a", 6, r#","constraints":{"kpt_package_name":"five-g"}"#),
            Ok(("functions/five-g", true)),
        ),
        (
            order("oran-sim", "cnf-a", 6, r#","constraints":{"porch_repository":"edge"}"#),
            Ok(("functions/cnf-a", true)),
        ),
        (
            order(
                "oran-sim",
                "cnf-a",
                6,
                r#","constraints":{"kpt_package_name":"x","porch_repository":"core"}"#,
            ),
            Err("no route of oran-sim/cnf-a leads to package 'x' in repository 'core'"),
        ),
    ];
    for (order, expected) in cases {
        match (routes.assign(&order), expected) {
            (Ok(found), Ok((dir, in_git))) => {
                assert_eq!((found.dir.as_deref(), found.repository.is_some()), (Some(dir), in_git));
            }
            (Err(PorchError::Policy(reason)), Err(part)) => assert!(reason.contains(part), "{reason}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn without_a_table_no_repository_can_be_named() {
    let order = order("ns", "web", 3, r#","constraints":{"porch_repository":"edge"}"#);
    assert!(matches!(Routes::default().assign(&order), Err(PorchError::Policy(_))));
}

#[test]
fn tables_with_mistakes_are_refused_with_their_place() {
    let cases = [
        ("[[route]]\npackage = \"../up\"", "route 1: package '../up'"),
        ("[[route]]\npackage = \"/abs\"", "route 1"),
        ("[[route]]\npackage = \"{target\"", "placeholder"),
        ("[[route]]\npackage = \"a/.git\"", "begin with a dot"),
        ("[[route]]\nrepository = \"nope\"", "there is no [repository.nope]"),
        ("[[route]]\nmin-replicas = 5\nmax-replicas = 2", "above max-replicas"),
        ("[[route]]\nnamespce = \"a\"", "namespce"),
        ("[repository.a]\nbranch = \"x\"", "git"),
        ("[repository.a]\ngit = \"/a\"\nbranch = \"--upload-pack=x\"", "branch"),
        ("[repository.a]\ngit = \"/a\"\npush = \"--exec=x\"", "push"),
        ("[repository.a]\ngit = \"/a\"\nauthor = \"nobody\"", "author"),
    ];
    for (text, part) in cases {
        let reason = routes(text).unwrap_err();
        assert!(reason.contains(part), "{text}: {reason}");
    }
}

#[test]
fn patterns() {
    let cases = [
        ("*", "", true),
        ("*", "web", true),
        ("web", "web", true),
        ("web", "web2", false),
        ("web-*", "web-1", true),
        ("*-web", "a-web", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "acb", false),
        ("a*a", "a", false),
        ("**", "x", true),
        ("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ];
    for (pattern, text, expected) in cases {
        assert_eq!(glob::matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn a_branch_is_named_as_people_name_it() {
    let with =
        |branch: &str| Repository { branch: Some(branch.to_owned()), ..Repository::new("/srv/edge".into()) };
    let good =
        ["main", "release/1.2", "team-a/x_y", "user@host", "größe", "a{b", "x.locked", "a./b", "heads/main"];
    for name in good {
        assert_eq!(with(name).validate(), Ok(()), "{name}");
    }
    let bad = [
        "HEAD",
        "@",
        "refs/heads/main",
        "main/",
        "/main",
        "a//b",
        "x.lock",
        "x.lock/y",
        "a/.b",
        ".a",
        "a.",
        "-x",
        "",
        "a..b",
        "a@{1}",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "[a",
        "a\\b",
        "a\u{7f}",
        "a\nb",
    ];
    for name in bad {
        assert!(with(name).validate().is_err(), "{name}");
    }
    // git agrees on each name that it judges at all.
    if conductor_testkit::has("git") {
        for name in good.iter().chain(&bad) {
            let words = ["check-ref-format", "--branch", name];
            let judged = std::process::Command::new("git").args(words).output().unwrap().status.success();
            let ours_alone = name.starts_with("refs/") || *name == "@";
            assert!(ours_alone || judged == good.contains(name), "{name}: {judged}");
        }
    }
    let from = |from: &str| Repository { from: Some(from.to_owned()), ..Repository::new("/srv/edge".into()) };
    assert!(from("HEAD").validate().is_ok() && from("main").validate().is_ok());
    assert!(from("refs/heads/main").validate().unwrap_err().starts_with("from 'refs/heads/main'"));
}

//! Secrets and certificates that are renewed behind symbolic links, as volumes of Kubernetes and clients of certificate authorities
//! do it: they are read in a root directory of the daemon's own, and stay closed to porch.

use crate::chroot;
use crate::confinement::{assert_refused, is_testable, plant};
use crate::endpoints::{send, status};
use crate::env;
use conductor_testkit::{Running, TestEnv, flat, wait_until};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};

const FIRST: &str = "the-first-token-0123456789";
const SECOND: &str = "the-second-token-0123456789";

fn secret(env: &TestEnv, name: &str, content: impl AsRef<[u8]>) {
    let path = env.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Leads a link elsewhere, in one step.
fn lead(env: &TestEnv, link: &str, target: &str) {
    let draft = env.path("link.draft");
    symlink(target, &draft).unwrap();
    fs::rename(draft, env.path(link)).unwrap();
}

fn answer(address: SocketAddr, token: &str) -> u16 {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    status(&send(address, &request).0)
}

fn serving(env: &TestEnv, token: &str, more: &[&str]) -> (Running, SocketAddr) {
    let token = env.path(token).display().to_string();
    let flags = ["-porch", "builtin", "-listen", "127.0.0.1:0", "-token-file", &token];
    let daemon = chroot::start_ready(env, &[&flags[..], more].concat());
    let address = daemon.logged_value("listening", "address").unwrap().parse().unwrap();
    (daemon, address)
}

#[test]
fn secrets_behind_links_are_read_in_the_root_also_after_the_links_are_led_elsewhere() {
    // The directories with the links, and how they are led to the second content.
    let layouts = [
        // A volume of Kubernetes.
        ("volume/token", [("volume/..data", "..1"), ("volume/token", "..data/token")], "volume/..1/token"),
        // A client of a certificate authority.
        (
            "live/x/token",
            [("live/x/token", "../../archive/x/token1"), ("live/x/README", "x")],
            "archive/x/token1",
        ),
        // Directories by version, and the one in force.
        (
            "versions/current/token",
            [("versions/current", "v1"), ("versions/other", "v0")],
            "versions/v1/token",
        ),
    ];
    for (token, links, first) in layouts {
        let Some(env) = chroot::rooted() else { return };
        secret(&env, first, FIRST);
        for (link, target) in links {
            fs::create_dir_all(env.path(link).parent().unwrap()).unwrap();
            lead(&env, link, target);
        }
        let (daemon, address) = serving(&env, token, &[]);
        assert_eq!((answer(address, FIRST), answer(address, SECOND)), (200, 401), "{token}");
        secret(&env, &first.replace('1', "2"), SECOND);
        let (link, target) = links[0];
        lead(&env, link, &target.replace('1', "2"));
        wait_until("the renewed token is in force", || answer(address, SECOND) == 200);
        daemon.stop().expect(0);
    }
}

#[test]
fn b13_porch_reads_no_renewed_secret_behind_a_link() {
    if !is_testable() {
        return;
    }
    let env = env();
    secret(&env, "volume/..1/token", FIRST);
    lead(&env, "volume/..data", "..1");
    lead(&env, "volume/token", "..data/token");
    let volume = env.path("volume").display().to_string();
    plant(
        &env,
        &format!(
            r#"
for version in ["..1", "..2", "..data"]:
    attempt(version, lambda: read("{volume}/" + version + "/token"))
"#
        ),
    );
    let (root, token) = (env.path("").display().to_string(), env.path("volume/token").display().to_string());
    let porch = env.path("bin/attack").display().to_string();
    let daemon = env.start_ready(&["-porch", &porch, "-porch-read", &root, "-token-file", &token]);
    let run = |name: &str| {
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
        env.wait_status(&format!("intent-{name}.json"));
        let result = fs::read_to_string(env.path("out/result.json")).unwrap();
        assert_refused(&serde_json::from_str(&result).unwrap());
    };
    secret(&env, "volume/..2/token", SECOND);
    run("before");
    lead(&env, "volume/..data", "..2");
    run("after");
    daemon.stop().expect(0);
}

//! Secrets and certificates that are renewed behind symbolic links, as volumes of Kubernetes and clients of certificate authorities
//! do it: they are read in a root directory of the daemon's own, and stay closed to porch.

use crate::chroot;
use crate::confinement::{assert_refused, is_testable, plant};
use crate::endpoints::{send, status};
use crate::env;
use crate::surroundings::program;
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

/// The whole output of a run of porch, which succeeds.
fn output_of(env: &TestEnv, name: &str) -> String {
    env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
    let status = env.wait_status(&format!("intent-{name}.json"));
    assert_eq!(status["status"], "success", "{status:#}");
    fs::read_to_string(env.path("out/said")).unwrap()
}

#[test]
fn what_porch_may_read_and_its_program_are_those_of_the_run_and_not_of_the_first_one() {
    if !is_testable() {
        return;
    }
    let env = env();
    let directory = |version: &str| {
        for name in ["listed", "programs"] {
            fs::create_dir(env.path(&format!("{name}-{version}"))).unwrap();
        }
        fs::write(env.path(&format!("listed-{version}/file")), version).unwrap();
        fs::write(env.path(&format!("kubeconfig-{version}")), version).unwrap();
        let [listed, kubeconfig] = ["listed/file", "kubeconfig"].map(|name| env.path(name));
        let script = format!(
            "#!/bin/sh\ncat '{}' '{}' > \"$4/said\" 2>&1; echo {version} >> \"$4/said\"\n",
            listed.display(),
            kubeconfig.display()
        );
        program(&env.path(&format!("programs-{version}/porch")), &script);
    };
    let put = |version: &str| {
        for name in ["listed", "programs", "kubeconfig"] {
            let (to, old) = (env.path(name), env.path(&format!("{name}-old")));
            // The first one is not there yet.
            let _ = fs::rename(&to, old);
            fs::rename(env.path(&format!("{name}-{version}")), to).unwrap();
        }
    };
    directory("one");
    directory("two");
    put("one");
    let [porch, listed, kubeconfig] =
        ["programs/porch", "listed", "kubeconfig"].map(|name| env.path(name).display().to_string());
    let flags = ["-porch", &porch, "-porch-read", &listed, "-kubeconfig", &kubeconfig];
    let daemon = env.start_ready(&flags);
    assert_eq!(output_of(&env, "a"), "oneoneone\n");
    put("two");
    assert_eq!(output_of(&env, "b"), "twotwotwo\n");
    daemon.stop().expect(0);
}

#[test]
fn b13_a_secret_is_closed_wherever_its_link_leads_now() {
    if !is_testable() {
        return;
    }
    let env = env();
    secret(&env, "listed/one/token", FIRST);
    secret(&env, "listed/two/token", SECOND);
    fs::create_dir(env.path("link")).unwrap();
    lead(&env, "link/token", env.path("listed/one/token").to_str().unwrap());
    let porch = env.path("bin/reader");
    let two = env.path("listed/two/token");
    program(&porch, &format!("#!/bin/sh\ncat '{}' > \"$4/said\" 2>/dev/null; exit 0\n", two.display()));
    let [porch, listed, token] =
        [porch, env.path("listed"), env.path("link/token")].map(|path| path.display().to_string());
    let daemon = env.start_ready(&["-porch", &porch, "-porch-read", &listed, "-token-file", &token]);
    assert_eq!(output_of(&env, "a"), SECOND, "it is a file like any other as long as no link leads to it");
    lead(&env, "link/token", two.to_str().unwrap());
    assert_eq!(output_of(&env, "b"), "");
    daemon.stop().expect(0);
}

//! Answers on an address that every local user can reach, and the effect of a deleted token.

use crate::endpoints::{get, listening, listening_as, send, status};
use crate::env;
use conductor_testkit::{flat, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const PARTS: [&str; 9] = [
    "/",
    "/page.js",
    "/plots.js",
    "/detail.js",
    "/page.css",
    "/api/v1/status",
    "/api/v1/intents",
    "/api/v1/intents/1",
    "/api/v1/events",
];

#[test]
fn without_a_token_an_address_tells_health_and_metrics_only() {
    let env = env();
    env.script("*: err=the-password-is-hunter2 exit=3");
    let (daemon, address) = listening_as(&env, &[]);
    env.drop_file("intent-secret.json", flat("secret", 3));
    env.wait_status("intent-secret.json");
    for path in ["/healthz", "/livez", "/readyz", "/metrics"] {
        let (code, text) = get(address, path);
        assert_eq!(code, 200, "{path}");
        assert!(!text.contains("secret") && !text.contains("hunter2"), "{path}: {text}");
    }
    for path in PARTS {
        let (code, text) = get(address, path);
        assert!(code == 403 && text.contains("--token-file"), "{path}: {code} {text}");
    }
    daemon.wait_log("page and API stay closed");
    daemon.stop().expect(0);
    // An explicit flag permits it.
    let (daemon, address) = listening(&env, &[]);
    assert!(PARTS.iter().take(6).all(|path| get(address, path).0 == 200));
    assert!(!daemon.logged("stay closed"));
    daemon.stop().expect(0);
}

#[test]
fn a_deleted_token_lets_nobody_in_until_there_is_one_again() {
    let env = env();
    let token = "0123456789abcdef0123";
    let file = env.path("token");
    fs::write(&file, token).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let (daemon, address) = listening_as(&env, &["-token-file", file.to_str().unwrap()]);
    let with_token = || {
        let request = format!(
            "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        status(&send(address, &request).0)
    };
    assert_eq!(with_token(), 200);
    assert!(!daemon.logged("everybody may read"));
    fs::remove_file(&file).unwrap();
    wait_until("the token is taken back", || with_token() == 401);
    assert_eq!((get(address, "/api/v1/status").0, get(address, "/healthz").0), (401, 200));
    daemon.wait_log("the token file is gone");
    fs::write(&file, token).unwrap();
    wait_until("it is given again", || with_token() == 200);
    daemon.stop().expect(0);
}

#[test]
fn a_token_that_everybody_may_read_is_warned_of() {
    let env = env();
    let file = env.path("token");
    fs::write(&file, "0123456789abcdef0123").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let (daemon, _) = listening_as(&env, &["-token-file", file.to_str().unwrap()]);
    daemon.wait_log("is a secret that everybody may read");
    daemon.stop().expect(0);
}

/// The packaged services require authentication, and the package creates the token they need.
#[test]
fn the_packaged_configurations_ask_for_a_token() {
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    let read = |path: &str| fs::read_to_string(format!("{deploy}/{path}")).unwrap();
    let config: toml::Table = read("systemd/config.toml").parse().unwrap();
    assert!(config.contains_key("listen") && !config.contains_key("open-page"));
    let token = config["token-file"].as_str().unwrap();
    assert!(read("debian/postinst").contains(token), "the package makes {token}");
    assert!(read("systemd/credentials.conf").contains("CONDUCTOR_TOKEN_FILE"));
    for page in ["docker/compose.yaml", "docker/Dockerfile"] {
        let text = read(page);
        assert!(!text.contains("open-page"), "{page}");
        let opens_one = text.contains("LISTEN") || text.contains("-listen");
        assert!(!opens_one || text.contains("TOKEN_FILE") || text.contains("-token-file"), "{page}");
    }
}

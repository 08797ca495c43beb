//! Access over the network: tokens, TLS, addresses, and the endpoints in Kubernetes.

use crate::endpoints::{get, listening, send, status};
use crate::{env, is_root};
use conductor_testkit::{Running, TestEnv, flat, has, wait_until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

#[test]
fn a_token_is_needed_for_what_is_not_health() {
    let env = env();
    fs::write(env.path("token"), "0123456789abcdef0123\n").unwrap();
    let (daemon, address) = listening(&env, &["-token-file", env.path("token").to_str().unwrap()]);
    let with = |path: &str, token: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        status(&send(address, &request).0)
    };
    for path in ["/metrics", "/api/v1/status", "/api/v1/events"] {
        assert_eq!(get(address, path).0, 401, "{path}");
        assert_eq!(with(path, "0123456789abcdef0124"), 401, "{path}");
    }
    assert_eq!(
        (with("/metrics", "0123456789abcdef0123"), with("/api/v1/status", "0123456789abcdef0123")),
        (200, 200)
    );
    // The page itself reveals nothing; it asks for the token.
    for path in ["/healthz", "/readyz", "/livez", "/", "/page.js", "/plots.js", "/detail.js"] {
        assert_eq!(get(address, path).0, 200, "{path}");
    }
    // Replaced while the daemon runs; an unusable file leaves the previous token in force.
    fs::write(env.path("token"), "short").unwrap();
    daemon_keeps(&daemon, || with("/metrics", "0123456789abcdef0123") == 200);
    fs::write(env.path("token.new"), "another-token-that-is-long").unwrap();
    fs::rename(env.path("token.new"), env.path("token")).unwrap();
    wait_until("the new token is in force", || with("/metrics", "another-token-that-is-long") == 200);
    assert_eq!(with("/metrics", "0123456789abcdef0123"), 401);
    daemon.stop().expect(0);
    fs::write(env.path("token"), "short").unwrap();
    let refused =
        env.once(&["-listen", "127.0.0.1:0", "-token-file", env.path("token").to_str().unwrap()]).expect(1);
    assert!(refused.stderr.contains("E507") && refused.stderr.contains("at least 16"), "{}", refused.stderr);
}

/// Checks that the daemon keeps the previous files, and reports it.
#[track_caller]
fn daemon_keeps(daemon: &Running, works: impl Fn() -> bool) {
    wait_until("it says that it keeps the last", || {
        assert!(works());
        daemon.logged("the previous content stays in force")
    });
    assert!(works());
}

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(crate) fn sign(&self, env: &TestEnv, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        fs::write(env.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        fs::write(env.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    }

    pub(crate) fn write(&self, env: &TestEnv, name: &str) {
        fs::write(env.path(name), self.0.pem()).unwrap();
    }
}

/// Status of a GET by curl; 0 if there was no answer.
pub(crate) fn curl(env: &TestEnv, address: SocketAddr, path: &str, flags: &[&str]) -> u16 {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--cacert",
            "ca.pem",
        ])
        .args(flags)
        .arg(format!("https://localhost:{}{path}", address.port()))
        .current_dir(env.path(""))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).parse().unwrap()
}

#[test]
fn tls_is_1_3_only_and_certificates_are_read_again() {
    if !has("curl") {
        return;
    }
    let env = env();
    let authority = Authority::new();
    authority.write(&env, "ca.pem");
    authority.sign(&env, "server");
    let files = ["server.pem", "server.key"].map(|name| env.path(name).display().to_string());
    let (daemon, address) = listening(&env, &["-tls-cert", &files[0], "-tls-key", &files[1]]);
    assert_eq!(curl(&env, address, "/api/v1/status", &[]), 200);
    assert_eq!(curl(&env, address, "/healthz", &["--tls-max", "1.2"]), 0, "TLS 1.2 is refused");
    assert_ne!(get(address, "/healthz").0, 200, "and so is plain HTTP");
    // A certificate of another authority, then one that is broken.
    let other = Authority::new();
    other.sign(&env, "server");
    wait_until("the new certificate is shown", || curl(&env, address, "/healthz", &[]) == 0);
    other.write(&env, "ca.pem");
    assert_eq!(curl(&env, address, "/healthz", &[]), 200);
    fs::write(env.path("server.pem"), "nonsense").unwrap();
    daemon_keeps(&daemon, || curl(&env, address, "/healthz", &[]) == 200);
    // Intents are processed meanwhile.
    env.drop_file("intent-a.json", flat("a", 3));
    assert_eq!(env.wait_status("intent-a.json")["status"], "success");
    daemon.stop().expect(0);
}

#[test]
fn clients_show_a_certificate_where_an_authority_is_given_but_not_for_health() {
    if !has("curl") {
        return;
    }
    let env = env();
    let authority = Authority::new();
    authority.write(&env, "ca.pem");
    for name in ["server", "client"] {
        authority.sign(&env, name);
    }
    Authority::new().sign(&env, "stranger");
    let files = ["server.pem", "server.key", "ca.pem"].map(|name| env.path(name).display().to_string());
    let tls = ["-tls-cert", &files[0], "-tls-key", &files[1], "-tls-client-ca", &files[2]];
    let daemon =
        env.start_ready(&[&tls[..], &["-listen", "127.0.0.1:0", "-health-addr", "127.0.0.1:0"]].concat());
    let addresses: Vec<SocketAddr> =
        daemon.logged_values("listening", "address").iter().map(|text| text.parse().unwrap()).collect();
    let [all, health] = addresses.as_slice() else { panic!("{addresses:?}") };
    let by = |name: &str| [format!("{name}.pem"), format!("{name}.key")];
    let (client, stranger) = (by("client"), by("stranger"));
    let flags =
        |pair: &[String; 2]| ["--cert".to_owned(), pair[0].clone(), "--key".to_owned(), pair[1].clone()];
    let with = |pair: &[String; 2]| {
        let flags = flags(pair);
        curl(&env, *all, "/metrics", &flags.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!((with(&client), with(&stranger), curl(&env, *all, "/metrics", &[])), (200, 0, 0));
    assert_eq!((curl(&env, *health, "/healthz", &[]), curl(&env, *health, "/metrics", &[])), (200, 404));
    daemon.stop().expect(0);
    for (flags, code, reason) in [
        (&["-tls-cert", "x"][..], 2, "--tls-key is needed"),
        (&["-tls-client-ca", "x"], 2, "--tls-cert and --tls-key are needed"),
        (&["-listen", "127.0.0.1:0", "-tls-cert", "nowhere", "-tls-key", "nowhere"], 1, "E507"),
        // With TLS other addresses need no further flag.
        (&["-listen", "0.0.0.0:0", "-tls-cert", &files[0], "-tls-key", &files[1]], 0, "listening"),
    ] {
        let finished = env.once(flags).expect(code);
        assert!(finished.stderr.contains(reason), "{flags:?}: {}", finished.stderr);
    }
}

/// Listening ports of a process, in its own network namespace.
fn ports(daemon: &Running) -> Vec<u16> {
    let table =
        |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", daemon.pid())).unwrap_or_default();
    let text = format!("{}{}", table("tcp"), table("tcp6"));
    let listening = text.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A"));
    let port = |line: &str| u16::from_str_radix(line.split_whitespace().nth(1)?.split(':').nth(1)?, 16).ok();
    let mut ports: Vec<u16> = listening.filter_map(port).collect();
    ports.sort_unstable();
    ports
}

/// A command of the daemon in a network namespace of its own, with `set_up` run there first.
fn in_a_namespace(env: &TestEnv, set_up: &str, flags: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let inner = env.command(flags);
    // A fresh namespace has its loopback interface down.
    command.args(["--net", "sh", "-c", &format!("ip link set lo up; {set_up} exec \"$0\" \"$@\"")]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(env.path(""));
    command
}

#[test]
fn in_a_pod_of_one_family_of_addresses_or_of_both_the_probes_are_answered() {
    if !is_root() || !has("unshare") || !has("nsenter") || !has("curl") {
        return eprintln!("NOT TESTED: network namespaces need root, util-linux and curl");
    }
    let env = env();
    // Of an IPv6-only pod, an IPv4-only one, one of both whose system separates them by default.
    let only_6 = "ip addr del 127.0.0.1/8 dev lo;";
    let only_4 = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || exit 9;";
    let apart = "echo 1 >/proc/sys/net/ipv6/bindv6only || exit 9;";
    for (set_up, reached) in
        [(only_6, &["[::1]"][..]), (only_4, &["127.0.0.1"]), (apart, &["127.0.0.1", "[::1]"])]
    {
        let mut command = in_a_namespace(&env, set_up, &[]);
        command.env("KUBERNETES_SERVICE_HOST", "fd00::1").env("CONDUCTOR_INSTANCE", "loop-7");
        let daemon = Running::start(command);
        daemon.wait_log("\"ready\"");
        for host in reached {
            for (port, path, word) in [
                (8080, "livez", "ok"),
                (8080, "readyz", "ready"),
                (9090, "metrics", "conductor_ready{instance=\"loop-7\"} 1"),
            ] {
                let mut curl = Command::new("nsenter");
                curl.args(["--net", "--target", &daemon.pid().to_string(), "curl", "-sgm", "30"]);
                let answer = curl.arg(format!("http://{host}:{port}/{path}")).output().unwrap();
                let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
                assert!(answer.contains(word), "{set_up} {host} {path}: {answer}");
            }
        }
        daemon.stop().expect(0);
    }
}

#[test]
fn in_a_pod_health_and_metrics_are_served_and_elsewhere_nothing() {
    if !is_root() || !has("unshare") {
        return eprintln!("NOT TESTED: network namespaces need root");
    }
    let env = env();
    let pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    for (variable, flags, want) in [
        (None, &[][..], &[][..]),
        (Some(pod), &[], &[8080, 9090]),
        (Some(pod), &["-kubernetes=false"], &[]),
        (None, &["-kubernetes"], &[8080, 9090]),
        (Some(pod), &["-metrics-addr", "127.0.0.1:7001"], &[7001, 8080]),
        (Some(pod), &["-listen", "127.0.0.1:7001"], &[7001]),
    ] {
        let mut command = in_a_namespace(&env, "", flags);
        if let Some((name, value)) = variable {
            command.env(name, value);
        }
        let daemon = Running::start(command);
        daemon.wait_log("\"ready\"");
        assert_eq!(ports(&daemon), want, "{variable:?} {flags:?}");
        daemon.stop().expect(0);
    }
}

//! The environment and configuration of git when it contacts a remote: the operator's settings, no program of the
//! repository's, and never a prompt.

use crate::git::{commits, committed, git};
use crate::has;
use crate::shop::{Run, Shop};
use crate::worktrees::porch;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PUSH: [&str; 4] = ["--git", "repo", "--push", "origin"];

/// A program that records its arguments and environment in `file`, then fails.
fn noting(shop: &Shop, name: &str, file: &str) -> String {
    let text = format!("#!/bin/sh\n{{ echo \"$0 $*\"; env; }} >>{}\nexit 9\n", shop.path(file).display());
    shop.script(name, &text).display().to_string()
}

fn with(shop: &Shop, set: &[(&str, &str)]) -> Run {
    let mut command = shop.command(&shop.intent(5), &PUSH);
    Run::of(&command.envs(set.iter().copied()).output().unwrap())
}

#[test]
fn the_operators_proxy_is_asked() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["remote", "set-url", "origin", "http://git.example.invalid/packages.git"]);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        stream.write_all(b"HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
        line
    });
    let run = with(&shop, &[("http_proxy", &address)]).expect(75);
    if run.stderr.contains("is not a git command") || run.stderr.contains("remote-http") {
        eprintln!("NOT TESTED: this git does not speak HTTP");
        return;
    }
    assert!(asked.join().unwrap().starts_with("GET http://git.example.invalid/packages.git/"));
}

#[test]
fn what_is_set_for_git_reaches_it_and_the_rest_is_named() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["remote", "set-url", "origin", "ssh://git.example.invalid/packages.git"]);
    let ssh = noting(&shop, "my-ssh", "noted");
    let set = [
        ("GIT_SSH_COMMAND", ssh.as_str()),
        ("GIT_SSL_CAINFO", "/etc/own-ca.pem"),
        ("GIT_HTTP_LOW_SPEED_TIME", "5"),
        ("SSL_CERT_FILE", "/etc/own-certs.pem"),
        ("SSH_AUTH_SOCK", "/run/agent"),
        ("https_proxy", "http://proxy.example.invalid:3128"),
        ("NO_PROXY", "localhost"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.askPass"),
        ("GIT_CONFIG_VALUE_0", "/bin/false"),
    ];
    // What has no effect on the steps here is not passed on either, and not worth a word.
    let other = [("GIT_DIR", "/nowhere"), ("SECRET", "hidden"), ("GIT_EDITOR", "/nowhere/vi")];
    // In an order of its own.
    let mut command = Command::new("env");
    command.arg("GIT_INDEX_FILE=/nowhere/index").args(other.map(|(name, value)| format!("{name}={value}")));
    let porch = shop.command(&shop.intent(5), &PUSH);
    command.arg(porch.get_program()).args(porch.get_args()).current_dir(shop.path("."));
    command.env("HOME", shop.path(".")).envs(set);
    let run = Run::of(&command.output().unwrap()).expect(75);
    assert!(run.stderr.contains("not handed on to git: GIT_DIR, GIT_INDEX_FILE)"), "{}", run.stderr);
    let noted = shop.read("noted");
    for (name, value) in set {
        assert!(noted.contains(&format!("{name}={value}\n")), "{name} in {noted}");
    }
    assert!(!noted.contains("SECRET") && !noted.contains("nowhere"), "{noted}");
}

#[test]
fn ssh_is_told_to_fail_where_it_would_ask() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["remote", "set-url", "origin", "ssh://git.example.invalid/packages.git"]);
    noting(&shop, "bin/ssh", "noted");
    let path = format!("{}:{}", shop.path("bin").display(), std::env::var("PATH").unwrap());
    let own = shop.path("bin/ssh").display().to_string();
    let noted = |set: &[(&str, &str)]| {
        std::fs::remove_file(shop.path("noted")).ok();
        with(&shop, &[&[("PATH", path.as_str())], set].concat()).expect(75);
        shop.read("noted").lines().next().unwrap().to_owned()
    };
    assert!(noted(&[]).contains(" -o BatchMode=yes "));
    let asked = noted(&[("GIT_SSH_COMMAND", &format!("{own} -i key"))]);
    assert!(asked.contains(" -i key -o BatchMode=yes "), "{asked}");
    // The configuration of the user, and of the repository if it names only ssh.
    shop.put(".gitconfig", format!("[core]\n\tsshCommand = {own} -p 2222\n"));
    assert!(noted(&[]).contains(" -p 2222 -o BatchMode=yes "));
    git(&shop, "repo", &["config", "core.sshCommand", "ssh -i deploy -o IdentitiesOnly=yes"]);
    assert!(noted(&[]).contains(" -i deploy -o IdentitiesOnly=yes -o BatchMode=yes "));
    // A program that is not ssh gets only arguments that it knows.
    let wrapper = noting(&shop, "wrapper", "noted");
    let asked = noted(&[("GIT_SSH_COMMAND", &wrapper), ("GIT_SSH_VARIANT", "simple")]);
    assert!(!asked.contains("BatchMode"), "{asked}");
    let asked = noted(&[("GIT_SSH_COMMAND", &own), ("GIT_SSH_VARIANT", "simple")]);
    assert!(!asked.contains("BatchMode"), "{asked}");
}

#[test]
fn nothing_that_the_repository_names_runs_when_a_remote_is_talked_to() {
    let Some(shop) = committed() else { return };
    let trap = shop.script("trap", "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\nexit 1\n");
    let trap = trap.display().to_string();
    let helper = format!("!{trap}");
    let cases: [(&str, &str, &str); 8] = [
        ("core.sshCommand", &trap, "ssh://localhost:9/x.git"),
        ("core.gitProxy", &trap, "git://localhost:9/x.git"),
        ("credential.helper", &helper, "http://localhost:9/x.git"),
        ("credential.http://localhost:9.helper", &helper, "http://localhost:9/x.git"),
        ("remote.origin.uploadpack", &trap, "../remote.git"),
        ("remote.origin.receivepack", &trap, "../remote.git"),
        ("remote.origin.vcs", "trap", "../remote.git"),
        ("protocol.ext.allow", "always", "../remote.git"),
    ];
    for (key, value, url) in cases {
        git(&shop, "repo", &["remote", "set-url", "origin", url]);
        git(&shop, "repo", &["config", key, value]);
        for flags in [&PUSH[..], &[&PUSH[..], &["--dry-run"]].concat()] {
            porch(&shop, 5, flags).refused(74, "a repository's word runs no program here");
        }
        // An included file counts as the repository's configuration too.
        git(&shop, "repo", &["config", "--unset", key]);
        let text = git(&shop, "repo", &["config", "-f", "more.cfg", key, value]);
        git(&shop, "repo", &["config", "include.path", "../more.cfg"]);
        porch(&shop, 5, &PUSH).refused(74, "a repository's word runs no program here");
        std::fs::remove_file(shop.path("repo/more.cfg")).unwrap();
        git(&shop, "repo", &["config", "--unset", "include.path"]);
        assert!(text.is_empty() && !shop.path("sprung").exists(), "{key}");
    }
    // Transports that run a program.
    for url in [format!("ext::{trap}"), format!("fd::7/{trap}"), "trap::x".to_owned()] {
        git(&shop, "repo", &["remote", "set-url", "origin", &url]);
        porch(&shop, 5, &PUSH).refused(74, "not allowed");
    }
    assert!(!shop.path("sprung").exists());
    // Without a remote no program is asked for.
    git(&shop, "repo", &["config", "core.sshCommand", &trap]);
    porch(&shop, 5, &["--git", "repo", "--dry-run"]).expect(0);
    porch(&shop, 5, &["--git", "repo"]).line();
    assert_eq!(commits(&shop, "repo"), 2);
}

#[test]
fn the_program_that_signs_is_not_the_repositorys() {
    let Some(shop) = committed() else { return };
    if !has("ssh-keygen") {
        return;
    }
    let key = shop.path("key").display().to_string();
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).status().unwrap();
    assert!(made.success());
    let trap = shop.script("trap", "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\nexit 1\n");
    for key in ["gpg.ssh.program", "gpg.program", "gpg.ssh.defaultKeyCommand"] {
        git(&shop, "repo", &["config", key, &trap.display().to_string()]);
    }
    porch(&shop, 5, &["--git", "repo", "--signing-key", &key]).line();
    assert!(git(&shop, "repo", &["cat-file", "commit", "main"]).contains("-----BEGIN SSH SIGNATURE-----"));
    assert!(!shop.path("sprung").exists());
}

#[test]
fn a_remote_that_says_nothing_is_left_in_time() {
    let Some(shop) = committed() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/packages.git", silent.local_addr().unwrap());
    git(&shop, "repo", &["remote", "set-url", "origin", &url]);
    let begin = Instant::now();
    let flags = [&PUSH[..], &["--timeout", "1500ms"]].concat();
    porch(&shop, 5, &flags).refused(75, "did not end in time");
    assert!(begin.elapsed() < Duration::from_secs(15));
}

/// Runs a command on a terminal and returns its output; `None` if there is no `script`.
fn on_a_terminal(shop: &Shop, command: &str) -> Option<String> {
    if !has("script") {
        return None;
    }
    let mut script = Command::new("script");
    script.args(["-qec", command, "/dev/null"]).current_dir(shop.path(".")).env("HOME", shop.path("."));
    let output = script.stdin(Stdio::null()).output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn on_a_terminal_what_takes_long_is_shown() {
    let Some(shop) = committed() else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/packages.git", silent.local_addr().unwrap());
    git(&shop, "repo", &["remote", "set-url", "origin", &url]);
    let command = format!(
        "{} -intent {} --git repo --push origin --timeout 3s",
        env!("CARGO_BIN_EXE_porch"),
        shop.intent(5).display()
    );
    let Some(shown) = on_a_terminal(&shop, &command) else { return };
    assert!(shown.contains("porch: git ls-remote has taken 1 s; it is stopped in"), "{shown}");
    assert!(!shown.contains("has taken 0 s"), "{shown}");
}

#[test]
fn on_a_terminal_the_last_that_git_said_is_shown() {
    let Some(shop) = committed() else { return };
    let says = "printf 'remote: Counting: 41%%\\rremote: Counting: 42%%\\r\\n' >&2; sleep 1000";
    let path = crate::git::shim(&shop, "ls-remote", says);
    let command = format!(
        "PATH={path} {} -intent {} --git repo --push origin --timeout 2500ms",
        env!("CARGO_BIN_EXE_porch"),
        shop.intent(5).display()
    );
    let Some(shown) = on_a_terminal(&shop, &command) else { return };
    assert!(shown.contains(" s. remote: Counting: 42%"), "{shown}");
}

#[test]
fn a_key_with_a_passphrase_is_not_asked_for_on_a_terminal() {
    let Some(shop) = committed() else { return };
    if !has("ssh-keygen") {
        return;
    }
    let key = shop.path("key").display().to_string();
    let words = ["-q", "-t", "ed25519", "-N", "a passphrase", "-f", &key];
    assert!(Command::new("ssh-keygen").args(words).status().unwrap().success());
    let command = format!(
        "{} -intent {} --git repo --signing-key key --timeout 10s",
        env!("CARGO_BIN_EXE_porch"),
        shop.intent(5).display()
    );
    let Some(shown) = on_a_terminal(&shop, &command) else { return };
    assert!(shown.contains("E312") && !shown.contains("assphrase for"), "{shown}");
    assert!(!shown.contains("did not end in time"), "{shown}");
    assert_eq!(commits(&shop, "repo"), 1);
}

/// An sshd of our own on loopback, its port, and whether its directory was made for it; ended when dropped.
struct Sshd(std::process::Child, u16, bool);

impl Drop for Sshd {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
        if self.2 {
            std::fs::remove_dir("/run/sshd").ok();
        }
    }
}

fn sshd(shop: &Shop) -> Option<Sshd> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let program = dirs.map(|dir| dir.join("sshd")).find(|path| path.is_file())?;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for name in ["host_key", "user_key"] {
        let key = shop.path(name);
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
    }
    std::fs::copy(shop.path("user_key.pub"), shop.path("authorized")).unwrap();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {}\nPasswordAuthentication no\nPermitRootLogin yes\n",
        shop.path("host_key").display(),
        shop.path("authorized").display()
    );
    let config = shop.put("sshd_config", config);
    // Where it goes when it separates its rights.
    let made = std::fs::create_dir("/run/sshd").is_ok();
    let mut command = Command::new(program);
    command.arg("-D").arg("-f").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    let sshd = Sshd(command.spawn().ok()?, port, made);
    let begin = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if begin.elapsed() > Duration::from_secs(10) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(sshd)
}

#[test]
fn an_unknown_host_key_fails_at_once_on_a_terminal_too() {
    let Some(shop) = committed() else { return };
    let Some(sshd) = sshd(&shop) else {
        eprintln!("NOT TESTED: there is no sshd here that could be started");
        return;
    };
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let url = format!("ssh://{}@127.0.0.1:{}{}", user.trim(), sshd.1, shop.path("remote.git").display());
    git(&shop, "repo", &["remote", "set-url", "origin", &url]);
    let known = shop.path("known_hosts").display().to_string();
    let ssh = format!("ssh -F none -i {} -o UserKnownHostsFile={known}", shop.path("user_key").display());
    let begin = Instant::now();
    let command = format!(
        "GIT_SSH_COMMAND='{ssh}' {} -intent {} --git repo --push origin",
        env!("CARGO_BIN_EXE_porch"),
        shop.intent(5).display()
    );
    if let Some(shown) = on_a_terminal(&shop, &command) {
        assert!(shown.contains("E312") && shown.contains("Host key verification failed"), "{shown}");
        assert!(!shown.contains("yes/no") && begin.elapsed() < Duration::from_secs(20), "{shown}");
    }
    with(&shop, &[("GIT_SSH_COMMAND", &ssh)]).refused(75, "Host key verification failed");
    // A push to a known host succeeds.
    let host = shop.read("host_key.pub");
    let host = host.split(' ').take(2).collect::<Vec<_>>().join(" ");
    shop.put("known_hosts", format!("[127.0.0.1]:{} {host}\n", sshd.1));
    let pushed = with(&shop, &[("GIT_SSH_COMMAND", &ssh)]);
    if pushed.stderr.contains("Permission denied") || pushed.stderr.contains("onnection closed") {
        eprintln!("NOT TESTED: this sshd lets nobody in here");
        return;
    }
    assert_eq!(pushed.line()["pushed_to"], "origin");
    assert_eq!(commits(&shop, "remote.git"), 2);
}

/// What git says of a setting that the remote cannot follow, or whose value it does not know: no later try changes it.
#[test]
fn a_setting_for_pushes_that_cannot_be_followed_is_not_tried_again() {
    let Some(shop) = committed() else { return };
    git(&shop, "remote.git", &["config", "receive.advertisePushOptions", "false"]);
    for (setting, value, said) in [
        ("push.pushOption", "ci.skip", "does not support push options"),
        ("push.negotiate", "odd", "bad boolean config value"),
        ("push.default", "odd", "bad config variable"),
        ("push.recurseSubmodules", "odd", "bad push.recursesubmodules"),
    ] {
        git(&shop, "repo", &["config", setting, value]);
        let run = porch(&shop, 5, &PUSH).expect(74);
        assert!(run.stderr.contains(said), "{setting}: {}", run.stderr);
        git(&shop, "repo", &["config", "--unset", setting]);
    }
    porch(&shop, 5, &PUSH).expect(0);
}

#[test]
fn a_transport_that_the_operator_allows_is_used_and_one_that_is_forbidden_is_not() {
    let Some(shop) = committed() else { return };
    let own = noting(&shop, "own", "noted");
    git(&shop, "repo", &["remote", "set-url", "origin", &format!("ext::{own} %S")]);
    for (allow, used) in [("always", true), ("user", true), ("never", false)] {
        shop.put(".gitconfig", format!("[protocol \"ext\"]\n\tallow = {allow}\n"));
        let run = porch(&shop, 5, &PUSH);
        assert_eq!(run.code, if used { 75 } else { 74 }, "{allow}: {}", run.stderr);
        assert_eq!(std::fs::remove_file(shop.path("noted")).is_ok(), used, "{allow}");
    }
}

#[test]
fn where_reading_may_fetch_no_program_of_the_repository_runs_either() {
    let Some(shop) = committed() else { return };
    for (key, value) in [("extensions.partialClone", "origin"), ("remote.origin.promisor", "true")] {
        let Some(shop) = committed() else { return };
        git(&shop, "repo", &["config", key, value]);
        git(&shop, "repo", &["config", "remote.origin.uploadpack", "/bin/false"]);
        for flags in [&["--git", "repo"][..], &["--git", "repo", "--dry-run"]] {
            porch(&shop, 5, flags).refused(74, "a repository's word runs no program here");
        }
    }
    git(&shop, "repo", &["config", "remote.origin.promisor", "true"]);
    porch(&shop, 5, &["--git", "repo"]).line();
}

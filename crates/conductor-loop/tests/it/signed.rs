//! Statuses are signed, and verified by anybody with the public key.

use crate::env;
use conductor_testkit::promise::{self, Dropped, Ending};
use conductor_testkit::{Finished, Running, TestEnv, flat, has, wait_until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One intent of each kind of outcome, and the public key.
struct Signed {
    env: TestEnv,
    public: PathBuf,
}

impl Signed {
    fn new() -> Self {
        let env = env();
        env.script("bad: exit=3\n*: exit=0");
        for (name, content) in [
            ("intent-good.json", flat("good", 3)),
            ("intent-bad.json", flat("bad", 3)),
            ("intent-refused.json", "{}".to_owned()),
        ] {
            env.drop_file(name, content);
        }
        // A name of its own for a file that is refused unread.
        std::os::unix::fs::symlink("/etc/hosts", env.handoff("intent-link.json")).unwrap();
        env.once(&[]).expect(8);
        let public = env.path("public.pem");
        fs::write(&public, env.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
        Self { env, public }
    }

    /// `verify` of a copy, elsewhere, with nothing but the public key.
    fn verify(&self, copy: &Path) -> Finished {
        let mut command = self.env.bare_command();
        command.arg("verify").arg(copy).arg("--public").arg(&self.public);
        Running::start(command).wait()
    }

    /// The published files without the daemon's own, for a test to change.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.env.path(name);
        for folder in ["status", "processed", "failed"] {
            fs::create_dir_all(copy.join(folder)).unwrap();
            for file in fs::read_dir(self.env.handoff(folder)).unwrap() {
                let file = file.unwrap();
                if file.file_type().unwrap().is_file() {
                    fs::copy(file.path(), copy.join(folder).join(file.file_name())).unwrap();
                }
            }
        }
        copy
    }
}

#[test]
fn a_status_is_held_against_its_entry_in_the_audit_trail() {
    let Signed { env, public } = Signed::new();
    let verified = env.operate(&["verify"]).expect(0).stdout;
    assert!(verified.contains("all as they were signed\naudit trail: "), "{verified}");
    assert!(verified.contains(": consistent up to entry "), "{verified}");
    // A later intent of a name takes the status of the earlier.
    let (path, kept) = (env.handoff("status/intent-good.json.status"), env.path("kept"));
    fs::copy(&path, &kept).unwrap();
    env.drop_file("intent-good.json", flat("good", 4));
    env.once(&[]).expect(0);
    env.operate(&["verify"]).expect(0);
    let newest = fs::read(&path).unwrap();
    fs::copy(&kept, &path).unwrap();
    let noted = env.operate(&["verify"]).expect(0).stdout;
    assert!(
        noted.contains("number 5 of its name was filed after it, whose status may still be to be written"),
        "{noted}"
    );
    env.once(&[]).expect(0);
    fs::copy(&kept, &path).unwrap();
    let found = env.operate(&["verify"]).expect(1).stdout;
    assert!(
        found.contains("it is that of number 2, and number 5 of its name was filed after it\n"),
        "{found}"
    );
    fs::write(&path, newest).unwrap();
    // The statuses of another daemon, whose trail does not know them, signed by a key that is trusted all the same.
    let other = crate::env();
    for name in ["1", "2", "3", "4", "good", "more"] {
        other.drop_file(&format!("intent-{name}.json"), flat(name, 5));
        other.once(&[]).expect(0);
    }
    let mut keys = fs::read_to_string(&public).unwrap();
    keys.push_str(&other.operate(&["keys", "export-public"]).expect(0).stdout);
    fs::write(&public, keys).unwrap();
    let copy = env.path("copy");
    let copied = Command::new("cp").arg("-a").arg(env.handoff("")).arg(&copy).status().unwrap();
    assert!(copied.success());
    for name in
        ["status/intent-good.json.status", "status/intent-more.json.status", "processed/intent-good.json"]
    {
        fs::copy(other.handoff(name), copy.join(name)).unwrap();
    }
    let (copied, public) = (copy.display().to_string(), public.display().to_string());
    let words = ["verify", &copied, "--public", &public];
    let found = env.operate(&words).expect(1).stdout;
    assert!(found.contains("intent-good.json.status: its `sha256` is not that of entry "), "{found}");
    let (told, _) = env.operate_json(&words);
    assert_eq!(told["audit"]["findings"], serde_json::json!([]), "{told}");
    assert!(told["audit"]["checkpoint"].is_string(), "{told}");
    // A number that the trail has never filed.
    fs::remove_file(copy.join("status/intent-good.json.status")).unwrap();
    for number in 5..9 {
        other.drop_file("intent-more.json", flat("more", number));
        other.once(&[]).expect(0);
    }
    fs::copy(other.handoff("status/intent-more.json.status"), copy.join("status/intent-more.json.status"))
        .unwrap();
    let found = env.operate(&words).expect(1).stdout;
    assert!(found.contains("the audit trail ends before number 10 was filed"), "{found}");
    // Without a trail nothing is held against it, and a checkpoint cannot be continued.
    fs::remove_dir_all(copy.join(".conductor/audit")).unwrap();
    let without = env.operate(&words).expect(1).stdout;
    assert!(without.contains("audit trail: none is here"), "{without}");
    let checkpoint = env.path("checkpoint");
    fs::write(&checkpoint, told["audit"]["checkpoint"].as_str().unwrap()).unwrap();
    let checkpoint = checkpoint.display().to_string();
    assert_eq!(env.operate(&[&words[..], &["--since", &checkpoint]].concat()).code(), 2);
}

#[test]
fn what_was_filed_while_no_trail_was_kept_is_a_note_once_it_goes_on() {
    let Signed { env, .. } = Signed::new();
    env.drop_file("intent-unseen.json", flat("unseen", 4));
    env.once(&["-audit-enabled=false"]).expect(0);
    let found = env.operate(&["verify"]).expect(1).stdout;
    assert!(found.contains("the audit trail ends before number 5 was filed"), "{found}");
    env.drop_file("intent-seen.json", flat("seen", 4));
    env.once(&[]).expect(0);
    let noted = env.operate(&["verify"]).expect(0).stdout;
    assert!(noted.contains("note: statuses filed while no audit trail was kept: 1"), "{noted}");
}

#[test]
fn show_tells_what_proves_an_intent() {
    let Signed { env, .. } = Signed::new();
    let (shown, _) = env.operate_json(&["show", "intent-bad.json"]);
    let proof = &shown["proof"];
    assert_eq!((&proof["missing"], proof["signed_by"].as_str().unwrap().len()), (&serde_json::json!([]), 16));
    let events: Vec<&str> =
        proof["entries"].as_array().unwrap().iter().map(|entry| entry["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["intent_taken", "intent_started", "intent_ended", "intent_filed"]);
    let text = env.operate(&["show", "intent-bad.json"]).expect(0).stdout;
    assert!(text.contains("signed by    key ") && text.contains("intent_filed           daemon "), "{text}");
    let number = proof["entries"][3]["number"].to_string();
    env.operate(&["audit", "proof", &number]).expect(0);
    // Beside the daemon the same.
    let daemon = env.start_ready(&[]);
    assert_eq!(env.operate_json(&["show", "intent-bad.json"]).0["proof"], *proof);
    let path = env.handoff("status/intent-bad.json.status");
    let status = fs::read_to_string(&path).unwrap();
    fs::write(&path, status.replacen("\"attempts\": 1", "\"attempts\": 2", 1)).unwrap();
    let (shown, _) = env.operate_json(&["show", "intent-bad.json"]);
    let missing = shown["proof"]["missing"][0].as_str().unwrap();
    assert!(missing.contains("its `attempts` is not what was signed"), "{missing}");
    assert!(shown["proof"]["signed_by"].is_null());
    daemon.stop().expect(0);
    fs::rename(env.handoff(".conductor/audit"), env.path("audit")).unwrap();
    let text = env.operate(&["show", "intent-good.json"]).expect(0).stdout;
    assert!(text.contains("unproven     no audit trail is kept here"), "{text}");
}

fn status(copy: &Path, name: &str) -> PathBuf {
    copy.join(format!("status/{name}.status"))
}

fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn each_outcome_is_signed_and_verified_with_the_public_key_alone() {
    let it = Signed::new();
    let copy = it.copy("copy");
    let said = it.verify(&copy).expect(0).stdout;
    assert!(
        said.contains("4 statuses and 3 archived files") && said.contains("all as they were signed"),
        "{said}"
    );
    it.env.operate(&["verify"]).expect(0);
    let payload = |name: &str| {
        let status: Value = serde_json::from_str(&fs::read_to_string(status(&copy, name)).unwrap()).unwrap();
        let payload = status["attestation"]["payload"].as_str().unwrap().to_owned();
        let bytes = conductor_crypto::from_base64(&payload).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["predicate"].clone()
    };
    let run = &payload("intent-good.json")["run"];
    let porch = conductor_crypto::sha256(&fs::read(it.env.path("bin/porch")).unwrap()).to_string();
    assert_eq!((&run["porch_sha256"], &run["attempt"]), (&porch.into(), &1.into()));
    assert_eq!(run["argv"][1], "-intent");
    let nothing = conductor_crypto::sha256(b"").to_string();
    assert_eq!(run["stderr_sha256"], nothing);
    assert_eq!(payload("intent-refused.json")["run"], Value::Null);
    assert_eq!(payload("intent-link.json")["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_was_changed_swapped_unsigned_or_taken_away_is_found_and_named() {
    type Change = fn(&Path);
    let it = Signed::new();
    let cases: [(&str, Change, &str); 7] = [
        (
            "value",
            |copy| change(&status(copy, "intent-bad.json"), "failed", "success"),
            "status/intent-bad.json.status: its `status` is not what was signed",
        ),
        (
            "swapped",
            |copy| drop(fs::copy(status(copy, "intent-good.json"), status(copy, "intent-other.json"))),
            "status/intent-other.json.status: it is the status of intent-good.json",
        ),
        (
            "unsigned",
            |copy| {
                let path = status(copy, "intent-good.json");
                let text = fs::read_to_string(&path).unwrap();
                let end = text.find(", \"attestation\"").unwrap();
                fs::write(path, format!("{}}}\n", &text[..end])).unwrap();
            },
            "status/intent-good.json.status: it is unsigned",
        ),
        (
            "archive",
            |copy| fs::write(copy.join("processed/intent-good.json"), flat("good", 4)).unwrap(),
            "processed/intent-good.json: its content is not what number",
        ),
        (
            "gone",
            |copy| fs::remove_file(copy.join("failed/intent-bad.json")).unwrap(),
            "failed/intent-bad.json: it is gone",
        ),
        (
            "key",
            |copy| change(&status(copy, "intent-good.json"), "\"keyid\": \"", "\"keyid\": \"0"),
            "signed by a key that is not trusted here",
        ),
        ("text", |copy| fs::write(status(copy, "intent-good.json"), "none").unwrap(), "it is no JSON object"),
    ];
    for (name, work, said) in cases {
        let copy = it.copy(name);
        work(&copy);
        let found = it.verify(&copy).expect(1).stdout;
        assert!(found.contains(said) && found.contains("1 finding"), "{name}: {found}");
    }
    let mut command = it.env.bare_command();
    command.arg("verify").arg(it.copy("no-key"));
    let unchecked = Running::start(command).wait().expect(2);
    assert!(unchecked.stderr.contains("--public FILE"), "{}", unchecked.stderr);
}

#[test]
fn the_harnesses_find_a_status_that_is_not_the_signed_one() {
    let env = env();
    let dropped = [Dropped { name: "intent-a.json".into(), content: flat("a", 3), ending: Ending::Success }];
    env.drop_file(&dropped[0].name, &dropped[0].content);
    env.once(&[]).expect(0);
    promise::check(&env, &dropped, 0, true).unwrap();
    let place = env.handoff("status/intent-a.json.status");
    let text = fs::read_to_string(&place).unwrap();
    let attestation = text.find(r#","attestation":"#).or(text.find(r#", "attestation": "#)).unwrap();
    for (other, reason) in [
        (text.replace("Processed by", "Seen by"), "is not what was signed"),
        (format!("{}}}\n", &text[..attestation]), "is not signed"),
        (
            text.replace(r#""sig": "#, r#""sag": "#).replace(r#""sig":"#, r#""sag":"#),
            "a signature of 0 bytes",
        ),
    ] {
        assert_ne!(other, text, "{reason}");
        fs::write(&place, other).unwrap();
        let found = promise::check(&env, &dropped, 0, true).unwrap_err();
        assert!(found.contains(reason), "{reason}: {found}");
    }
}

#[test]
fn openssl_and_jq_verify_a_status_as_the_recipe_says() {
    if !has("openssl") || !has("jq") {
        return eprintln!("NOT TESTED: openssl or jq is missing");
    }
    let it = Signed::new();
    let copy = it.copy("copy");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify-status.sh");
    let run = |name: &str| {
        let mut command = Command::new("sh");
        command.arg(&recipe).arg(&it.public).arg(status(&copy, name));
        command.output().unwrap()
    };
    // Any of the given keys may have signed.
    it.env.operate(&["keys", "rotate"]).expect(0);
    it.env.drop_file("intent-new.json", flat("new", 3));
    it.env.once(&[]).expect(0);
    fs::write(&it.public, it.env.operate(&["keys", "export-public"]).expect(0).stdout).unwrap();
    let copy = it.copy("copy");
    let names = ["good", "bad", "refused", "link", "new"];
    for name in names.map(|name| format!("intent-{name}.json")) {
        let said = run(&name);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
    change(&status(&copy, "intent-bad.json"), "failed", "success");
    change(&status(&copy, "intent-good.json"), "\"sig\": \"", "\"sig\": \"AAAA");
    // Another reader takes the first of two.
    change(&status(&copy, "intent-new.json"), "{", "{\"status\": \"failed\", ");
    for name in ["intent-bad.json", "intent-good.json", "intent-new.json"] {
        assert!(!run(name).status.success(), "{name}");
    }
}

#[test]
fn a_rotated_key_signs_what_is_new_and_the_old_one_still_verifies() {
    let it = Signed::new();
    let shown = |env: &TestEnv| env.operate_json(&["keys", "show"]).0;
    let before = shown(&it.env);
    it.env.operate(&["keys", "rotate"]).expect(0);
    it.env.drop_file("intent-new.json", flat("new", 3));
    it.env.once(&[]).expect(0);
    let after = shown(&it.env);
    assert_ne!(after["signs"], before["signs"]);
    let key_of = |name: &str| it.env.status(name).unwrap()["attestation"]["signatures"][0]["keyid"].clone();
    assert_eq!(
        [key_of("intent-good.json"), key_of("intent-new.json")],
        [before["signs"].clone(), after["signs"].clone()]
    );
    it.env.operate(&["verify"]).expect(0);
    // The key that was exported before does not know the new one.
    let said = it.verify(&it.copy("copy")).expect(1).stdout;
    assert!(said.contains("intent-new.json.status: it is signed by a key that is not trusted"), "{said}");
}

#[test]
fn a_wrong_or_missing_key_refuses_the_start_and_changes_nothing() {
    let it = Signed::new();
    let ledger = || fs::read(it.env.handoff(".conductor/state/ledger.redb")).unwrap();
    let (before, own) = (ledger(), it.env.handoff(".conductor/state/root.key"));
    let other = it.env.path("other.key");
    fs::write(
        &other,
        conductor_crypto::RootKey::generate().map(conductor_crypto::KeyRing::of).unwrap().text(),
    )
    .unwrap();
    let given = ["-state-key-file", other.to_str().unwrap()];
    fs::set_permissions(&other, fs::Permissions::from_mode(0o444)).unwrap();
    let refused = it.env.once(&given).expect(1).stderr;
    assert!(refused.contains("E510") && refused.contains("chmod 0400"), "{refused}");
    fs::set_permissions(&other, fs::Permissions::from_mode(0o400)).unwrap();
    let refused = it.env.once(&given).expect(1).stderr;
    assert!(refused.contains("E511") && refused.contains("none of the keys of this state"), "{refused}");
    let kept = fs::read(&own).unwrap();
    fs::remove_file(&own).unwrap();
    let refused = it.env.once(&[]).expect(1).stderr;
    assert!(refused.contains("E510") && refused.contains("it is gone"), "{refused}");
    assert!(!own.exists() && ledger() == before, "nothing was changed");
    // Also where the sealed store alone tells that there was a key: the right one is accepted afterwards.
    let public = it.env.handoff(".conductor/state/public-keys.pem");
    fs::remove_file(&public).unwrap();
    let refused = it.env.once(&[]).expect(1).stderr;
    assert!(refused.contains("E510") && !own.exists(), "{refused}");
    let refused = it.env.once(&given).expect(1).stderr;
    assert!(
        refused.contains("E511") && refused.contains("sealed by the root key") && !public.exists(),
        "{refused}"
    );
    assert!(ledger() == before, "nothing was changed");
    fs::write(&own, kept).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o400)).unwrap();
    it.env.once(&[]).expect(0);
}

/// Neither the key nor its base64 is in any file, log line or environment but the key file itself.
#[test]
fn the_root_key_is_in_no_file_stream_or_environment_but_its_own() {
    let env = env();
    let key = env.path("root.key");
    let text = conductor_crypto::RootKey::generate().map(conductor_crypto::KeyRing::of).unwrap().text();
    fs::write(&key, &*text).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    let porch = env.path("bin/own-porch");
    fs::write(&porch, "#!/bin/sh\nenv >\"$0.env\"\ncat /proc/$PPID/environ >>\"$0.env\"\n").unwrap();
    fs::set_permissions(&porch, fs::Permissions::from_mode(0o755)).unwrap();
    let flags =
        ["-state-key-file", key.to_str().unwrap(), "-porch", porch.to_str().unwrap(), "-log-level", "trace"];
    let daemon = env.start_ready(&flags);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    wait_until("porch has written its environment", || env.path("bin/own-porch.env").exists());
    let show = env.operate(&["keys", "show"]);
    let ended = daemon.stop().expect(0);
    let raw = conductor_crypto::from_base64(text.trim()).unwrap();
    let holds = |bytes: &[u8]| {
        [raw.as_slice(), text.trim().as_bytes()]
            .iter()
            .any(|secret| bytes.windows(secret.len()).any(|part| part == *secret))
    };
    assert!(
        holds(&fs::read(&key).unwrap()) && !holds(ended.stderr.as_bytes()) && !holds(show.stdout.as_bytes())
    );
    let mut places = vec![env.path("")];
    let mut looked_at = 0;
    while let Some(dir) = places.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                places.push(entry.path());
            } else if kind.is_file() && entry.path() != key {
                looked_at += 1;
                assert!(!holds(&fs::read(entry.path()).unwrap()), "{}", entry.path().display());
            }
        }
    }
    assert!(looked_at > 5);
}

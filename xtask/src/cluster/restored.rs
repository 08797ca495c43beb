//! A state that is lost: backed up for a recipient, its volume emptied, put back by the Job of the overlay `restore`.

use super::inside::Cluster;
use super::work::{SPACE, daemon, done_once, hand_in};
use crate::dist::{ensure, output, root, wait_for};
use std::path::Path;
use std::process::Command;

/// What the page says under "Backups" and "Restoring", with a recipient, and everything on the state's volume gone between.
pub(super) fn restored(cluster: &Cluster) -> Result<String, String> {
    cluster.volumes("base", &["conductor-loop-backups".to_owned()])?;
    let place = cluster.run.join("with-recipient");
    with_recipient(cluster, &place)?;
    let apply = |name: &str| {
        let overlay = place.join("deploy/kubernetes/overlays").join(name).display().to_string();
        cluster.k(&["apply", "--server-side", "--force-conflicts", "-k", &overlay])
    };
    apply("backups")?;
    cluster.rolled_out()?;
    let (identity, public) = (place.join(IDENTITY), place.join("public.pem"));
    let written = cluster.inside_pod(&["keys", "export-public"])?;
    std::fs::write(&public, written).map_err(|error| error.to_string())?;
    cluster.inside_pod(&["backup", "now"])?;
    let listed = cluster.inside_pod(&["backup", "list"])?;
    ensure(listed.contains(".age"), || listed.clone())?;
    // The backup does not know of this one, whose status does.
    let handoff = cluster.volume("handoff", "");
    hand_in(&handoff, "after-the-backup", "t1")?;
    done_once(&handoff, &["after-the-backup".to_owned()])?;
    let before = filed(cluster)?;

    cluster.k(&["-n", SPACE, "scale", "deploy/conductor-loop", "--replicas=0"])?;
    wait_for("the end of the daemon", || daemon().is_none())?;
    let state = cluster.volume("state", "conductor-loop");
    std::fs::remove_dir_all(&state).map_err(|error| format!("{}: {error}", state.display()))?;
    let began = std::time::Instant::now();
    let (identity, public) =
        (format!("--from-file={}", identity.display()), format!("--from-file={}", public.display()));
    cluster.k(&[
        "-n",
        SPACE,
        "create",
        "secret",
        "generic",
        "conductor-loop-identity",
        &identity,
        &public,
    ])?;
    apply("restore")?;
    let job = "job/conductor-loop-restore";
    cluster.k(&["-n", SPACE, "wait", "--for=condition=complete", job, "--timeout=180s"])?;
    let said = cluster.k(&["-n", SPACE, "logs", job])?;
    cluster.k(&["-n", SPACE, "delete", job, "secret/conductor-loop-identity"])?;
    apply("backups")?;
    cluster.rolled_out()?;
    let took = began.elapsed().as_secs_f64();
    let list = cluster.inside_pod(&["explain", "intent-after-the-backup.json"])?;
    ensure(list.contains("is done"), || format!("{list}\n{said}"))?;
    ensure(filed(cluster)? == before, || "an intent was filed again".to_owned())?;
    let after = cluster.meanwhile("restored", || Ok(()))?;
    Ok(format!("{} intents known again after {took:.1} s, none run again; {after}", before.len()))
}

/// The name of the file with a recipient's identity, as the page has it.
const IDENTITY: &str = "identity";

/// Makes a directory with a copy of the manifests that names a recipient of backups, and with its identity.
pub(super) fn with_recipient(cluster: &Cluster, place: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(place.join("deploy")).map_err(failed)?;
    let keygen = || {
        let mut command = Command::new("age-keygen");
        command.env("PATH", cluster.parts.path()).current_dir(place);
        command
    };
    output(keygen().args(["-o", IDENTITY]))?;
    let recipient = output(keygen().args(["-y", IDENTITY]))?;
    output(Command::new("cp").arg("-r").arg(root().join("deploy/kubernetes")).arg(place.join("deploy")))?;
    let file = place.join("deploy/kubernetes/overlays/backups/deployment.yaml");
    let text = std::fs::read_to_string(&file).map_err(failed)?;
    let named = text
        .replace("# - name: CONDUCTOR_BACKUP_RECIPIENT", "- name: CONDUCTOR_BACKUP_RECIPIENT")
        .replace("#   value: age1...", &format!("  value: {}", recipient.trim()));
    ensure(named.matches("age1").count() == 1 && !named.contains("age1..."), || named.clone())?;
    std::fs::write(&file, named).map_err(failed)
}

/// The names of all archived intents.
fn filed(cluster: &Cluster) -> Result<Vec<String>, String> {
    let place = cluster.volume("handoff", "processed");
    let entries = std::fs::read_dir(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

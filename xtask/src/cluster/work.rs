//! What the daemon of a cluster is given to do: volumes on the node, intents that arrive, and what became of each.

use super::inside::Cluster;
use crate::dist::{ensure, wait_for};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) const SPACE: &str = "conductor-loop";

impl Cluster {
    /// Makes empty directories on the node and a volume for each of these claims. They belong to root, as new volumes do.
    pub(super) fn volumes(&self, set: &str, claims: &[String]) -> Result<(), String> {
        for claim in claims {
            let path = self.claimed(set, claim);
            std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
            let volume = json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{set}-{claim}")},
                "spec": {
                    "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
                    "claimRef": {"namespace": SPACE, "name": claim}, "local": {"path": path},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions":
                        [{"key": "kubernetes.io/hostname", "operator": "In", "values": [super::node::NAME]}]}]}},
                },
            });
            self.k_with(&["apply"], &volume.to_string())?;
        }
        Ok(())
    }

    /// The directory of a claim's volume.
    pub(super) fn claimed(&self, set: &str, claim: &str) -> PathBuf {
        self.run.join("volumes").join(set).join(claim)
    }

    /// A path on the volumes of the base.
    pub(super) fn volume(&self, name: &str, path: &str) -> PathBuf {
        self.claimed("base", &format!("conductor-loop-{name}")).join(path)
    }

    /// Does something while intents arrive, then waits until each of them has succeeded once.
    pub(super) fn meanwhile(
        &self,
        name: &str,
        act: impl FnOnce() -> Result<(), String>,
    ) -> Result<String, String> {
        let done = AtomicBool::new(false);
        let began = std::time::Instant::now();
        let (acted, handed_in) = std::thread::scope(|scope| {
            let arriving = scope.spawn(|| {
                let mut names = Vec::new();
                // Some more after it is over, so that the new pod has work too.
                let mut left = 5;
                while left > 0 {
                    let name = format!("{name}-{}", names.len());
                    hand_in(&self.volume("handoff", ""), &name, &format!("t{}", names.len() % 7))?;
                    names.push(name);
                    left -= u32::from(done.load(Ordering::Relaxed));
                    std::thread::sleep(std::time::Duration::from_millis(100)); // The pace of arrivals.
                }
                Ok::<_, String>(names)
            });
            let acted = act();
            done.store(true, Ordering::Relaxed);
            (acted, arriving.join().unwrap_or_else(|_| Err("the producer panicked".to_owned())))
        });
        acted?;
        let (took, names) = (began.elapsed(), handed_in?);
        let starts = done_once(&self.volume("handoff", ""), &names)?;
        let (took, count) = (took.as_secs_f64(), names.len());
        Ok(format!("{took:.1} s, {count} intents meanwhile, each done once, in {starts} starts"))
    }

    /// A command of conductor-loop in the daemon's container.
    pub(super) fn inside_pod(&self, words: &[&str]) -> Result<String, String> {
        let exec = ["-n", SPACE, "exec", "deploy/conductor-loop", "--", "conductor-loop"];
        self.k(&[&exec[..], words].concat())
    }

    /// Waits until one new pod, and no old one, is ready.
    pub(super) fn rolled_out(&self) -> Result<(), String> {
        self.k(&["-n", SPACE, "rollout", "status", "deploy/conductor-loop", "--timeout=120s"]).map(|_| ())
    }

    /// One value of the daemon's pod.
    pub(super) fn of_pod(&self, path: &str) -> Result<String, String> {
        let wanted = format!("jsonpath={{.items[0]{path}}}");
        self.k(&["-n", SPACE, "get", "pod", "-l", "app.kubernetes.io/component=daemon", "-o", &wanted])
    }
}

/// Hands an intent in on the node's side of a handoff volume, as a producer does: another name, then a rename.
pub(super) fn hand_in(handoff: &Path, name: &str, target: &str) -> Result<(), String> {
    let intent = json!({
        "intent_type": "scaling", "target": target, "namespace": "oran-sim", "replicas": 2, "source": "test",
        "correlation_id": name,
    });
    let draft = handoff.join(format!("{name}.draft"));
    std::fs::write(&draft, intent.to_string()).map_err(|error| error.to_string())?;
    std::fs::rename(draft, handoff.join(format!("intent-{name}.json"))).map_err(|error| error.to_string())
}

/// Waits until each of these intents has succeeded, and looks whether each was filed once. Returns their starts: one that was
/// interrupted has more than one.
pub(super) fn done_once(handoff: &Path, names: &[String]) -> Result<u64, String> {
    let mut starts = 0;
    for name in names {
        let status = handoff.join(format!("status/intent-{name}.json.status"));
        let mut read = serde_json::Value::Null;
        wait_for(&format!("the status of {name}"), || {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            read = serde_json::from_str(&text).unwrap_or_default();
            read["status"] == "success"
        })?;
        starts += read["attempts"].as_u64().ok_or_else(|| format!("{name} has no number of starts"))?;
    }
    let files = |archive: &str| -> Result<Vec<String>, String> {
        let entries =
            std::fs::read_dir(handoff.join(archive)).map_err(|error| format!("{archive}/: {error}"))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    };
    let processed = files("processed")?;
    for name in names {
        // One more archive of a name has its number before the extension.
        let first = format!("intent-{name}.");
        let archives: Vec<&String> = processed.iter().filter(|file| file.starts_with(&first)).collect();
        ensure(archives.len() == 1, || format!("{name} is to be filed once, and is filed as {archives:?}"))?;
    }
    let failed = files("failed")?.len();
    ensure(failed == 0, || format!("{failed} files in failed/"))?;
    Ok(starts)
}

/// The daemon's process; in the namespaces of the cluster there is one of it.
pub(super) fn daemon() -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.find(|id: &u32| {
        std::fs::read(format!("/proc/{id}/cmdline"))
            .is_ok_and(|words| words == b"/usr/local/bin/conductor-loop\0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_twice_is_not_done_once() {
        let handoff = tempfile::tempdir().unwrap();
        for directory in ["status", "processed", "failed"] {
            std::fs::create_dir(handoff.path().join(directory)).unwrap();
        }
        let names = ["a-1".to_owned(), "a-11".to_owned()];
        for name in &names {
            let status = handoff.path().join(format!("status/intent-{name}.json.status"));
            std::fs::write(status, r#"{"status": "success", "attempts": 2}"#).unwrap();
        }
        let file = |path: &str| std::fs::write(handoff.path().join(path), "").unwrap();
        file("processed/intent-a-1.json");
        assert!(done_once(handoff.path(), &names).is_err(), "one is not filed");
        file("processed/intent-a-11.json");
        assert_eq!(done_once(handoff.path(), &names), Ok(4));
        file("processed/intent-a-1.17.json");
        let twice = done_once(handoff.path(), &names).unwrap_err();
        assert!(twice.contains("intent-a-1.17.json") && !twice.contains("a-11"), "{twice}");
        std::fs::remove_file(handoff.path().join("processed/intent-a-1.17.json")).unwrap();
        file("failed/intent-a-1.18.json");
        assert_eq!(done_once(handoff.path(), &names).unwrap_err(), "1 files in failed/");
    }
}

//! The images of the cluster as archives of the OCI layout, for `ctr images import`: no registry, no other tool.

use crate::dist::{output, root};
use conductor_crypto::sha256;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tags of the daemon's image: the one of the manifests, a next one that differs, and the one of the overlay `git`,
/// here without git.
pub(super) const TAGS: [&str; 3] = [
    env!("CARGO_PKG_VERSION"),
    concat!(env!("CARGO_PKG_VERSION"), "-next"),
    concat!(env!("CARGO_PKG_VERSION"), "-git"),
];

/// Waits for ever: the process that holds a pod's namespaces.
const PAUSE: &str = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n";

pub(super) fn archives(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run.join("images")).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "tar"))
        .collect()
}

pub(super) fn write_all(run: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let place = run.join("images");
    std::fs::create_dir_all(&place).map_err(failed)?;
    let (source, pause) = (place.join("pause.c"), place.join("pause"));
    std::fs::write(&source, PAUSE).map_err(failed)?;
    output(Command::new("cc").args(["-static", "-Os", "-s", "-o"]).args([&pause, &source]))?;
    archive(
        &place,
        "localhost/pause:1",
        &pause,
        &json!({"User": "65534:65534", "Entrypoint": ["/usr/local/bin/pause"]}),
    )?;
    let program = root().join("target/dist/conductor-loop");
    for tag in TAGS {
        let config = json!({
            "User": "65534:65534", "Entrypoint": ["/usr/local/bin/conductor-loop"], "Labels": {"tag": tag},
            "Env": ["PATH=/usr/local/bin", "CONDUCTOR_HANDOFF_DIR=/handoff", "CONDUCTOR_OUT_DIR=/out", "CONDUCTOR_PORCH=builtin"],
        });
        archive(&place, &format!("docker.io/library/conductor-loop:{tag}"), &program, &config)?;
    }
    Ok(())
}

/// An image of one program in /usr/local/bin.
fn archive(place: &Path, name: &str, program: &Path, config: &Value) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let work = tempfile::tempdir_in(place).map_err(failed)?;
    let (tree, layout) = (work.path().join("tree/usr/local/bin"), work.path().join("layout"));
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&tree).map_err(failed)?;
    std::fs::create_dir_all(&blobs).map_err(failed)?;
    std::fs::copy(program, tree.join(program.file_name().unwrap_or_default())).map_err(failed)?;
    let pack = |from: &Path, to: &Path| {
        let fixed = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
        output(Command::new("tar").args(fixed).arg("-C").arg(from).arg("-cf").arg(to).arg("."))
    };
    let layer = work.path().join("layer.tar");
    pack(&work.path().join("tree"), &layer)?;
    let blob = |kind: &str, bytes: &[u8]| -> Result<Value, String> {
        let digest = sha256(bytes).to_string();
        std::fs::write(blobs.join(&digest), bytes).map_err(failed)?;
        let kind = format!("application/vnd.oci.image.{kind}");
        Ok(json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
    };
    let layer = blob("layer.v1.tar", &std::fs::read(layer).map_err(failed)?)?;
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob("config.v1+json", config.to_string().as_bytes())?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let mut manifest = blob("manifest.v1+json", manifest.to_string().as_bytes())?;
    manifest["annotations"] = json!({"io.containerd.image.name": name});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    std::fs::write(layout.join("index.json"), index.to_string()).map_err(failed)?;
    std::fs::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").map_err(failed)?;
    pack(&layout, &place.join(format!("{}.tar", name.replace(['/', ':'], "-"))))?;
    Ok(())
}

//! Files that are generated from code and committed: schema, error page, man page, completions; and the alerts in the form
//! of the Prometheus operator.

use clap_complete::Shell;
use conductor_core::code::TABLE;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

/// Path (relative to the repository) and content of every generated file.
pub(crate) fn files() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let command = conductor_loop::cli::command();
    let mut man = Vec::new();
    // The man page has room for the flags that the help hides.
    let whole = command.clone().mut_args(|flag| flag.hide(false));
    clap_mangen::Man::new(whole).render(&mut man)?;
    let completion = |shell: Shell| {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), "conductor-loop", &mut text);
        text
    };
    Ok(vec![
        ("crates/core/schema/intent.schema.json", conductor_loop::commands::schema_text().into_bytes()),
        ("docs/ERRORS.md", errors().into_bytes()),
        ("docs/man/conductor-loop.1", man),
        ("deploy/kubernetes/overlays/monitoring/rules.yaml", prometheus_rule()?.into_bytes()),
        ("completions/conductor-loop.bash", completion(Shell::Bash)),
        ("completions/_conductor-loop", completion(Shell::Zsh)),
        ("completions/conductor-loop.fish", completion(Shell::Fish)),
    ])
}

fn errors() -> String {
    let mut page = String::from(
        "# Error codes\n\nEvery refusal and failure has a stable code. It stands in the status file (`error_code`), the error log, the log line\n\
         (`code`) and in complaints on standard error. A code never changes its meaning. Generated from\n\
         `crates/core/src/code.rs` by `cargo xtask gen`; a test fails when it is stale.\n\n\
         E1xx: the file. E2xx: its content. E3xx: the run of porch. E4xx: directories and state. E5xx: configuration.\n\n\
         | code | name | what happened | what to do |\n| --- | --- | --- | --- |\n",
    );
    for entry in TABLE {
        let cell = |text: &str| text.replace('|', "\\|");
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            entry.id,
            entry.title,
            cell(entry.meaning),
            cell(entry.remedy)
        );
    }
    page
}

/// The alerts as an object of the Prometheus operator, whose specification is an alert file.
fn prometheus_rule() -> io::Result<String> {
    let alerts = std::fs::read_to_string(root().join("deploy/monitoring/alerts.yaml"))?;
    let mut object = String::from(
        "# Generated from deploy/monitoring/alerts.yaml by `cargo xtask gen`.\napiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\nmetadata:\n  name: conductor-loop\n  labels:\n    app.kubernetes.io/name: conductor-loop\n    \
         app.kubernetes.io/part-of: conductor-loop\nspec:\n",
    );
    for line in alerts.lines() {
        let indent = if line.is_empty() { "" } else { "  " };
        // Writing to a String cannot fail.
        let _ = writeln!(object, "{indent}{line}");
    }
    Ok(object)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Writes every generated file.
pub(crate) fn write_all() -> io::Result<()> {
    for (path, content) in files()? {
        let path = root().join(path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_fresh() {
        for (path, content) in files().unwrap() {
            let committed = std::fs::read(root().join(path)).unwrap_or_default();
            assert!(committed == content, "{path} is stale: run `cargo xtask gen`");
        }
    }
}

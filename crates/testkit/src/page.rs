//! Executable documents: every `console` block of a page runs in order, in one shell in a directory of its own; the real
//! output is compared with that on the page.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// One command of a page and its shown output.
#[derive(Debug)]
pub struct Shown {
    /// The text after the `$`.
    pub command: String,
    /// The output, with a line end after each line.
    pub output: String,
}

/// Printed after each command's output: the record separator, which no program here prints.
const SEPARATOR: &str = "\u{1e}\n";

/// The commands of all `console` blocks.
pub fn shown(page: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                all.push(Shown { command: command.to_owned(), output: String::new() });
            } else {
                let last = all.last_mut().expect("a block begins with a command");
                last.output.push_str(line);
                last.output.push('\n');
            }
        }
    }
    all
}

/// Runs the commands in one shell in `directory`; returns both streams of each, in order. `dress` sets environment and user.
pub fn run(commands: &[Shown], directory: &Path, dress: impl FnOnce(&mut Command)) -> Vec<String> {
    let mut script = String::from("exec 2>&1\n");
    for shown in commands {
        writeln!(script, "{}\nprintf '\\036\\n'", shown.command).expect("a string grows");
    }
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&script).current_dir(directory).env_clear().stdin(Stdio::null());
    dress(&mut shell);
    let output = shell.output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    text.split(SEPARATOR).map(str::to_owned).take(commands.len()).collect()
}

/// The page with the real output in place of the shown one.
pub fn renewed(page: &str, commands: &[Shown], outputs: &[String]) -> String {
    let (mut fresh, mut rest) = (String::new(), page);
    for (shown, output) in commands.iter().zip(outputs) {
        let old = format!("$ {}\n{}", shown.command, shown.output);
        let (before, after) = rest.split_once(&old).expect("the commands are of this page");
        write!(fresh, "{before}$ {}\n{output}", shown.command).expect("a string grows");
        rest = after;
    }
    fresh + rest
}

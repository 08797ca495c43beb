//! The command line of `cargo xtask dist`: what is built, and what is tried of it.

use super::place::place;
use super::programs::{build, programs};
use super::trial::Tried;
use super::{deb, image};
use crate::progress::say;
use std::fmt::Write;
use std::path::Path;

const HELP: &str = "\
cargo xtask dist [--test]

Builds the static programs into target/dist, and the Debian package where cargo-deb is installed.

  --test   installs the package (as root, with systemd's tools), builds and runs the image (with docker, and with
           docker-compose where it is installed), and says what could not be tried";

type Step = fn(&Path) -> Result<Tried, String>;

const STEPS: [(&str, Step); 4] = [
    ("static programs", programs),
    ("Debian package", deb::install),
    ("container image", image::run),
    ("compose file", image::compose),
];

/// Builds the artifacts, and with `--test` tries them. Returns a table and whether all steps passed.
pub(crate) fn run(words: &[String]) -> Result<(String, bool), String> {
    let test = match words.get(1).map(String::as_str) {
        None => false,
        Some("--test") => true,
        Some(_) => return Ok((HELP.to_owned(), true)),
    };
    let place = place();
    say("dist: building the static programs, which takes minutes");
    build(&place).map_err(|error| format!("building the static programs: {error}"))?;
    say("dist: building the Debian package");
    let packaged = deb::build(&place)?;
    if !test {
        return Ok((built(&place, packaged), true));
    }
    let (mut table, mut good) = ("| what | result |\n| --- | --- |\n".to_owned(), true);
    for (name, step) in STEPS {
        say(&format!("dist: trying: {name}"));
        let result = match step(&place) {
            Ok(Tried::Good(result)) => result,
            Ok(Tried::NotTested(why)) => format!("NOT TESTED: {why}"),
            Err(reason) => {
                good = false;
                format!("FAILED: {reason}")
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {name} | {result} |");
    }
    Ok((table, good))
}

/// What is there now, and what is not.
fn built(place: &Path, packaged: bool) -> String {
    let place = place.display();
    if packaged {
        format!("built into {place}: conductor-loop, porch, conductor-loop.deb")
    } else {
        format!(
            "built into {place}: conductor-loop, porch; NO PACKAGE, because cargo-deb is not installed (`cargo install cargo-deb`)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_named_and_what_is_not_too() {
        let place = Path::new("target/dist");
        assert!(built(place, true).ends_with("porch, conductor-loop.deb"));
        let without = built(place, false);
        assert!(without.contains("NO PACKAGE") && without.contains("cargo install cargo-deb"), "{without}");
    }
}

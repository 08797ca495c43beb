//! The command line of `cargo xtask cluster`.

use super::boot::inside;
use super::lifecycle::{down, test, up};
use super::stop::Stop;

const HELP: &str = "\
cargo xtask cluster up | down | test [--prebuilt] [--require]

  up         brings the cluster up, with the image of this working copy, and says how to use it
  down       ends it; nothing stays but the programs that were fetched and built
  test       applies deploy/kubernetes to a cluster of its own and uses it: hand-in, rollouts, kills, drains, refusals
  --prebuilt takes target/dist/conductor-loop as it is, instead of building it
  --require  fails where the cluster cannot be brought up, instead of saying NOT TESTED

As root, with apt-get, Go 1.26, a C compiler. Programs are kept in target/cluster, or in conductor-loop below XDG_CACHE_HOME.";

/// The report, and whether all went well.
pub(crate) fn run(words: &[String]) -> (String, bool) {
    let word = |index: usize| words.get(index).map(String::as_str);
    let given = |flag: &str| words.iter().any(|word| word == flag);
    let required = given("--require");
    let flags: &[&str] =
        if matches!(word(1), Some("up" | "test")) { &["--prebuilt", "--require"] } else { &[] };
    let is_known = |given: &&String| word(1) == Some("inside") || flags.contains(&given.as_str());
    if let Some(unknown) = words.iter().skip(2).find(|given| !is_known(given)) {
        return (format!("'{unknown}' means nothing here\n{HELP}"), false);
    }
    let done = match (word(1), word(2)) {
        (Some("up"), _) => up(given("--prebuilt")),
        (Some("down"), None) => down().map_err(Stop::Failed),
        (Some("test"), _) => test(given("--prebuilt")),
        // What `up` and `test` start in the namespaces.
        (Some("inside"), Some(what)) => inside(what).map_err(Stop::Failed),
        (None | Some("--help" | "-h"), _) => Ok(HELP.to_owned()),
        (Some(unknown), _) => Err(Stop::Failed(format!("'{unknown}' means nothing here\n{HELP}"))),
    };
    match done {
        Ok(report) => (report, true),
        Err(Stop::NotTested(why)) => (format!("NOT TESTED: {why}"), !required),
        Err(Stop::Failed(reason)) => (reason, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_mean_nothing_to_the_cluster_are_refused_and_start_nothing() {
        for (words, unknown) in [
            (&["cluster", "tset"][..], "'tset'"),
            (&["cluster", "test", "--prebuild"], "'--prebuild'"),
            (&["cluster", "up", "--prebuilt", "now"], "'now'"),
            (&["cluster", "down", "--require"], "'--require'"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let (said, good) = run(&words);
            assert!(
                !good && said.starts_with(&format!("{unknown} means nothing here\n")),
                "{words:?}: {said}"
            );
        }
        for words in [&["cluster"][..], &["cluster", "--help"]] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(run(&words), (HELP.to_owned(), true));
        }
    }
}

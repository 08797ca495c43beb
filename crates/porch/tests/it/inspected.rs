//! What is said of a repository before any intent goes there.

use crate::git::{committed, git};
use crate::shop::Shop;
use conductor_porch::{Patience, Remark, Routes};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The remarks on `repo` with these keys in its table.
fn remarks(shop: &Shop, keys: &str) -> Vec<Remark> {
    let place = shop.path("repo").display().to_string();
    let text = format!("[repository.core]\ngit = '{place}'\n{keys}\n[[route]]\nrepository = 'core'\n");
    let routes = Routes::from_toml(text.parse().unwrap()).unwrap();
    let patience = Patience::new(Duration::from_secs(10), Duration::from_secs(30));
    routes.inspect(&patience).into_iter().map(|(_, remark)| remark).collect()
}

#[track_caller]
fn says(found: &[Remark], bad: bool, wanted: &str) {
    assert!(found.iter().any(|one| one.bad == bad && one.found.contains(wanted)), "{wanted}: {found:?}");
}

#[test]
fn where_intents_would_go_is_told_and_what_only_the_remote_knows_is_not_refused() {
    let Some(shop) = committed() else { return };
    let place = shop.path("repo").display().to_string();
    says(&remarks(&shop, ""), false, &format!("main of {place}"));
    says(&remarks(&shop, "branch = 'scale'\npush = 'origin'"), false, &format!("scale of {place}"));
    says(&remarks(&shop, "branch = 'scale'"), true, "there is no branch scale");
    says(&remarks(&shop, "branch = 'scale'\nfrom = 'main'"), false, "it begins at main");
    // An address is a remote as well as a name is.
    says(&remarks(&shop, "push = '../remote.git'"), false, "pushes go to ../remote.git");
    says(&remarks(&shop, "push = 'upstream'"), true, "has no remote upstream");
    assert!(remarks(&shop, "push = 'origin'").iter().all(|one| !one.bad && one.fix.is_empty()));
}

#[test]
fn a_place_of_a_repository_that_cannot_be_written_is_named() {
    let Some(shop) = committed() else { return };
    git(&shop, "repo", &["pack-refs", "--all"]);
    for below in [".git/refs", ".git/objects", ".git", "."] {
        let place = shop.path("repo").join(if below == "." { "" } else { below });
        let set = |flag: &str, place: &Path| {
            let mut command = Command::new("chattr");
            command.arg(flag).arg(place).output().is_ok_and(|output| output.status.success())
        };
        if !set("+i", &place) {
            eprintln!("NOT TESTED: chattr +i is not allowed here");
            return;
        }
        let found = remarks(&shop, "");
        assert!(set("-i", &place));
        let shown = place.display().to_string();
        says(&found, true, &format!("{} cannot be written by this user", shown.trim_end_matches('/')));
    }
    assert!(remarks(&shop, "").iter().all(|one| !one.bad));
}

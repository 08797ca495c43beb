//! A system without a descriptor or memory for a moment, at each call that can meet it: the run ends as one that is to be tried
//! again, with the place as it was, or as if nothing had been lacking. Nothing is decided without what was not read.

use crate::shop::Shop;
use conductor_testkit::calls::Class;
use conductor_testkit::{Action, at_call};
use rustix::io::Errno;

const CALLS: Class<'_> =
    Class::Named(&["openat", "openat2", "memfd_create", "dup", "fcntl", "vfork", "clone"]);
/// The time limit of a run, in seconds.
const SECONDS: u64 = 60;
/// The system's loader found none.
const NOT_LOADED: i32 = 127;

/// Lets each of the run's calls fail in turn. Every step of git is a program's start, so only each `stride`th is tried there.
fn lacking_everywhere(prepare: impl Fn() -> Shop, flags: &[&str], stride: usize) {
    let undisturbed = {
        let shop = prepare();
        let run = shop.scale(5, flags);
        (Some(run.code), shop.tree("out"))
    };
    let (mut lacked, all) = (0, [&["-out", "out"], flags].concat());
    for (errno, first) in [(Errno::MFILE, 1), (Errno::NOMEM, 2)] {
        for at in (first..).step_by(stride) {
            let shop = prepare();
            let before = shop.tree("out");
            let command = shop.command(&shop.intent(5), &all);
            let action = Action::Fail(errno.raw_os_error());
            let Some(report) = at_call(&command, (CALLS, action, at), SECONDS, &shop.path(".")) else {
                eprintln!("NOT TESTED: tracing other processes is not permitted here");
                return;
            };
            let Some(call) = &report.at else { break };
            let place = format!("{errno:?} at {at}, {call}: {:?} {}", report.exit, report.stderr);
            match report.exit {
                Some(NOT_LOADED) => {}
                Some(75) => {
                    // The sync of a package that is in place can lack one too.
                    assert!([&before, &undisturbed.1].contains(&&shop.tree("out")), "{place}");
                    let again = shop.scale(5, flags);
                    assert!(
                        (Some(again.code), shop.tree("out")) == undisturbed,
                        "{place}, then {}",
                        again.stderr
                    );
                    lacked += 1;
                }
                exit => assert!((exit, shop.tree("out")) == undisturbed, "{place}"),
            }
        }
    }
    assert!(lacked > 2, "only {lacked} were met");
}

fn decided_elsewhere() -> Shop {
    let shop = Shop::new();
    let overlay = "resources: [../../shop/web]\nnamespace: shop\npatches: [{path: ../patch.yaml}]\n";
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n";
    shop.put("out/shop/web/kustomization.yaml", "resources: [deployment.yaml]\n");
    shop.put("out/overlays/north/kustomization.yaml", overlay);
    shop.put("out/overlays/patch.yaml", patch);
    shop
}

#[test]
fn an_edit_that_finds_no_descriptor_is_tried_again() {
    lacking_everywhere(Shop::new, &[], 1);
    lacking_everywhere(Shop::new, &["-structured", "--kustomize"], 1);
}

#[test]
fn what_was_not_read_for_want_of_a_descriptor_decides_nothing() {
    lacking_everywhere(decided_elsewhere, &[], 1);
}

#[test]
fn a_commit_that_finds_no_descriptor_is_tried_again() {
    if crate::git::committed().is_none() {
        return;
    }
    let prepare = || crate::git::committed_beside_out().unwrap();
    lacking_everywhere(prepare, &["--git", "remote.git"], 3);
}

#[test]
fn a_rebase_that_cannot_be_seen_for_want_of_a_descriptor_is_not_taken_for_none() {
    if crate::git::committed().is_none() {
        return;
    }
    let prepare = || {
        let shop = crate::git::committed_beside_out().unwrap();
        shop.put("repo/.git/rebase-merge/head-name", "refs/heads/main\n");
        shop
    };
    lacking_everywhere(prepare, &["--git", "repo"], 2);
}

//! Concurrent changes to one package: each is made from the result of the one before it, and none waits for ever.

use crate::shop::{Run, Shop};
use rustix::fs::FlockOperation;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const PROCESSES: u32 = 8;
const RUNS: u32 = 15;

#[test]
fn eight_processes_change_one_package_one_after_the_other() {
    let shop = Shop::new();
    let file = shop.path("out/shop/web/deployment.yaml");
    let (start, over) = (std::fs::read_to_string(&file).unwrap(), AtomicBool::new(false));
    let whole = |text: &str| {
        (0..=100).any(|n| text == start.replace("replicas: 2   #", &format!("replicas: {n}   #")))
    };
    let steps = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(whole(&text), "half a file: {text}");
            }
        });
        let writers: Vec<_> = (0..PROCESSES)
            .map(|process| {
                scope.spawn({
                    let shop = &shop;
                    move || {
                        (0..RUNS)
                            .map(|run| {
                                let line =
                                    shop.scale(3 + process * RUNS % 80 + run, &["--lock-wait", "60s"]).line();
                                let number = |name: &str| line["replicas"][name].as_u64().unwrap();
                                (number("from"), number("to"))
                            })
                            .collect::<Vec<_>>()
                    }
                })
            })
            .collect();
        let steps: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        // Before anything fails: a reader that nobody stops would keep a failed test from ending.
        over.store(true, Ordering::Release);
        reader.join().unwrap();
        steps.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>()
    });
    // Serial changes form one path through all values: each is left as often as entered, except at the ends.
    let last: u64 = (0..=100)
        .find(|n| std::fs::read_to_string(&file).unwrap().contains(&format!("replicas: {n}   #")))
        .unwrap();
    let mut balance: BTreeMap<u64, i64> = BTreeMap::new();
    for (from, to) in &steps {
        *balance.entry(*from).or_default() += 1;
        *balance.entry(*to).or_default() -= 1;
    }
    *balance.entry(2).or_default() -= 1;
    *balance.entry(last).or_default() += 1;
    assert_eq!(steps.len(), (PROCESSES * RUNS) as usize);
    assert!(balance.values().all(|sum| *sum == 0), "{balance:?}");
    assert!(!shop.path("out/shop/web/.porch-tmp").exists());
}

#[test]
fn those_that_write_without_a_pause_keep_nobody_waiting_who_locks() {
    let shop = Shop::new();
    let (dir, file) = (shop.path("out/shop/web"), shop.path("out/shop/web/deployment.yaml"));
    let start = std::fs::read_to_string(&file).unwrap();
    // What is read around the package: a plan takes much longer than the others take between two versions.
    for neighbour in 0..200 {
        let place = shop.path(&format!("out/shop/n{neighbour}"));
        std::fs::create_dir(&place).unwrap();
        let other = start.replace("name: web", &format!("name: n{neighbour}"));
        std::fs::write(place.join("deployment.yaml"), other).unwrap();
    }
    let (over, numbers) = (AtomicBool::new(false), AtomicU32::new(1000));
    let rewrite = || {
        let held = std::fs::File::open(&dir).unwrap();
        if rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let version = start.replace("replicas: 2   #", &format!("replicas: {number}   #"));
            std::fs::write(dir.join(".draft"), version).unwrap();
            std::fs::rename(dir.join(".draft"), &file).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    rewrite();
                    std::thread::yield_now();
                }
            });
        }
        let runs: Vec<Run> = (0..5).map(|_| shop.scale(7, &["--lock-wait", "60s"])).collect();
        over.store(true, Ordering::Release);
        for run in runs {
            assert_eq!(run.line()["replicas"]["to"], 7);
        }
    });
}

#[test]
fn eight_processes_make_eight_packages_beside_each_other() {
    for flags in [&[][..], &["-structured", "--kustomize"]] {
        let shop = Shop::empty();
        std::thread::scope(|scope| {
            for process in 0..PROCESSES {
                let shop = &shop;
                scope.spawn(move || {
                    let intent = shop.intent_for(&format!("web-{process}"), 3, "");
                    shop.porch(&intent, flags).line();
                });
            }
        });
        let made = std::fs::read_dir(shop.path("out/shop")).unwrap().count();
        assert_eq!(made, PROCESSES as usize);
    }
}

#[test]
fn one_that_waits_too_long_says_so_and_may_try_again() {
    let shop = Shop::new();
    for place in ["out/shop/web", "out/shop"] {
        let intent = if place == "out/shop" { shop.intent_for("new", 3, "") } else { shop.intent(5) };
        let held = std::fs::File::open(shop.path(place)).unwrap();
        rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
        let run = Run::of(&shop.command(&intent, &["-out", "out", "--lock-wait", "30ms"]).output().unwrap());
        run.refused(75, "is in use by another process");
        drop(held);
        shop.porch(&intent, &[]).line();
    }
}

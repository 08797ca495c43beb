//! A writer that ignores the lock changes the same files concurrently, for a second each: none of its content is lost,
//! and no intent fails because of it.

use crate::lanes::order;
use crate::shop::Shop;
use conductor_porch::{Engine, Form, Patience, PorchError, Settings};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WHILE: Duration = Duration::from_millis(1_200);
/// The time limit in case the writer's thread has failed.
const LIMIT: Duration = Duration::from_secs(20);
/// An exchanged entry that is put back is absent only for an instant, which is longer where the machine has other work.
const INSTANT: Duration = Duration::from_secs(5);

fn patience() -> Patience<'static> {
    Patience::new(Duration::from_secs(10), Duration::from_mins(1))
}

/// Applies orders until the other side is done; returns the number of successes.
fn apply_while(engine: &Engine, over: &AtomicBool, prepare: impl Fn()) -> u32 {
    let (mut done, begin) = (0, Instant::now());
    while !over.load(Ordering::Acquire) && begin.elapsed() < LIMIT {
        prepare();
        match engine.apply(&order("web", 1 + done % 90), &patience()) {
            Ok(_) => done += 1,
            Err(error @ PorchError::Contended { .. }) => assert!(error.is_passing()),
            Err(error) => panic!("after {done}: {error}"),
        }
    }
    done
}

/// A file with a line of the writer's own in it, always of the same length.
fn with_mark(text: &str, mark: u32) -> String {
    let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("# mark ")).collect();
    format!("# mark {mark:08}\n{}\n", rest.join("\n"))
}

fn has_mark(path: &Path, mark: u32) -> bool {
    let begin = Instant::now();
    let line = format!("# mark {mark:08}");
    while begin.elapsed() < INSTANT {
        if fs::read_to_string(path).is_ok_and(|text| text.starts_with(&line)) {
            return true;
        }
    }
    false
}

fn rename_in(path: &Path, text: &str) {
    let draft = path.with_file_name("person.tmp");
    fs::write(&draft, text).unwrap();
    fs::rename(&draft, path).unwrap();
}

fn write_in_place(path: &Path, text: &str) {
    use std::io::Write;
    // Only the writer's own line: as an editor of bytes does.
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(text.lines().next().unwrap().as_bytes()).unwrap();
}

/// Writes versions in the way of `how`, each made from the current content; returns those that did not last.
fn versions(path: &Path, how: fn(&Path, &str), over: &AtomicBool) -> (u32, Vec<u32>) {
    let (begin, mut mark, mut lost) = (Instant::now(), 0, Vec::new());
    rename_in(path, &with_mark(&fs::read_to_string(path).unwrap(), 0));
    while begin.elapsed() < WHILE {
        mark += 1;
        how(path, &with_mark(&fs::read_to_string(path).unwrap(), mark));
        if !has_mark(path, mark) {
            lost.push(mark);
        }
        std::thread::sleep(Duration::from_micros(u64::from(mark % 7) * 130));
    }
    over.store(true, Ordering::Release);
    (mark, lost)
}

fn nothing_is_lost(how: fn(&Path, &str)) {
    let shop = Shop::new();
    let (path, over) = (shop.path("out/shop/web/deployment.yaml"), AtomicBool::new(false));
    let engine = Engine::new(Settings { durable: false, ..Settings::new(shop.path("out")) });
    rename_in(&path, &with_mark(&fs::read_to_string(&path).unwrap(), 0));
    let (done, (written, lost)) = std::thread::scope(|scope| {
        let person = scope.spawn(|| versions(&path, how, &over));
        (apply_while(&engine, &over, || {}), person.join().unwrap())
    });
    assert!(lost.is_empty(), "{} of {written} versions are gone: {lost:?}", lost.len());
    assert!(done > 5 && written > 20, "{done} intents, {written} versions");
    engine.apply(&order("web", 95), &patience()).unwrap();
    assert!(shop.read("out/shop/web/deployment.yaml").contains("replicas: 95 "));
    let left: Vec<String> =
        shop.tree("out").into_keys().filter(|path| path.ends_with(".porch-tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_version_renamed_in_at_the_same_time_is_never_lost() {
    nothing_is_lost(rename_in);
}

#[test]
fn bytes_written_in_place_at_the_same_time_are_never_lost() {
    nothing_is_lost(write_in_place);
}

#[test]
fn what_somebody_writes_right_after_us_is_no_defect_of_ours() {
    let shop = Shop::new();
    let (path, over) = (shop.path("out/shop/web/deployment.yaml"), AtomicBool::new(false));
    let (text, begin) = (fs::read_to_string(&path).unwrap(), Instant::now());
    let engine = Engine::new(Settings { durable: false, ..Settings::new(shop.path("out")) });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begin = Instant::now();
            // File, link, file: without waiting or looking.
            while begin.elapsed() < WHILE {
                rename_in(&path, &text);
                let draft = path.with_file_name("person.lnk");
                std::os::unix::fs::symlink("person.tmp", &draft).unwrap();
                if begin.elapsed() > WHILE / 2 {
                    fs::rename(&draft, &path).unwrap();
                } else {
                    fs::remove_file(&draft).unwrap();
                }
            }
            rename_in(&path, &text);
            over.store(true, Ordering::Release);
        });
        while !over.load(Ordering::Acquire) && begin.elapsed() < LIMIT {
            match engine.apply(&order("web", 7), &patience()) {
                // While the file is a link, the package contains no such object.
                Ok(_) | Err(PorchError::Contended { .. } | PorchError::Unfit { .. }) => {}
                Err(PorchError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(PorchError::Io { source, .. }) if source.raw_os_error() == Some(40) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
}

#[test]
fn files_put_into_a_package_that_is_exchanged_are_kept() {
    let shop = Shop::empty();
    let settings = Settings { form: Form::Structured, kustomize: true, ..Settings::new(shop.path("out")) };
    let (engine, over) = (Engine::new(settings), AtomicBool::new(false));
    engine.apply(&order("web", 1), &patience()).unwrap();
    let package = shop.path("out/shop/web-scaling-patch");
    assert!(package.is_dir());
    let put = std::thread::scope(|scope| {
        let person = scope.spawn(|| {
            let (begin, mut put) = (Instant::now(), Vec::new());
            while begin.elapsed() < WHILE {
                let name = format!("note-{}.txt", put.len());
                // A writer that opens the file during the exchange gets an error, and repeats the write.
                if fs::write(package.join(&name), &name).is_ok() {
                    put.push(name);
                }
                std::thread::sleep(Duration::from_micros(3_000 + 700 * (put.len() as u64 % 5)));
            }
            over.store(true, Ordering::Release);
            put
        });
        let component = package.join("kustomization.yaml");
        let done = apply_while(&engine, &over, || drop(fs::remove_file(&component)));
        assert!(done > 0, "no intent got through");
        person.join().unwrap()
    });
    let all = shop.tree("out");
    let found = |name: &String| all.keys().any(|path| path.ends_with(&format!("/{name}")));
    let lost: Vec<&String> = put.iter().filter(|name| !found(name)).collect();
    assert!(lost.is_empty(), "{} of {} are gone: {lost:?}", lost.len(), put.len());
}

#[test]
fn what_a_killed_exchange_left_of_somebody_is_kept() {
    let shop = Shop::new();
    let text = shop.read("out/shop/web/deployment.yaml");
    let kept = |name: &str| -> PathBuf { shop.path("out/shop/web").join(name) };
    // A draft, or the content that a draft replaced, is removed.
    for ours in [text.replace("replicas: 2   #", "replicas: 41   #"), text.clone(), text[..60].to_owned()] {
        shop.put("out/shop/web/.porch-tmp", ours);
        shop.scale(u32::try_from(text.len() % 7).unwrap() + 3, &[]).line();
        shop.scale(2, &[]).line();
        let found = [".porch-tmp", ".porch-kept-1"].map(|name| fs::read_to_string(kept(name)).ok());
        assert_eq!(found, [None, None]);
    }
    // A foreign version that came out at the instant of the kill stays.
    let theirs = text.replace("1.4.2", "1.5.0");
    shop.put("out/shop/web/.porch-tmp", &theirs);
    shop.scale(5, &[]).line();
    assert_eq!(fs::read_to_string(kept(".porch-kept-1")).unwrap(), theirs);
}

/// Everything below a directory that is a link to this target.
fn links_to(shop: &Shop, target: &str) -> Vec<String> {
    let all = shop.tree("").into_iter();
    all.filter(|(_, (_, content))| content == target.as_bytes()).map(|(path, _)| path).collect()
}

#[test]
fn a_link_or_pipe_that_a_killed_exchange_left_is_kept() {
    let shop = Shop::new();
    std::os::unix::fs::symlink("/somewhere", shop.path("out/shop/web/.porch-tmp")).unwrap();
    shop.scale(5, &[]).line();
    assert_eq!(links_to(&shop, "/somewhere"), ["out/shop/web/.porch-kept-1"]);
    let pipe = shop.path("out/shop/web/.porch-tmp");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    shop.scale(6, &[]).line();
    assert!(!pipe.exists() && shop.path("out/shop/web/.porch-kept-2").exists());
}

/// Whoever exchanges two names, as this engine does, displaces what it has put back.
#[test]
fn a_link_that_is_exchanged_with_the_file_again_and_again_is_never_lost() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let shop = Shop::new();
    let (path, other) = (shop.path("out/shop/web/deployment.yaml"), shop.path("out/shop/web/other"));
    std::os::unix::fs::symlink("/somewhere", &other).unwrap();
    let engine = Engine::new(Settings { durable: false, ..Settings::new(shop.path("out")) });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begin = Instant::now();
            let mut turn = 0;
            while begin.elapsed() < WHILE {
                turn += 1;
                // One of them may be gone for the instant in which it is put back.
                let _exchanged = renameat_with(CWD, &path, CWD, &other, RenameFlags::EXCHANGE);
                std::thread::sleep(Duration::from_micros(turn % 5 * 10));
            }
            over.store(true, Ordering::Release);
        });
        let mut number = 0;
        while !over.load(Ordering::Acquire) {
            number = 1 + number % 90;
            // The link may be there at the moment, or the file be away.
            let _refused_or_done = engine.apply(&order("web", number), &patience());
        }
    });
    assert_eq!(links_to(&shop, "/somewhere").len(), 1, "{:?}", shop.tree("out").keys());
}

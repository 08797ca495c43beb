//! `top` on a terminal: what it draws at which size, what its keys do, and that the terminal is put back.

use crate::env;
use conductor_testkit::{Running, Screen, Terminal, TestEnv, flat, has, wait_until};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

const DOWN: &str = "\x1b[B";
const PAGE_DOWN: &str = "\x1b[6~";

/// `top` on a terminal of this size.
fn top(env: &TestEnv, size: (u16, u16)) -> Terminal {
    let mut command = env.bare_command();
    command.args(["top", "-handoff", env.path("handoff").to_str().unwrap()]);
    Terminal::start(&command, size)
}

/// Waits until the screen satisfies the condition, and returns it.
#[track_caller]
fn shown(terminal: &Terminal, what: &str, condition: impl Fn(&Screen) -> bool) -> Screen {
    let seen = std::cell::RefCell::new(terminal.screen());
    let is_there = || {
        *seen.borrow_mut() = terminal.screen();
        condition(&seen.borrow())
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wait_until(what, is_there)));
    assert!(outcome.is_ok(), "{what}:\n{}", seen.borrow().text());
    seen.into_inner()
}

/// The place of the first line that contains this.
#[track_caller]
fn place(screen: &Screen, text: &str) -> usize {
    let found = screen.lines().iter().position(|line| line.contains(text));
    found.unwrap_or_else(|| panic!("no '{text}' in\n{}", screen.text()))
}

/// One intent runs, one failed, one was done, a held target has forty, and twenty targets wait for the only worker.
fn busy(env: &TestEnv) -> Running {
    env.script("busy: wait=go\nb: err=registry.example:5000-is-unreachable exit=3\n*: exit=0");
    let daemon = env.start_ready(&["-workers", "1"]);
    for (name, target) in [("done", "a"), ("failed", "b")] {
        env.drop_file(&format!("intent-{name}.json"), flat(target, 3));
        env.wait_status(&format!("intent-{name}.json"));
    }
    env.operate(&["hold", "test/held", "--note", "migration"]).expect(0);
    env.drop_file("intent-busy.json", flat("busy", 3));
    wait_until("it runs", || env.calls().len() == 3);
    for number in 0..40 {
        env.drop_file(&format!("intent-held-{number}.json"), flat("held", 3));
    }
    for number in 10..30 {
        env.drop_file(&format!("intent-cell-{number}.json"), flat(&format!("cell-{number}"), 3));
    }
    wait_until("all are taken, durably", || {
        let status = env.operate_json(&["status"]).0;
        (&status["waiting"], &status["last_seq"]) == (&60.into(), &63.into())
    });
    daemon
}

#[test]
fn top_shows_what_runs_and_failed_first_and_loses_no_line_at_any_size() {
    if !has("setsid") {
        return;
    }
    let env = env();
    let daemon = busy(&env);
    let terminal = top(&env, (24, 80));
    for (rows, columns) in [(24, 80), (40, 120), (12, 40), (5, 20), (24, 80)] {
        terminal.resize((rows, columns));
        // The last line is the keys, and every line is new.
        let screen = shown(&terminal, "a picture of that size", |screen| {
            let lines = screen.lines();
            let header = lines.iter().position(|line| line.starts_with(" NUMBER"));
            lines.len() == usize::from(rows)
                && lines[0].starts_with("conductor-loop")
                && lines.last().is_some_and(|last| last.starts_with("q quit"))
                && header.is_some_and(|header| header < 6)
                && lines.iter().any(|line| line.starts_with('>'))
        });
        assert_eq!(screen.lost, 0, "{}", screen.text());
        assert!(!screen.wraps() && !screen.has_cursor && screen.is_other);
        let kept = crate::page::pictures().join(format!("top-{columns}x{rows}.txt"));
        std::fs::write(kept, screen.text()).unwrap();
    }
    let screen = terminal.screen();
    let lines = screen.lines();
    assert!(lines[23].ends_with("f failed"), "all keys are told on 80 columns: {lines:?}");
    assert_eq!(lines[21], "intent-busy.json: running: its run goes on, start 1", "{lines:?}");
    assert!(lines[0].starts_with("conductor-loop  running, ready"), "{lines:?}");
    assert!(lines[1].contains("running 1/1") && lines[1].contains("waiting 60 (oldest"), "{lines:?}");
    assert!(lines[1].contains("failed 1 in an hour"), "{lines:?}");
    assert_eq!(lines[2], "held 1: test/held (migration)");
    let columns = place(&screen, " NUMBER");
    assert!(columns <= 5 && lines[columns].contains("REASON"), "{lines:?}");
    assert_eq!(place(&screen, "test/busy"), columns + 1);
    assert_eq!(place(&screen, "E301 porch-failed"), columns + 2);
    assert!(lines[place(&screen, "+39 more")].contains("test/held"), "{lines:?}");
    let held = lines.iter().filter(|line| line.contains("test/held")).count();
    assert_eq!(held, 2, "one line in the head, one for its intents: {}", screen.text());
    env.release("go");
    daemon.stop().expect(0);
}

#[test]
fn top_is_scrolled_sorted_filtered_and_explains_and_retries() {
    if !has("setsid") {
        return;
    }
    let env = env();
    let daemon = busy(&env);
    let mut terminal = top(&env, (24, 80));
    shown(&terminal, "the rows", |screen| screen.text().contains('>') && screen.text().contains("test/held"));
    let selected = |screen: &Screen, text: &str| {
        screen.lines().iter().any(|line| line.starts_with('>') && line.contains(text))
    };
    // Down to the failed one: it says why, and is handed in again only after a yes.
    terminal.press(DOWN);
    shown(&terminal, "the failed one is selected", |screen| selected(screen, "test/b"));
    terminal.press("e");
    let screen = shown(&terminal, "its reason", |screen| screen.text().contains("what to do "));
    assert!(screen.text().contains("intent-failed.json (number 2) is failed"), "{}", screen.text());
    assert!(screen.text().contains("registry.example:5000"), "{}", screen.text());
    terminal.press(" ");
    shown(&terminal, "the rows again", |screen| selected(screen, "test/b"));
    terminal.press("r");
    shown(&terminal, "the question", |screen| {
        screen.text().contains("hand in intent-failed.json (number 2) again? y/n")
    });
    terminal.press("n");
    shown(&terminal, "the answer", |screen| screen.text().contains("not retried"));
    assert_eq!(env.operate_json(&["status"]).0["last_seq"], 63);
    terminal.press("r");
    shown(&terminal, "the question", |screen| screen.text().contains("again? y/n"));
    terminal.press("y");
    shown(&terminal, "the answer", |screen| screen.text().contains("intent-failed.json is handed in again"));
    wait_until("it is taken again", || env.operate_json(&["status"]).0["last_seq"] == 64);
    // What lies below is reached by pages, and the selection is always in sight.
    terminal.press(PAGE_DOWN);
    terminal.press(PAGE_DOWN);
    shown(&terminal, "the end", |screen| selected(screen, "test/a") && !screen.text().contains("test/busy"));
    terminal.press("\x1b[H");
    shown(&terminal, "the beginning", |screen| selected(screen, "test/busy"));
    // By target, then only what contains a word, then all again.
    terminal.press("ss");
    let screen = shown(&terminal, "the order", |screen| screen.text().contains("s sort:target"));
    assert!(place(&screen, "test/b ") < place(&screen, "test/busy"), "{}", screen.text());
    terminal.press("/cell-2\r");
    let screen = shown(&terminal, "what is left", |screen| {
        screen.text().contains("/cell-2 Esc all") && screen.text().contains("test/cell-20")
    });
    assert!(!screen.text().contains("test/cell-19"), "{}", screen.text());
    terminal.press("\x1b");
    shown(&terminal, "all", |screen| screen.text().contains("test/busy"));
    terminal.press("f");
    shown(&terminal, "failed ones", |screen| {
        screen.text().contains("E301") && !screen.text().contains("test/busy")
    });
    terminal.press("?");
    shown(&terminal, "the other keys", |screen| screen.text().contains("PgDn g G: move"));
    terminal.press("u");
    shown(&terminal, "unfinished ones", |screen| {
        screen.text().contains("test/busy") && !screen.text().contains("E301")
    });
    terminal.press("q");
    assert!(terminal.wait().success());
    env.release("go");
    daemon.stop().expect(0);
}

#[test]
fn many_failures_are_told_by_cause_and_hide_nothing_that_waits() {
    if !has("setsid") {
        return;
    }
    let env = env();
    env.script("b: err=registry.example:5000-is-unreachable exit=3");
    let daemon = env.start_ready(&[]);
    for number in 0..9 {
        let name = format!("intent-{number}.json");
        env.drop_file(&name, flat("b", if number < 6 { 1 + number } else { 500 }));
        env.wait_status(&name);
    }
    env.operate(&["hold", "test/held"]).expect(0);
    env.drop_file("intent-held.json", flat("held", 3));
    let mut terminal = top(&env, (24, 80));
    let screen = shown(&terminal, "what waits", |screen| screen.text().contains("an operator holds"));
    assert!(screen.text().contains("failed: E301 porch-failed 6  E215 out-of-range 3"), "{}", screen.text());
    let failed = |screen: &Screen| screen.lines().iter().filter(|line| line.contains(" failed ")).count();
    assert_eq!(failed(&screen), 5 + 1, "five of them, beside the line of the numbers: {}", screen.text());
    // What the table cuts off stands below it; the end is one key away, and all of them are.
    terminal.press("/intent-0\r");
    shown(&terminal, "the whole reason", |screen| {
        screen.text().contains("registry.example:5000-is-unreachable")
    });
    terminal.press("\x1b");
    shown(&terminal, "what waits", |screen| screen.text().contains("an operator holds"));
    terminal.press("f");
    shown(&terminal, "all that failed", |screen| failed(screen) == 9 + 1);
    terminal.press("G");
    shown(&terminal, "the last", |screen| screen.lines().iter().any(|line| line.starts_with(">1 ")));
    terminal.press("q");
    assert!(terminal.wait().success());
    daemon.stop().expect(0);
}

#[test]
fn top_puts_the_terminal_back_at_every_end_and_outlives_the_daemon() {
    if !has("setsid") {
        return;
    }
    let env = env();
    let daemon = env.start_ready(&[]);
    for end in [None, Some(Signal::TERM), Some(Signal::INT), Some(Signal::HUP)] {
        let mut terminal = top(&env, (24, 80));
        let before = terminal.mode();
        shown(&terminal, "an empty list says what to do", |screen| {
            screen.text().contains("nothing yet: conductor-loop submit FILE -handoff /")
        });
        assert_ne!(terminal.mode(), before, "keys are read one by one");
        match end {
            Some(signal) => terminal.signal(signal),
            None => terminal.press("\x03"),
        }
        let status = terminal.wait();
        assert_eq!(status.signal(), end.map(Signal::as_raw), "{status}");
        let screen = shown(&terminal, "the usual screen", |screen| !screen.is_other);
        assert!(screen.has_cursor && screen.wraps(), "{end:?}");
        assert_eq!((screen.usual.as_str(), terminal.mode()), ("", before), "{end:?}");
    }
    // Without a daemon it says so, and goes on when one is there again.
    let terminal = top(&env, (24, 80));
    shown(&terminal, "a picture", |screen| screen.text().contains("running, ready"));
    daemon.stop().expect(0);
    shown(&terminal, "that none runs", |screen| screen.text().contains("conductor-loop  not running"));
    let daemon = env.start_ready(&[]);
    shown(&terminal, "that one runs", |screen| screen.text().contains("running, ready"));
    daemon.stop().expect(0);
}

#[test]
fn failures_beyond_those_that_are_counted_are_told_and_hide_nothing_that_is_done() {
    if !has("setsid") {
        return;
    }
    let of = |seq| if seq == 1 { ("success", "c") } else { ("failed", "c") };
    let env = crate::asking::with_outcomes_of(1_001, of);
    let daemon = env.start_ready(&[]);
    let mut terminal = top(&env, (24, 80));
    let screen = shown(&terminal, "what is done", |screen| screen.text().contains("done"));
    for told in ["failed, of the newest 200: failed 200", "failed 1000+ in an hour, 1000 in all"] {
        assert!(screen.text().contains(told), "{told}: {}", screen.text());
    }
    assert!(
        screen.lines().iter().any(|line| line.contains("intent-1.json") && line.contains(" done ")),
        "{}",
        screen.text()
    );
    terminal.press("q");
    assert!(terminal.wait().success());
    daemon.stop().expect(0);
}

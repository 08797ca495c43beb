//! The page in a real browser: its content, its updates, and that no text of an intent ever becomes markup.
//! `UPDATE_PICTURES=1` as root writes docs/pictures (below TMPDIR, whose path they show).

use crate::endpoints::listening;
use crate::env;
use conductor_testkit::{Browser, Running, TestEnv, TestUser, flat, has, wait_until};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// `None` if there is no browser, with a message.
fn browser() -> Option<Browser> {
    (has("chromium") && has("chromedriver")).then(Browser::start)
}

fn sees(browser: &Browser, selector: &str, text: &str) {
    wait_until(&format!("'{text}' in {selector}"), || browser.text(selector).contains(text));
}

/// A daemon with intents of every state, and the page open.
fn busy_page(env: &TestEnv, browser: &Browser) -> (Running, SocketAddr) {
    env.script("busy: wait=go\nb: err=registry.example:5000-is-unreachable exit=3\n*: exit=0");
    let (daemon, address) = listening(env, &["-workers", "1"]);
    for (name, target) in [("scale-up-001", "cnf-simulator"), ("edge-7", "b")] {
        env.drop_file(&format!("intent-{name}.json"), flat(target, 3));
        env.wait_status(&format!("intent-{name}.json"));
    }
    env.drop_file("intent-too-many.json", flat("cnf-simulator", 500));
    env.wait_status("intent-too-many.json");
    for name in ["busy", "later"] {
        env.drop_file(&format!("intent-{name}.json"), flat(name, 3));
        wait_until("it is taken", || !env.handoff(&format!("intent-{name}.json")).exists());
    }
    browser.open(&format!("http://{address}/"));
    (daemon, address)
}

#[test]
fn the_page_shows_what_waits_runs_and_failed_and_why_and_keeps_up() {
    let Some(browser) = browser() else { return };
    let env = env();
    let (daemon, _) = busy_page(&env, &browser);
    sees(&browser, "#state", "ready");
    sees(&browser, "#rows", "intent-busy.json");
    for (row, words) in [
        (1, ["running", "test/busy", "porch runs, start 1"]),
        (2, ["waiting", "intent-later.json", "a worker starts it next"]),
        (3, ["failed", "intent-too-many.json", "E215 out-of-range"]),
        (4, ["failed", "intent-edge-7.json", "porch exited with status 3: registry.example"]),
        (5, ["done", "intent-scale-up-001.json", "success"]),
    ] {
        let text = browser.text(&format!("#rows tr:nth-child({row})"));
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
    }
    // The page updates without any action.
    env.drop_file("intent-new.json", flat("new", 3));
    sees(&browser, "#rows", "intent-new.json");
    env.release("go");
    sees(&browser, "#tiles", "4\ndone");
    assert_ne!(browser.run("return document.querySelector('#rate path.line').getAttribute('d')"), "");
    // By state, by search, and back.
    browser.press("#states button:nth-child(5)");
    wait_until("only failures", || !browser.text("#rows").contains("done"));
    assert_eq!(browser.run("return document.querySelectorAll('#rows tr').length"), 2);
    browser.press("#states button:nth-child(1)");
    browser.type_into("#search", "edge-7");
    wait_until("one row", || browser.run("return document.querySelectorAll('#rows tr').length") == 1);
    browser.press("#rows tr:nth-child(1) td.file a");
    for text in [
        "intent-edge-7.json, number 2",
        "E301 porch-failed",
        "Timeline",
        "start 1 of porch, by worker 0",
        "registry.example:5000",
        "\"replicas\": 3",
    ] {
        sees(&browser, "#detail", text);
    }
    browser.press("#detail button");
    wait_until("the list is back", || {
        browser.run("return document.querySelector('#intents').hidden") == false
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // The page notices that the daemon goes away, and that it returns.
    daemon.kill();
    sees(&browser, "#state", "connection lost");
}

#[test]
fn nothing_in_an_intent_becomes_markup() {
    let Some(browser) = browser() else { return };
    let env = env();
    let evil = "<img src=x onerror=document.title=1><script>document.title=2</script>";
    env.script(&format!("a: out={} err={} exit=3", evil.replace(' ', "/"), evil.replace(' ', "/")));
    let (daemon, address) = listening(&env, &[]);
    let content = flat("a", 3).replace('}', &format!(r#", "reason": "{evil}", "correlation_id": "x"}}"#));
    env.drop_file("intent-a.json", &content);
    env.wait_status("intent-a.json");
    env.drop_file("intent-<img src=x onerror=document.title=3>.json", &content);
    env.drop_file("intent-bad.json", format!(r#"{{"{evil}": 1}}"#));
    env.wait_status("intent-bad.json");
    wait_until("all are filed", || env.names("failed").len() >= 6);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#rows", "intent-bad.json");
    for number in 1..=3 {
        browser.open(&format!("http://{address}/#/{number}"));
        wait_until("its detail", || browser.text("#detail h2").contains(&format!("number {number}")));
        let shown = browser.text("#detail");
        assert!(shown.contains("onerror=document.title"), "shown as text: {shown}");
        let made = "return document.querySelectorAll('img, main script, main style, iframe, object').length";
        assert_eq!(
            (browser.run(made), browser.run("return document.title")),
            (0.into(), "conductor-loop".into())
        );
    }
    // A script that is injected all the same is stopped by the policy.
    let tried = browser.run(
        "try { document.body.innerHTML = '<p>x</p>'; return 'done'; } catch (error) { return 'refused'; }",
    );
    assert_eq!(tried, "refused");
    daemon.stop().expect(0);
}

#[test]
fn the_page_asks_for_the_token() {
    let Some(browser) = browser() else { return };
    let env = env();
    fs::write(env.path("token"), "0123456789abcdef0123").unwrap();
    let (daemon, address) = listening(&env, &["-token-file", env.path("token").to_str().unwrap()]);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#token", "asks for a token");
    browser.type_into("#token-value", "0123456789abcdef0123");
    browser.press("#token button");
    sees(&browser, "#state", "ready");
    wait_until("events come too", || browser.run("return view.pulses.length") != 0);
    daemon.stop().expect(0);
}

#[test]
fn the_page_fits_a_phone_and_both_colours() {
    let Some(browser) = browser() else { return };
    let pictures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pictures"));
    let update = std::env::var_os("UPDATE_PICTURES").is_some();
    let env = env().as_user(if update { TestUser::Nobody } else { TestUser::Current });
    let (daemon, _) = busy_page(&env, &browser);
    sees(&browser, "#rows", "intent-busy.json");
    if update {
        some_traffic(&env);
    }
    for (name, at, size, dark) in [
        ("page-light", "", (1200, 760), false),
        ("page-dark", "", (1200, 760), true),
        ("page-phone", "", (390, 844), false),
        ("detail-dark", "#/2", (1000, 900), true),
        ("detail-phone", "#/2", (390, 844), true),
    ] {
        browser.look_like(size, dark);
        browser.run(&format!("location.hash = '{at}'"));
        wait_until("it is drawn", || {
            (browser.run("return document.querySelector('#detail').hidden") == true) == at.is_empty()
                && browser.text("#detail h2").contains("number 2") != at.is_empty()
        });
        let overflow = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
        assert!(overflow.as_i64().unwrap() <= 0, "{name} is {overflow} pixels too wide");
        let ground = browser.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground == "rgb(16, 21, 28)", dark, "{name}: {ground}");
        if update {
            fs::create_dir_all(pictures).unwrap();
            browser.picture(&pictures.join(format!("{name}.png")));
        }
    }
    env.release("go");
    daemon.stop().expect(0);
}

/// Traffic for the charts: a few intents a second, for a while.
fn some_traffic(env: &TestEnv) {
    env.release("go");
    for number in 0..60 {
        for extra in 0..=(number % 5) {
            env.drop_file(
                &format!("intent-{number:02}-{extra}.json"),
                flat(&format!("cell-{extra}"), 1 + number),
            );
        }
        std::thread::sleep(Duration::from_millis(250)); // A chart of traffic takes time.
    }
}

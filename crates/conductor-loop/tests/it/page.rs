//! The page in a real browser: its content, its updates, and that no text of an intent ever becomes markup.
//! Each run leaves its pictures in target/pictures; `UPDATE_PICTURES=1` as root writes docs/pictures (below TMPDIR, whose path they show).

use crate::endpoints::listening;
use crate::env;
use conductor_testkit::{Browser, Running, TestEnv, TestUser, flat, has, wait_until};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `None` if there is no browser, with a message.
fn browser() -> Option<Browser> {
    (has("chromium") && has("chromedriver")).then(Browser::start)
}

/// Where the pictures are for whoever looks at the results of a run.
pub(crate) fn pictures() -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../pictures");
    fs::create_dir_all(&kept).unwrap();
    kept
}

fn picture(browser: &Browser, name: &str) {
    browser.picture(&pictures().join(format!("{name}.png")));
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
    browser.look_like((1280, 900), false);
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
        ("running", ["running", "test/busy", "its run goes on, start 1"]),
        ("lately", ["failed", "intent-too-many.json", "E215 out-of-range"]),
        ("lately", ["failed", "intent-edge-7.json", "porch exited with status 3: registry.example"]),
        // Whether a worker has it in hand depends on how long runs take here.
        ("waiting", ["waiting", "intent-later.json", "test/later"]),
        ("finished", ["done", "intent-scale-up-001.json", "success"]),
    ] {
        for word in words {
            sees(&browser, &format!("#rows tbody.{row}"), word);
        }
    }
    let order = browser.text("#rows");
    let place = |title: &str| order.find(title).unwrap_or_else(|| panic!("no {title} in {order}"));
    assert!(place("Running") < place("Failed in the last hour"), "{order}");
    assert!(
        place("Failed in the last hour") < place("Waiting") && place("Waiting") < place("Finished"),
        "{order}"
    );
    assert!(browser.text("#tiles").contains("failed in 1 h\n2\n2 in all"), "{}", browser.text("#tiles"));
    // The page updates without any action.
    env.drop_file("intent-new.json", flat("new", 3));
    sees(&browser, "#rows", "intent-new.json");
    env.release("go");
    sees(&browser, "#tiles", "done\n4");
    the_plots_can_be_read(&browser);
    // Every row hands over the command that acts on it.
    browser.press("#rows tbody.lately tr:nth-child(3) td.copy button:nth-child(2)");
    sees(&browser, "#said", "conductor-loop retry 2 -handoff /");
    wait_until("the message goes", || browser.run("return document.querySelector('#said').hidden") == true);
    // By state, by search, and back.
    browser.press("#states button:nth-child(5)");
    wait_until("only failures", || !browser.text("#rows").contains("done"));
    assert_eq!(rows(&browser), 2);
    browser.press("#states button:nth-child(1)");
    browser.type_into("#search", "edge-7");
    wait_until("one row", || rows(&browser) == 1);
    browser.press("#rows tr.intent td.file a");
    for text in [
        "intent-edge-7.json, number 2",
        "E301 porch-failed",
        "Timeline",
        "start 1 of porch, by worker 0",
        "and the status is genuine",
        "intent_filed by daemon",
        "registry.example:5000",
        "\"replicas\": 3",
    ] {
        sees(&browser, "#detail", text);
    }
    browser.press("#detail .back");
    wait_until("the list is back", || {
        browser.run("return document.querySelector('#intents').hidden") == false
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // The page notices that the daemon goes away, also where it is scrolled down.
    browser.look_like((800, 300), false);
    browser.run("scrollTo(0, 9999)");
    daemon.kill();
    sees(&browser, "#state", "connection lost, last seen at ");
    let header = "const box = document.querySelector('#state').getBoundingClientRect(); return scrollY > 0 && box.top >= 0 && box.bottom < 60";
    assert_eq!(browser.run(header), true);
    sees(&browser, "#notice", "The daemon cannot be reached");
}

/// The number of intents in the table.
fn rows(browser: &Browser) -> i64 {
    browser.run("return document.querySelectorAll('#rows tr.intent').length").as_i64().unwrap()
}

/// Both plots have units, a window as long as what there is, and values at the pointer and by the keyboard.
fn the_plots_can_be_read(browser: &Browser) {
    wait_until("something is drawn", || {
        browser.run("return document.querySelectorAll('#rate path.line, #latency path.line').length > 2")
            == true
    });
    for (id, unit) in [("rate", "/s"), ("latency", " ms")] {
        let labels = format!(
            "return [...document.querySelectorAll('#{id} text')].map((e) => e.textContent).join('|')"
        );
        let labels = browser.run(&labels);
        let labels = labels.as_str().unwrap();
        assert!(
            labels.contains(unit) && labels.contains("-20 s|") || labels.contains(" min|"),
            "{id}: {labels}"
        );
    }
    sees(browser, "#latency-now", "p95 ");
    let at = |id: &str| browser.text(&format!("#{id}-now"));
    assert!(at("rate").starts_with("now"), "{}", at("rate"));
    let point = "const e = document.querySelector('#rate'), box = e.getBoundingClientRect();
        e.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 20, clientY: box.top + 20}));";
    browser.run(point);
    assert!(at("rate").contains("failed/s") && !at("rate").starts_with("now"), "{}", at("rate"));
    browser.run("document.querySelector('#rate').dispatchEvent(new PointerEvent('pointerleave'))");
    assert!(at("rate").starts_with("now"), "{}", at("rate"));
    let key =
        "document.querySelector('#latency').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))";
    browser.run(key);
    assert!(!at("latency").starts_with("last minute"), "{}", at("latency"));
    browser.run("document.querySelector('#latency').dispatchEvent(new FocusEvent('blur'))");
}

#[test]
fn the_address_names_what_is_shown_and_keys_go_there() {
    let Some(browser) = browser() else { return };
    let env = env();
    let (daemon, address) = busy_page(&env, &browser);
    sees(&browser, "#rows", "intent-busy.json");
    let place = || browser.run("return location.hash").as_str().unwrap().to_owned();
    let key = |key: &str| {
        browser.run(&format!(
            "(document.activeElement || document.body).dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}', bubbles: true, cancelable: true}}))"
        ));
    };
    // What is chosen and searched for stands in the address, which says the same in another window.
    key("5");
    wait_until("only failures", || rows(&browser) == 2);
    key("/");
    wait_until("the search", || browser.run("return document.activeElement.id") == "search");
    browser.type_into("#search", "E301 1h");
    wait_until("one of them", || rows(&browser) == 1);
    assert_eq!(place(), "#state=failed&q=E301+1h");
    browser.open("about:blank");
    browser.open(&format!("http://{address}/#state=failed&q=E301+1h"));
    wait_until("the same", || rows(&browser) == 1);
    assert_eq!(browser.run("return document.querySelector('#search').value"), "E301 1h");
    // An intent and back, by keys; its target is a way to its other intents.
    key("j");
    assert_eq!(browser.run("return document.activeElement.textContent"), "intent-edge-7.json");
    browser.run("document.activeElement.click()");
    sees(&browser, "#detail h2", "intent-edge-7.json, number 2");
    assert_eq!(place(), "#/2");
    key("Escape");
    wait_until("the list as it was", || rows(&browser) == 1 && place() == "#state=failed&q=E301+1h");
    key("Escape");
    wait_until("everything", || place().is_empty() && browser.text("#rows").contains("Finished"));
    browser.open(&format!("http://{address}/#/1"));
    sees(&browser, "#detail h2", "number 1");
    sees(&browser, "#detail .facts", "test/cnf-simulator");
    browser.press("#detail .facts dd a");
    wait_until("those of the target", || place() == "#q=test%2Fcnf-simulator" && rows(&browser) == 1);
    browser.run("history.back()");
    wait_until("the intent", || {
        place() == "#/1" && browser.run("return document.querySelector('#detail').hidden") == false
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // Of one that is not there nothing is shown, above all not the one before.
    sees(&browser, "#detail", "scaling to 3");
    browser.run("location.hash = '#/999'");
    sees(&browser, "#notice", "999");
    assert_eq!(browser.text("#detail"), "Back to the list\nnumber 999");
    key("?");
    sees(&browser, "#keys", "next and previous intent");
    env.release("go");
    daemon.stop().expect(0);
}

#[test]
fn causes_of_failures_are_counted_and_lead_to_them() {
    let Some(browser) = browser() else { return };
    let env = env();
    env.script("b: err=locked exit=3\n*: exit=0");
    let (daemon, address) = listening(&env, &[]);
    browser.look_like((1280, 900), false);
    for (code, count) in [("b", 4), ("c", 3)] {
        for number in 0..count {
            let name = format!("intent-{code}-{number}.json");
            env.drop_file(&name, flat(code, if code == "b" { 1 + number } else { 500 }));
            env.wait_status(&name);
        }
    }
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#rows tbody.lately tr.section", "E301 porch-failed 4");
    sees(&browser, "#rows tbody.lately tr.section", "E215 out-of-range 3");
    assert_eq!(rows(&browser), 5, "the last of them");
    assert_eq!(browser.run("return document.title"), "7 failed · conductor-loop");
    browser.press("#rows tr.section .chip:nth-of-type(2)");
    wait_until("those of one cause", || rows(&browser) == 3 && !browser.text("#rows").contains("E301"));
    browser.press("#tiles a:nth-child(3)");
    wait_until("all of them", || rows(&browser) == 7);
    daemon.stop().expect(0);
}

#[test]
fn an_idle_page_grows_older_and_a_paused_list_stays() {
    let Some(browser) = browser() else { return };
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    browser.look_like((1280, 900), false);
    env.drop_file("intent-a.json", flat("a", 3));
    env.wait_status("intent-a.json");
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#rows", "intent-a.json");
    // Two hours later nothing has happened: ages say so, and what passes with time is asked for anew.
    browser.run("const now = Date.now; window.began = now(); Date.now = () => now() + 7200e3; window.line = document.querySelector('tr.intent')");
    sees(&browser, "#rows", "2 h ago");
    wait_until("it is asked for", || browser.run("return view.drawn > began + 7000e3") == true);
    // What did not change is the same line, so that marked text stays marked; a paused list is not touched at all.
    browser.press("#pause");
    env.drop_file("intent-b.json", flat("b", 3));
    sees(&browser, "#tiles", "done\n2");
    assert_eq!(rows(&browser), 1);
    browser.press("#pause");
    wait_until("both", || rows(&browser) == 2);
    assert_eq!(browser.run("return window.line === document.querySelectorAll('tr.intent')[1]"), true);
    daemon.stop().expect(0);
}

#[test]
fn one_held_target_is_one_row_and_an_empty_list_says_what_to_do() {
    let Some(browser) = browser() else { return };
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#none", "conductor-loop submit --wait intent-web.json -handoff /");
    picture(&browser, "page-empty");
    env.operate(&["hold", "test/held", "--note", "migration"]).expect(0);
    for number in 0..30 {
        env.drop_file(&format!("intent-{number}.json"), flat("held", 3));
    }
    sees(&browser, "#rows tbody.waiting", "+29 more");
    assert_eq!(rows(&browser), 1);
    sees(&browser, "#held", "test/held: migration (since ");
    assert!(browser.text("#rows").contains("an operator holds its target"), "{}", browser.text("#rows"));
    picture(&browser, "page-held");
    browser.press("#held button");
    sees(&browser, "#said", "conductor-loop release test/held -handoff /");
    browser.press("#rows td button.chip");
    wait_until("all of the target", || rows(&browser) == 30);
    assert_eq!(browser.complaints(), Vec::<String>::new());
    daemon.stop().expect(0);
}

#[test]
fn ten_thousand_that_wait_are_counted_and_fill_no_page() {
    let Some(browser) = browser() else { return };
    let env = env();
    let (daemon, address) = listening(&env, &[]);
    env.operate(&["hold", "--all", "--note", "migration"]).expect(0);
    for number in 0..10_000 {
        env.drop_file(&format!("intent-{number}.json"), flat(&format!("t{}", number % 300), 3));
    }
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#tiles", "10,000");
    sees(&browser, "#rows tbody.waiting", "10,000, by target");
    // 34 of the first target: one is named.
    sees(&browser, "#rows tbody.waiting", "+33 more");
    assert_eq!(rows(&browser), 12, "the rest is behind a button");
    sees(&browser, "#tiles", "every target");
    browser.look_like((1280, 900), false);
    picture(&browser, "page-10000");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    daemon.stop().expect(0);
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
        sees(&browser, "#detail h2", &format!("number {number}"));
        sees(&browser, "#detail", "Audit trail");
        let shown = browser.text("#detail");
        assert!(shown.contains("onerror=document.title"), "shown as text: {shown}");
        let made = "return document.querySelectorAll('img, main script, main style, iframe, object').length";
        assert_eq!(browser.run(made), 0);
        wait_until("its title", || {
            browser.run("return document.title") == format!("failed {number} · conductor-loop")
        });
    }
    // A script that is injected all the same is stopped by the policy.
    let tried = browser.run(
        "try { document.body.innerHTML = '<p>x</p>'; return 'done'; } catch (error) { return 'refused'; }",
    );
    assert_eq!(tried, "refused");
    daemon.stop().expect(0);
}

#[test]
fn the_page_asks_for_the_token_and_says_what_is_wrong_with_it() {
    let Some(browser) = browser() else { return };
    let env = env();
    fs::write(env.path("token"), "0123456789abcdef0123").unwrap();
    let (daemon, address) = listening(&env, &["-token-file", env.path("token").to_str().unwrap()]);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#token", "asks for a token");
    sees(&browser, "#state", "no token");
    browser.type_into("#token-value", "0123456789abcdef0124");
    browser.press("#token button");
    sees(&browser, "#token", "That token is wrong");
    picture(&browser, "page-token");
    sees(&browser, "#state", "wrong token");
    browser.type_into("#token-value", "0123456789abcdef0123");
    browser.press("#token button");
    sees(&browser, "#state", "ready");
    wait_until("events come too", || browser.run("return view.pulses.length") != 0);
    daemon.stop().expect(0);
}

/// Names of targets and files that are broken into several lines.
const BROKEN_NAMES: &str = "const lines = (cell) => { const range = document.createRange(); range.selectNodeContents(cell);
    return new Set([...range.getClientRects()].map((box) => Math.round(box.bottom))).size; };
    return [...document.querySelectorAll('td.name')].filter((cell) => lines(cell) > 1).map((cell) => cell.textContent)";

/// Texts whose colour is too near to that of their ground.
const FAINT: &str = "const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (element) => { for (let at = element; at; at = at.parentElement) {
        const found = parts(getComputedStyle(at).backgroundColor);
        if (found.length < 4 || found[3] > 0.5) return light(found);
    } return 1; };
    const contrast = (element) => { const style = getComputedStyle(element);
        const ink = light(parts(element.closest('svg') ? style.fill : style.color)), below = ground(element);
        return (Math.max(ink, below) + 0.05) / (Math.min(ink, below) + 0.05); };
    return [...document.querySelectorAll('h1, h2, th, td, span, small, b, p, dt, dd, time, button, text, output')]
        .filter((element) => element.textContent && element.getClientRects().length && contrast(element) < 4.5)
        .map((element) => `${element.tagName} ${element.className} ${element.textContent} ${contrast(element)}`)";

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
        ("page-light", "", (1280, 800), false),
        ("page-wide", "", (1920, 1000), false),
        ("page-dark", "", (1280, 800), true),
        ("page-phone", "", (390, 844), false),
        ("page-tablet", "", (768, 1024), false),
        ("page-narrow", "", (1060, 800), false),
        ("detail-dark", "#/2", (1100, 900), true),
        ("detail-phone", "#/2", (390, 844), true),
    ] {
        browser.look_like(size, dark);
        browser.run(&format!("location.hash = '{at}'"));
        wait_until("it is drawn", || {
            (browser.run("return document.querySelector('#detail').hidden") == true) == at.is_empty()
                && browser.text("#detail").contains("E301 porch-failed") != at.is_empty()
        });
        let overflow = browser.run("return document.documentElement.scrollWidth - window.innerWidth");
        assert!(overflow.as_i64().unwrap() <= 0, "{name} is {overflow} pixels too wide");
        assert_eq!(browser.run(BROKEN_NAMES), serde_json::json!([]), "{name}: names in one line");
        assert_eq!(browser.run(FAINT), serde_json::json!([]), "{name}: contrast of at least 4.5");
        let first = "return document.querySelector('tr.intent').getBoundingClientRect().bottom < innerHeight";
        assert!(!at.is_empty() || browser.run(first) == true, "{name}: the first intent is in sight");
        let begins = "const box = document.querySelector('#detail').getBoundingClientRect(); return box.top >= 40 && box.top < innerHeight / 2";
        if !at.is_empty() {
            wait_until("the beginning of the detail is in sight", || browser.run(begins) == true);
        }
        let ground = browser.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground == "rgb(16, 21, 28)", dark, "{name}: {ground}");
        picture(&browser, name);
        if update && pictures.join(format!("{name}.png")).exists() {
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

#[test]
fn many_failures_hide_nothing_that_is_done_and_a_correlation_id_is_searched_as_text() {
    let Some(browser) = browser() else { return };
    let of = |seq| if seq == 1 { ("success", "team/2000 E301") } else { ("failed", "c") };
    let env = crate::asking::with_outcomes_of(251, of);
    let (daemon, address) = listening(&env, &[]);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#rows tbody.lately tr.section", "250, causes of the newest 200");
    sees(&browser, "#rows tbody.lately tr.section", "failed 200");
    assert!(!browser.text("#rows tbody.lately tr.section").contains("null"), "they have no code");
    sees(&browser, "#rows tbody.finished", "intent-1.json");
    browser.open(&format!("http://{address}/#/1"));
    sees(&browser, "#detail .facts", "team/2000 E301");
    browser.press("#detail .facts dd a");
    wait_until("that of the id", || rows(&browser) == 1 && browser.text("#rows").contains("intent-1.json"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    daemon.stop().expect(0);
}

/// The daemon ends a search after half a million outcomes; here the browser answers in its place.
#[test]
fn a_search_that_ended_at_its_bound_goes_on_behind_it_and_says_where_it_ends_itself() {
    let Some(browser) = browser() else { return };
    let env = crate::asking::with_outcomes_of(3, |seq| ("success", if seq == 1 { "older" } else { "c" }));
    let (daemon, address) = listening(&env, &[]);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#rows tbody.finished", "intent-1.json");
    let ends_at = |until: &str| {
        browser.run(&format!(
            "window.real = window.real || window.fetch;
             const cut = () => new Response(JSON.stringify({{intents: [], more: true, next_before: 2}}));
             window.fetch = (path, rest) => path.includes('text=') && {until} ? Promise.resolve(cut()) : window.real(path, rest);"
        ));
    };
    ends_at("!path.includes('before=')");
    browser.run("location.hash = '#q=older'");
    wait_until("the older one", || rows(&browser) == 1 && browser.text("#rows").contains("intent-1.json"));
    ends_at("true");
    browser.run("location.hash = '#q=oldest'");
    sees(&browser, "#none", "older ones were not searched");
    assert_eq!(browser.run("return document.querySelector('#more').hidden"), true);
    daemon.stop().expect(0);
}

#[test]
fn failures_that_were_not_counted_to_their_end_are_told_as_at_least_so_many() {
    let Some(browser) = browser() else { return };
    let env = crate::asking::with_outcomes_of(1_001, |_| ("failed", "c"));
    let (daemon, address) = listening(&env, &[]);
    browser.open(&format!("http://{address}/"));
    sees(&browser, "#tiles a:nth-child(3)", "1,000+");
    sees(&browser, "#rows tbody.lately tr.section", "1,000+, causes of the newest 200");
    assert_eq!(browser.run("return document.title"), "1,000+ failed · conductor-loop");
    daemon.stop().expect(0);
}

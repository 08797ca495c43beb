//! The table of field cases: how people keep a workload, and what an intent for it does. Each file of `tests/field` is a row:
//!
//! ```text
//! How the workload is kept, in one line.
//! === in: shop/web/deployment.yaml ===
//! a file below the output directory
//! === change: shop/web/deployment.yaml ===
//!  a line that is there
//! -the line that goes
//! +the line that comes
//! ```
//!
//! Other sections: `refused: STATUS` (its lines are in standard error and nothing is changed), `new: PATH` (a file that is
//! made), `result` (its lines are in the result line), `intent`, `flags`, `routes`, and `rendered: DIR`
//! (what the renderer makes of the directory afterwards has this number for the target). A path may be followed by `crlf`, `bare`
//! (no line end at the end), `link` or `tabs` (each leading two blanks are a tab).

use crate::rendered;
use crate::shop::{Run, Shop};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

const ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/field");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PACKAGES.md");
/// The smallest number of rows.
const ROWS_MIN: usize = 150;

/// Sections by head: the word, what follows it, the lines.
struct Row {
    name: String,
    title: String,
    sections: Vec<(String, String, String)>,
}

impl Row {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (title, rest) = text.split_once("\n=== ").unwrap_or_else(|| panic!("{name} has no section"));
        let mut sections = Vec::new();
        for part in rest.split("\n=== ") {
            let (head, body) =
                part.split_once(" ===\n").or_else(|| Some((part.strip_suffix(" ===")?, ""))).unwrap();
            let (word, about) = head.split_once(": ").unwrap_or((head, ""));
            let end = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
            sections.push((word.to_owned(), about.to_owned(), format!("{body}{end}")));
        }
        Self { name, title: title.trim().to_owned(), sections }
    }

    fn all(&self, word: &str) -> impl Iterator<Item = (&str, &str)> {
        let these = self.sections.iter().filter(move |(is, _, _)| is == word);
        these.map(|(_, about, body)| (about.as_str(), body.as_str()))
    }

    fn one(&self, word: &str) -> Option<&str> {
        self.all(word).next().map(|(_, body)| body)
    }
}

/// A path, and the bytes of its section.
fn file(about: &str, body: &str) -> (String, Vec<u8>) {
    let mut words = about.split(' ');
    let path = words.next().unwrap().to_owned();
    let mut text = body.to_owned();
    for word in words {
        text = match word {
            "crlf" => text.replace('\n', "\r\n"),
            "bare" => text.trim_end_matches('\n').to_owned(),
            "tabs" => with_tabs(&text),
            "link" => text.trim_end().to_owned(),
            other => panic!("{path}: {other}"),
        };
    }
    (path, text.into_bytes())
}

fn with_tabs(text: &str) -> String {
    let line = |line: &str| {
        let rest = line.trim_start_matches(' ');
        format!("{}{rest}", "\t".repeat((line.len() - rest.len()) / 2))
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The file with the lines of a hunk replaced; they must occur once.
fn changed(name: &str, before: &[u8], hunk: &str, about: &str) -> Vec<u8> {
    let side = |signs: [char; 2]| -> Vec<u8> {
        let lines = hunk.split_inclusive('\n').filter(|line| line.starts_with(signs));
        let text: String = lines.map(|line| line.get(1..).unwrap()).collect();
        file(about, &text).1
    };
    let (old, new) = (side([' ', '-']), side([' ', '+']));
    let before = String::from_utf8(before.to_vec()).unwrap();
    let (old, new) = (String::from_utf8(old).unwrap(), String::from_utf8(new).unwrap());
    assert_eq!(before.matches(&old).count(), 1, "{name}: the hunk stands in the file once");
    before.replacen(&old, &new, 1).into_bytes()
}

fn shop_of(row: &Row) -> Shop {
    let shop = Shop::empty();
    for (about, body) in row.all("in") {
        let (path, bytes) = file(about, body);
        let path = format!("out/{path}");
        if about.ends_with(" link") {
            fs::create_dir_all(shop.path(&path).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(String::from_utf8(bytes).unwrap(), shop.path(&path)).unwrap();
        } else {
            shop.put(&path, bytes);
        }
    }
    shop
}

fn run(row: &Row, shop: &Shop) -> Run {
    let intent = match row.one("intent") {
        Some(text) => shop.put("intent.json", text),
        None => shop.intent(5),
    };
    let mut flags: Vec<String> =
        row.one("flags").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if let Some(routes) = row.one("routes") {
        flags.extend(["--routes".to_owned(), shop.put("routes.toml", routes).display().to_string()]);
    }
    shop.porch(&intent, &flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Checks that exactly the changes of the row were made.
fn judge(row: &Row) {
    let name = &row.name;
    let shop = shop_of(row);
    let before = shop.tree("out");
    let run = run(row, &shop);
    let after = shop.tree("out");
    if let Some((status, reasons)) = row.all("refused").next() {
        assert_eq!(run.code.to_string(), status, "{name}: {} {}", run.stdout, run.stderr);
        for reason in reasons.lines() {
            assert!(run.stderr.contains(reason), "{name}: '{reason}' is not in: {}", run.stderr);
        }
        assert_eq!(after, before, "{name}: refused and changed");
        return;
    }
    assert_eq!(run.code, 0, "{name}: {}", run.stderr);
    for part in row.one("result").unwrap_or_default().lines() {
        assert!(run.stdout.contains(part), "{name}: '{part}' is not in {}", run.stdout);
    }
    let mut expected: BTreeMap<String, Vec<u8>> =
        before.iter().map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect();
    for (about, hunk) in row.all("change") {
        let path = about.split(' ').next().unwrap();
        let old = expected.get(path).unwrap_or_else(|| panic!("{name}: no {path}"));
        let new = changed(name, old, hunk, about);
        expected.insert(path.to_owned(), new);
    }
    let found: BTreeMap<String, Vec<u8>> =
        after.into_iter().map(|(path, (_, bytes))| (path, bytes)).collect();
    for (about, body) in row.all("new") {
        let (path, content) = file(about, body);
        assert!(found.contains_key(&path), "{name}: {path} was not made");
        assert!(expected.insert(path, content).is_none(), "{name}: {about} is new");
    }
    for (path, bytes) in &found {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let wanted = expected.get(path).unwrap_or_else(|| panic!("{name}: {path} was made"));
        assert_eq!(text(bytes), text(wanted), "{name}: {path}");
    }
    assert_eq!(found.len(), expected.len(), "{name}: a file is gone");
    rendered(row, &shop);
}

/// The name that the intent of a row targets.
fn target(row: &Row) -> String {
    let intent: Option<serde_json::Value> = row.one("intent").map(|text| serde_json::from_str(text).unwrap());
    let named = intent.as_ref().and_then(|intent| intent["target"].as_str());
    named.unwrap_or("web").to_owned()
}

/// The number that the intent of a row asks for.
fn wanted(row: &Row) -> u64 {
    let intent: Option<serde_json::Value> = row.one("intent").map(|text| serde_json::from_str(text).unwrap());
    intent.and_then(|intent| intent["replicas"].as_u64()).unwrap_or(5)
}

/// Checks that the rendering of the target has the number.
fn rendered(row: &Row, shop: &Shop) {
    for (dir, number) in row.all("rendered") {
        let text = rendered::rendered(shop, dir);
        let text = text.unwrap_or_else(|complaint| panic!("{}: {complaint}", row.name));
        let (name, wanted) = (format!("  name: {}", target(row)), format!("  replicas: {}", number.trim()));
        let has_line = |object: &str, line: &str| object.lines().any(|is| is == line);
        let objects: Vec<&str> = text
            .split("\n---\n")
            .filter(|object| has_line(object, &name) && object.contains("\n  replicas:"))
            .collect();
        assert_eq!(objects.len(), 1, "{}: one object of the target is rendered: {text}", row.name);
        assert!(has_line(objects[0], &wanted), "{}: rendered {text}", row.name);
    }
}

fn rows() -> Vec<Row> {
    let mut paths: Vec<PathBuf> = fs::read_dir(ROWS).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Row::read(path)).collect()
}

/// What the work gives of each row. Several are worked on at once, since a row waits for programs and the disk more than it computes;
/// a row whose work panics is named, after all others.
fn of_each<'row, T: Send>(
    rows: impl Iterator<Item = &'row Row> + Send,
    work: impl Fn(&'row Row) -> T + Sync,
) -> Vec<T> {
    let rows = Mutex::new(rows);
    let next = || rows.lock().unwrap().next();
    let worked = |row: &'row Row| {
        let done = catch_unwind(AssertUnwindSafe(|| work(row)));
        done.map_err(|_| format!("{} ({})", row.name, row.title))
    };
    let done: Vec<Result<T, String>> = thread::scope(|scope| {
        let count = 2 * thread::available_parallelism().map_or(1, usize::from);
        let spawn = |_| scope.spawn(|| std::iter::from_fn(next).map(worked).collect::<Vec<_>>());
        let workers: Vec<_> = (0..count).map(spawn).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let count = done.len();
    let (given, failed): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    let mut failed: Vec<String> = failed.into_iter().filter_map(Result::err).collect();
    failed.sort();
    assert!(failed.is_empty(), "{} of {count} rows fail: {failed:#?}", failed.len());
    given.into_iter().filter_map(Result::ok).collect()
}

#[test]
fn every_way_of_keeping_a_workload_is_edited_in_place_or_refused_by_name() {
    let rows = rows();
    of_each(rows.iter(), judge);
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
}

/// The objects that each kustomization below the output directory renders to, without those that do not render.
fn all_rendered(shop: &Shop) -> BTreeMap<String, Vec<String>> {
    let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let files = shop.tree("out").into_keys().filter(|path| {
        let name = Path::new(path).file_name().unwrap();
        names.iter().any(|known| name == *known)
    });
    let dirs = files.map(|path| Path::new(&path).parent().unwrap().display().to_string());
    let rendered = dirs.filter_map(|dir| {
        let text = rendered::rendered(shop, &dir).ok().filter(|text| !text.is_empty())?;
        Some((dir, text.split("---\n").map(str::to_owned).collect()))
    });
    rendered.collect()
}

/// The lines of `these` without one of those for each line of `others`.
fn without(these: &str, others: &str) -> Vec<String> {
    let mut others: Vec<&str> = others.lines().collect();
    let mut is_more = |line: &&str| match others.iter().position(|other| other == line) {
        Some(at) => {
            others.swap_remove(at);
            false
        }
        None => true,
    };
    these.lines().filter(&mut is_more).map(|line| line.trim().to_owned()).collect()
}

/// The last column of the page's table names a row here.
#[test]
fn the_page_s_table_of_ways_is_run() {
    let page = fs::read_to_string(PAGE).unwrap();
    let table = page.split("| how you keep your workload | what happens | case |").nth(1).unwrap();
    let known = rows();
    let lines: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(lines.len() >= 15, "{} lines", lines.len());
    for line in lines {
        let cells: Vec<&str> = line.trim_matches('|').rsplitn(3, '|').map(str::trim).collect();
        let named: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no case in: {line}");
        let refused: Vec<bool> = named
            .iter()
            .map(|name| {
                let row = known.iter().find(|row| row.name == *name);
                row.unwrap_or_else(|| panic!("there is no row {name}")).one("refused").is_some()
            })
            .collect();
        // What the line says happens to the cases that it names.
        assert_eq!(refused.contains(&true), cells[1].contains("refused"), "{line}");
        let only =
            cells[1].starts_with("refused") && ![";", "unless"].iter().any(|word| cells[1].contains(word));
        assert!(!only || !refused.contains(&false), "{line}");
    }
}

/// The files that the edit of a row changes, each as the judge reads it.
fn edited(row: &Row) -> Vec<String> {
    let shop = shop_of(row);
    let before = shop.tree("out");
    run(row, &shop).expect(0);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let after = shop.tree("out").into_iter().map(|(path, (_, new))| (before[&path].1.as_slice(), new));
    let changed = after.filter(|(old, new)| *old != new.as_slice());
    changed
        .map(|(old, new)| {
            serde_json::json!([row.name, text(old), text(&new), wanted(row)]).to_string() + "\n"
        })
        .collect()
}

#[test]
fn each_edited_row_differs_in_one_number_as_another_parser_sees_it() {
    let Some(python) = crate::generated::python() else { return };
    let rows = rows();
    let rows = rows.iter().filter(|row| row.all("change").next().is_some());
    let lines = of_each(rows, edited).concat();
    let count = lines.len();
    assert!(count >= 150, "{count} files were edited");
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("rows.jsonl"), lines.concat()).unwrap();
    let judged = crate::generated::script(python, &["rows", temp.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    assert!(judged.status.success(), "{said}{}", String::from_utf8_lossy(&judged.stderr));
    assert!(said.contains(&format!("{count} rows, 0 wrong")), "{said}");
}

/// Checks that what rendered before the edit of a row renders afterwards and differs in numbers alone: how many
/// kustomizations were compared, and how many numbers are others.
fn rerendered(row: &Row) -> [usize; 2] {
    let (mut compared, mut changed) = (0, 0);
    let shop = shop_of(row);
    let before = all_rendered(&shop);
    run(row, &shop).expect(0);
    let after = all_rendered(&shop);
    for (dir, objects) in before {
        let name = format!("{} ({dir})", row.name);
        let now = after.get(&dir).unwrap_or_else(|| panic!("{name} renders no more"));
        assert_eq!(now.len(), objects.len(), "{name}: as many objects");
        for (old, new) in objects.iter().zip(now) {
            let (gone, come) = (without(old, new), without(new, old));
            let is_number = |line: &String| {
                let number = ["replicas: ", "instances: "].iter().find_map(|key| line.strip_prefix(key));
                number.is_some_and(|number| number.parse::<u32>().is_ok())
            };
            assert!(come.len() <= 1 && gone.len() <= 1, "{name}: {gone:?} became {come:?}");
            assert!(come.iter().chain(&gone).all(is_number), "{name}: {gone:?} became {come:?}");
            changed += come.len();
        }
        compared += 1;
    }
    [compared, changed]
}

#[test]
fn what_rendered_before_an_edit_renders_afterwards_and_differs_in_the_number_alone() {
    let rows = rows();
    let counts = of_each(rows.iter().filter(|row| row.one("refused").is_none()), rerendered);
    let [compared, changed] = [0, 1].map(|which| counts.iter().map(|count| count[which]).sum::<usize>());
    assert!(compared >= 30 && changed >= 30, "{compared} rendered, {changed} numbers changed");
}

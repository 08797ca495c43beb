//! `cargo bench -p conductor-porch`: the cost of one library call, in microseconds of CPU time of the calling thread.
//! Wall-clock time is not used: the machine may be shared. For the same reason the least of all rounds stands beside their median: others
//! take caches and the sibling of a core, and never give any. Files are on the temporary directory's file system. A word
//! behind `--` measures the rows alone that have it in their name.

use conductor_core::intent::{Policy, judge};
use conductor_porch::{Engine, Order, Patience, Provenance, Settings};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const CALLS: u32 = 2_000;
/// The number of outputs in which a package is the first one.
const OUTPUTS: u32 = 200;
/// Where each call goes through a thousand packages.
const CALLS_AMONG_MANY: u32 = 50;
const ROUNDS: usize = 7;

/// A typical handwritten Deployment: comments, several documents, a Service beside it.
const PACKAGE: &str = include_str!("../../../examples/packages/web/deployment.yaml");
/// The beginning of a partial object, as the engine makes it.
const PARTIAL: &str = "# A partial object: apply it server-side onto the existing Deployment.\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n";

type Failure = Box<dyn std::error::Error>;
/// Works in an empty directory and returns microseconds per call.
type Work = fn(&Path) -> Result<f64, Failure>;

fn main() -> Result<(), Failure> {
    let rows: [(&str, Work, &str); 9] = [
        ("edit one value of an existing package", edit, "300 µs"),
        ("the same among 50 packages of others", among_plain, "none"),
        ("the same among 50 packages with kustomizations", among_kustomized, "none"),
        ("the same among 500 packages of others", among_many, "none"),
        ("one of 500 packages that the engine made", among_ours, "none"),
        ("nothing to change", unchanged, "300 µs"),
        ("first package of a target", first, "300 µs"),
        ("first package of a target among 1,000 of others", first_among, "none"),
        ("the same among 2,000 that the engine made", first_among_ours, "none"),
    ];
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    say("| library call | CPU per call: least of rounds | median | goal |");
    say("| --- | --- | --- | --- |");
    for (name, work, goal) in rows.into_iter().filter(|(name, ..)| name.contains(&only)) {
        let round = |_| work(tempfile::tempdir()?.path());
        let mut rounds = (0..ROUNDS).map(round).collect::<Result<Vec<f64>, Failure>>()?;
        rounds.sort_by(f64::total_cmp);
        let [least, median] = [0, ROUNDS / 2].map(|at| rounds.get(at).copied().unwrap_or_default());
        say(&format!("| {name} | {least:.0} µs | {median:.0} µs | {goal} |"));
    }
    Ok(())
}

fn engine(out: &Path) -> Engine {
    Engine::new(Settings { durable: false, ..Settings::new(out) })
}

fn order(target: &str, replicas: u32) -> Result<Order, Failure> {
    let text = format!(
        r#"{{"intent_type":"scaling","target":"{target}","namespace":"shop","replicas":{replicas}}}"#
    );
    let intent = judge(text.as_bytes(), Policy::default()).map_err(|refusal| refusal.to_string())?;
    Ok(Order { intent, provenance: Provenance::default(), came: None })
}

/// CPU time per call, averaged over many.
fn measure(
    out: &Path,
    calls: u32,
    order_of: impl FnMut(u32) -> Result<Order, Failure>,
) -> Result<f64, Failure> {
    measure_with(&engine(out), calls, order_of)
}

fn measure_with(
    engine: &Engine,
    calls: u32,
    order_of: impl FnMut(u32) -> Result<Order, Failure>,
) -> Result<f64, Failure> {
    let orders = (0..calls).map(order_of).collect::<Result<Vec<_>, Failure>>()?;
    let patience = Patience::new(Duration::from_secs(1), Duration::from_mins(1));
    let begin = cpu();
    for order in &orders {
        black_box(engine.apply(order, &patience))?;
    }
    Ok(cpu().saturating_sub(begin).as_secs_f64() * 1e6 / f64::from(calls))
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn put_package(out: &Path) -> std::io::Result<()> {
    let package = out.join("shop/web");
    std::fs::create_dir_all(&package)?;
    std::fs::write(package.join("deployment.yaml"), PACKAGE)
}

fn edit(out: &Path) -> Result<f64, Failure> {
    put_package(out)?;
    measure(out, CALLS, |number| order("web", 1 + number % 50))
}

/// The packages of other targets in the same namespace.
fn put_others(out: &Path, count: u32, kustomized: bool) -> std::io::Result<()> {
    for number in 0..count {
        let package = out.join(format!("shop/other{number}"));
        std::fs::create_dir_all(&package)?;
        std::fs::write(package.join("deployment.yaml"), PACKAGE.replace("web", &format!("other{number}")))?;
        if kustomized {
            let text =
                "resources: [deployment.yaml]\nimages: [{name: registry.example.org/app, newTag: v2}]\n";
            std::fs::write(package.join("kustomization.yaml"), text)?;
        }
    }
    Ok(())
}

fn among_plain(out: &Path) -> Result<f64, Failure> {
    put_others(out, 50, false)?;
    edit(out)
}

fn among_kustomized(out: &Path) -> Result<f64, Failure> {
    put_others(out, 50, true)?;
    edit(out)
}

fn among_many(out: &Path) -> Result<f64, Failure> {
    put_others(out, 500, false)?;
    edit(out)
}

fn among_ours(out: &Path) -> Result<f64, Failure> {
    let target = |number: u32| format!("t{}", number % 500);
    measure(out, 500, |number| order(&target(number), 2))?;
    measure(out, CALLS, |number| order(&target(number), 3 + number / 500))
}

fn first_among(out: &Path) -> Result<f64, Failure> {
    put_others(out, 1_000, false)?;
    measure(out, CALLS_AMONG_MANY, |number| order(&format!("t{number}"), 3))
}

/// Each call adds a package, fewer than one in a hundred.
fn first_among_ours(out: &Path) -> Result<f64, Failure> {
    let engine = engine(out);
    let patience = Patience::new(Duration::from_secs(1), Duration::from_mins(1));
    for number in 0..2_000 {
        let package = out.join(format!("shop/other{number}-scaling"));
        std::fs::create_dir_all(&package)?;
        let text = format!("{PARTIAL}  name: other{number}\n  namespace: shop\nspec:\n  replicas: 3\n");
        std::fs::write(package.join("deployment.yaml"), text)?;
    }
    // What was just written is only kept by the next search but one.
    std::thread::sleep(Duration::from_millis(100));
    black_box(engine.apply(&order("first", 3)?, &patience))?;
    measure_with(&engine, CALLS_AMONG_MANY / 5, |number| order(&format!("t{number}"), 3))
}

fn unchanged(out: &Path) -> Result<f64, Failure> {
    put_package(out)?;
    measure(out, CALLS, |_| order("web", 2))
}

fn first(out: &Path) -> Result<f64, Failure> {
    // Each in an output of its own, beside one other: what many have there is another row.
    let each = (0..OUTPUTS).map(|number| {
        let own = out.join(number.to_string());
        std::fs::create_dir(&own)?;
        let engine = engine(&own);
        measure_with(&engine, 1, |_| order("other", 3))?;
        measure_with(&engine, 1, |_| order("web", 3))
    });
    Ok(each.sum::<Result<f64, Failure>>()? / f64::from(OUTPUTS))
}

#[expect(clippy::print_stdout, reason = "a measurement answers on standard output")]
fn say(line: &str) {
    println!("{line}");
}

//! `cargo bench -p conductor-porch`: the cost of one library call, in microseconds of CPU time of the calling thread.
//! Wall-clock time is not used: the machine may be shared. Files are on the temporary directory's file system.

use conductor_core::intent::{Policy, judge};
use conductor_porch::{Engine, Order, Patience, Provenance, Settings};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const CALLS: u32 = 2_000;
const ROUNDS: usize = 7;

/// A typical handwritten Deployment: comments, several documents, a Service beside it.
const PACKAGE: &str = include_str!("../../../examples/packages/web/deployment.yaml");

type Failure = Box<dyn std::error::Error>;
/// Works in an empty directory and returns microseconds per call.
type Work = fn(&Path) -> Result<f64, Failure>;

fn main() -> Result<(), Failure> {
    let rows: [(&str, Work); 3] = [
        ("edit one value of an existing package", edit),
        ("nothing to change", unchanged),
        ("first package of a target", first),
    ];
    say("| library call | CPU per call (median of rounds) | goal |");
    say("| --- | --- | --- |");
    for (name, work) in rows {
        let round = |_| work(tempfile::tempdir()?.path());
        let mut rounds = (0..ROUNDS).map(round).collect::<Result<Vec<f64>, Failure>>()?;
        rounds.sort_by(f64::total_cmp);
        let median = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
        say(&format!("| {name} | {median:.0} µs | 300 µs |"));
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
    Ok(Order { intent, provenance: Provenance::default() })
}

/// CPU time per call, averaged over many.
fn measure(out: &Path, order_of: impl FnMut(u32) -> Result<Order, Failure>) -> Result<f64, Failure> {
    let (engine, orders) = (engine(out), (0..CALLS).map(order_of).collect::<Result<Vec<_>, Failure>>()?);
    let patience = Patience::new(Duration::from_secs(1), Duration::from_mins(1));
    let begin = cpu();
    for order in &orders {
        black_box(engine.apply(order, &patience))?;
    }
    Ok(cpu().saturating_sub(begin).as_secs_f64() * 1e6 / f64::from(CALLS))
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
    measure(out, |number| order("web", 1 + number % 50))
}

fn unchanged(out: &Path) -> Result<f64, Failure> {
    put_package(out)?;
    measure(out, |_| order("web", 2))
}

fn first(out: &Path) -> Result<f64, Failure> {
    measure(out, |number| order(&format!("t{number}"), 3))
}

#[expect(clippy::print_stdout, reason = "a measurement answers on standard output")]
fn say(line: &str) {
    println!("{line}");
}
